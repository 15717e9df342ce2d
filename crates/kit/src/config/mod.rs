//! Configuration: compiled-in defaults, then a file, then the environment, then flags.
//!
//! Holds: a key that the defaults do not have is refused; a value has the type of its default; all
//! mistakes of all layers are reported together, each with its place; every value knows where it came
//! from; secrets are never shown.
//!
//! In the default tree a table with the key `"*"` is open: it takes any name, and each entry starts
//! from (and is typed by) the value of `"*"`.

mod alias;
mod environment;
mod fields;
mod file;
mod fit;
mod layers;
mod load;
mod mistake;
mod near;
mod origin;
mod production;
mod redact;
mod schema;
mod tree;
mod watch;

pub use environment::Environment;
pub use fields::{blank, millis, seconds};
pub use load::{Check, DEFAULTS, Loaded, Loader, Profile, Setting};
pub use mistake::{Mistake, Mistakes};
pub use origin::Origin;
pub use redact::without_passwords;
pub use watch::{Reloaded, Watch};

#[cfg(test)]
mod tests;
