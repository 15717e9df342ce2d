//! Real nodes of both chains on loopback: downloaded, started, funded, stopped.
//!
//! [`N3`] is a one-validator network of neo-go, [`X`] an anvil that stands in for Neo X, [`Devnet`] the pair that
//! `nsl devnet` keeps in a directory.
//!
//! Holds: a program is started only when its SHA-256 is the pinned one; nodes listen on loopback only; what is ended is
//! exactly what was started here, told by number and start time; keys lie in files of mode 0600 and are for development
//! alone.

mod account;
mod archive;
mod cache;
mod devnet;
mod index;
mod n3;
mod port;
mod process;
mod rpc;
mod start;
mod x;

pub use account::Account;
pub use cache::{ANVIL, Cache, NEO_GO, NotDownloaded, Program};
pub use devnet::{Devnet, Ended, Given, Up};
pub use n3::{Database, N3, N3Options};
pub use port::free_port;
pub use process::Life;
pub use x::{X, XOptions};
