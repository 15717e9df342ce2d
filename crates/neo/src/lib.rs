//! Neo N3 as pure data: what a wallet, a relayer or an enclave needs to make, sign and read what goes to a node.
//!
//! Promises:
//! - No I/O, no clock, no randomness of its own, no async: everything is a function of its arguments, and builds for
//!   wasm32 as well.
//! - What is written is byte for byte what the reference nodes write, and what they refuse is refused.
//! - Input of strangers never panics, and costs memory in proportion to its own size: at worst some eighty times, of
//!   witness rules and of JSON objects.
//! - Secrets are wiped from memory when they are dropped, and never appear in `Debug` or an error.

#![deny(missing_docs)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod account;
pub mod block;
pub mod context;
mod error;
pub mod explain;
pub mod fee;
pub mod hash;
pub mod keys;
pub mod manifest;
pub mod mpt;
pub mod native;
pub mod nef;
pub mod nep2;
pub mod nep6;
pub mod nns;
pub mod script;
pub mod stack;
pub mod token;
pub mod tx;
pub mod wire;

pub use error::{Error, Result};
pub use hash::{Hash160, Hash256};
pub use keys::{PrivateKey, PublicKey};
