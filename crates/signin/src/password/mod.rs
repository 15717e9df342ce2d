//! Passwords: what is asked of one, what is kept of it, and who does the hard work of hashing.
//!
//! Promises:
//! - Argon2id alone, in PHC strings. What was made with less than is asked for now is made anew at the next sign-in.
//! - Hashing has threads of its own, of a lower priority than those that answer requests, and a bounded line before
//!   them: who finds it full is told when to come back, and nothing else is slowed down.
//! - An account that does not exist costs the same work as one that does.

mod breached;
mod hash;
mod pool;
mod rules;

pub use self::{
    breached::Breached,
    hash::{Params, Verdict},
    pool::{Busy, Place, Pool, Settings},
    rules::{Password, Weak},
};
