//! What goes into a contract's method and what comes out of it.
//!
//! [`Param`] is a typed argument, [`StackItem`] a value that a node shows; both read and write the JSON of nodes.

mod binary;
mod item;
mod number;
mod param;
mod parse;
mod typed;

pub use item::{InteropInterface, StackItem};
pub use number::{from_vm_integer, to_vm_integer};
pub use param::Param;

/// How deep parameters and items may be nested, at most. What JSON readers follow at all is about this deep.
pub const MAX_DEPTH: usize = 60;

/// How many parameters or items one value may hold, itself included, at most: far more than a node's stack of 2048.
pub const MAX_ITEMS: usize = 1 << 16;

/// Counts items as they are read.
struct Budget {
    left: usize,
}

impl Budget {
    fn new() -> Self {
        Self { left: MAX_ITEMS }
    }

    fn take(&mut self, what: &'static str, depth: usize) -> crate::Result<()> {
        use crate::error::Error;
        if depth > MAX_DEPTH {
            return Err(Error::TooLarge { what: "depth of a value", size: depth as u64, most: MAX_DEPTH as u64 });
        }
        let most = MAX_ITEMS as u64;
        self.left = self.left.checked_sub(1).ok_or(Error::TooLarge { what, size: most + 1, most })?;
        Ok(())
    }
}
