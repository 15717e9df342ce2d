//! Scripts of NeoVM: made, read, checked, and written as text.
//!
//! ```
//! use neo::{native, script::{Builder, CallFlags, check, to_text}, stack::Param};
//!
//! let mut builder = Builder::new();
//! builder.call(&native::GAS, "balanceOf", CallFlags::READ_ONLY, &[Param::Hash160(native::NEO)]);
//! let script = builder.finish()?;
//! assert!(check(&script).is_ok());
//! assert!(to_text(&script)?.ends_with("SYSCALL System.Contract.Call\n"));
//! # Ok::<(), neo::Error>(())
//! ```

mod batch;
mod builder;
mod decode;
mod flags;
mod opcode;
mod syscall;
mod text;

pub use batch::{Invocation, Outcome, batch, read_outcomes};
pub use builder::{Builder, Label};
pub use decode::{Flaw, Instruction, Instructions, check, instructions};
pub use flags::CallFlags;
pub use opcode::{Opcode, Shape};
pub use syscall::Syscall;
pub(crate) use text::Data;
pub use text::{from_text, to_text};

/// The bytes of one item on the stack, at most.
pub const MAX_ITEM: usize = 2 * u16::MAX as usize;

/// The bytes of an integer, at most.
pub const MAX_INTEGER: usize = 32;
