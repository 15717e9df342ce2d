//! Neo N3 as one account sees it: transactions without nonces, valid up to a block, in scopes that are as narrow as
//! can be.
//!
//! Promises:
//! - What is sent was tried out, pays exactly what the try took and what nodes ask, and is signed in the narrowest
//!   scope with which it does the same as in the widest. No called contract widens it: unless its owner asks for more,
//!   a signature reaches what the script itself calls.
//! - What the chain made of it is read from whole blocks ([`crate::validity`]).

mod alike;
pub(crate) mod ask;
mod assemble;
mod desk;
mod estimate;
mod give;
mod look;
mod prepare;
mod press;
mod runner;
mod scope;
mod send;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use neo::{Hash160, PrivateKey};
use nsl_core::Result;

use crate::nonces::Hash;

pub(crate) use ask::SIGNED;
pub use desk::Desk;
pub use estimate::Estimate;
pub(crate) use estimate::estimate;
pub(crate) use runner::{Ground, Runner};
pub(crate) use scope::Trial;

/// Whoever keeps the key of an account of Neo N3.
#[async_trait]
pub trait N3Signer: Send + Sync {
    fn account(&self) -> Hash160;
    /// The script that hashes to the account and asks for one signature.
    fn verification(&self) -> &[u8];
    /// Signs a message: the number of the network and the hash of a transaction.
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64]>;
}

/// A key of one account in the memory of this process.
pub struct Key {
    key: PrivateKey,
    verification: Vec<u8>,
}

impl Key {
    pub fn new(key: PrivateKey) -> Self {
        let verification = key.public().verification_script();
        Self { key, verification }
    }
}

#[async_trait]
impl N3Signer for Key {
    fn account(&self) -> Hash160 {
        Hash160::of_script(&self.verification)
    }

    fn verification(&self) -> &[u8] {
        &self.verification
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        Ok(self.key.sign(message))
    }
}

/// The chain as the account of a signer sees it.
pub struct N3Node {
    pub desk: Arc<Desk>,
    pub signer: Arc<dyn N3Signer>,
}

/// How a lane of Neo N3 behaves.
#[derive(Clone, Debug)]
pub struct N3Pace {
    /// Transactions under way at once.
    pub most: usize,
    /// Calls that share one transaction, at most.
    pub share: usize,
    /// For how many blocks a transaction is valid.
    pub valid_blocks: u32,
    /// After how long what was not included is sent again.
    pub resend: Duration,
}

impl Default for N3Pace {
    fn default() -> Self {
        Self { most: 256, share: 64, valid_blocks: 240, resend: Duration::from_secs(3) }
    }
}

/// A hash in the order in which people and nodes write it.
fn as_shown(hash: &Hash) -> Hash {
    let mut shown = *hash;
    shown.reverse();
    shown
}
