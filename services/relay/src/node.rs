//! What a lane of Neo X asks of the chain, and of whoever keeps its key.

use std::sync::Arc;

use async_trait::async_trait;
use nsl_core::{Result, Timestamp};

use crate::nonces::{Hash, Id};

/// What one block says of one account: nonces that it spent, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    pub height: u64,
    pub nonce: u64,
    pub hash: Hash,
    /// Why it was undone, for a transaction that reverted.
    pub reverted: Option<String>,
    /// What the chain took for it, in wei, where the node says.
    pub fee: Option<u128>,
}

/// What a row of blocks says of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The hash of the block before the first.
    pub before: Hash,
    /// The hash of the last.
    pub last: Hash,
    pub spent: Vec<Spent>,
}

/// A request that was tried out and can be signed.
#[derive(Clone, Debug)]
pub struct Ready {
    pub gas: u64,
    pub intent: Arc<serde_json::Value>,
}

impl Ready {
    /// The most that it may cost at this price of a unit of gas, in wei.
    pub fn cost(&self, price: u128) -> u128 {
        price.saturating_mul(self.gas.into())
    }
}

/// What a try offers for a unit of gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// At most.
    pub most: u128,
    /// What the first try for the same nonce offered at most. What is offered above that is there to be preferred.
    pub first: u128,
}

/// What spending a nonce without doing anything takes.
pub const IDLE_GAS: u64 = 21_000;

/// Why a request would be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: String,
    /// All that the test run told, to be explained later.
    pub trouble: Option<serde_json::Value>,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { reason, trouble: None }
    }
}

/// What an endpoint says to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has it, now or before.
    Taken,
    /// Its nonce is spent: a block will say by what.
    Spent,
    /// Another with this nonce offers about as much.
    Underpriced,
    /// Not now: the account lacks funds, the pool is full.
    NotNow(String),
    /// Never, in this form.
    Never(String),
    /// It refuses it in words that are not known, which may mean anything.
    Unclear(String),
    /// Nobody knows whether it arrived.
    Unknown,
}

/// A signed transaction.
#[derive(Clone, Debug)]
pub struct Signed {
    pub hash: Hash,
    pub raw: Vec<u8>,
}

/// The chain as seen by one account.
#[async_trait]
pub trait Node: Send + Sync {
    /// How many transactions of the account the chain has after this block: from a node that has the block, or an error.
    async fn count(&self, after: u64) -> Result<u64>;
    /// As `count`, from each endpoint that answers; one at least, or an error.
    async fn counts(&self, after: u64) -> Result<Vec<u64>> {
        Ok(vec![self.count(after).await?])
    }
    /// When the first block of the chain was made, where that is known.
    async fn began(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
    /// The last block that is final, and its hash, from a node that has the block.
    async fn head(&self) -> Result<(u64, Hash)>;
    /// How many blocks, its own among them, a transaction needs to be final; at least one.
    fn confirmations(&self) -> u64 {
        1
    }
    /// The last block, which may still be replaced where more than one confirmation is asked for.
    async fn tip(&self) -> Result<u64> {
        Ok(self.head().await?.0)
    }
    /// What these blocks, up to 64 of them, say of the account; in order, and all of them or an error.
    async fn spent(&self, from: u64, to: u64) -> Result<Stretch>;
    /// Tries a request out. The inner error is the reason for which it would be undone.
    async fn try_out(&self, id: &Id, intent: &Arc<serde_json::Value>) -> Result<std::result::Result<Ready, Refusal>>;
    /// As `try_out`, for many at once, with an outcome for each.
    async fn try_all(
        &self,
        wanted: &[(Id, Arc<serde_json::Value>)],
    ) -> Vec<Result<std::result::Result<Ready, Refusal>>> {
        let mut all = Vec::with_capacity(wanted.len());
        for (id, intent) in wanted {
            all.push(self.try_out(id, intent).await);
        }
        all
    }
    /// What was tried out before this transaction was signed.
    fn tried_out(&self, intent: &Arc<serde_json::Value>, raw: &[u8]) -> Result<Ready>;
    /// Wei for a unit of gas that a transaction should offer now.
    async fn price(&self) -> Result<u128>;
    /// The most that may be offered.
    fn most_price(&self) -> u128 {
        u128::MAX
    }
    /// Signs what is ready, or, without it, what spends the nonce and does nothing.
    async fn sign(&self, ready: Option<&Ready>, nonce: u64, offer: Offer) -> Result<Signed>;
    /// Hands signed transactions on, in order, and gives a verdict on each.
    async fn send(&self, raw: &[&[u8]]) -> Vec<Verdict>;
}

#[async_trait]
impl<N: Node + ?Sized> Node for Arc<N> {
    async fn count(&self, after: u64) -> Result<u64> {
        (**self).count(after).await
    }

    async fn counts(&self, after: u64) -> Result<Vec<u64>> {
        (**self).counts(after).await
    }

    async fn began(&self) -> Result<Option<Timestamp>> {
        (**self).began().await
    }

    async fn head(&self) -> Result<(u64, Hash)> {
        (**self).head().await
    }

    fn confirmations(&self) -> u64 {
        (**self).confirmations()
    }

    async fn tip(&self) -> Result<u64> {
        (**self).tip().await
    }

    async fn spent(&self, from: u64, to: u64) -> Result<Stretch> {
        (**self).spent(from, to).await
    }

    async fn try_out(&self, id: &Id, intent: &Arc<serde_json::Value>) -> Result<std::result::Result<Ready, Refusal>> {
        (**self).try_out(id, intent).await
    }

    async fn try_all(
        &self,
        wanted: &[(Id, Arc<serde_json::Value>)],
    ) -> Vec<Result<std::result::Result<Ready, Refusal>>> {
        (**self).try_all(wanted).await
    }

    fn tried_out(&self, intent: &Arc<serde_json::Value>, raw: &[u8]) -> Result<Ready> {
        (**self).tried_out(intent, raw)
    }

    async fn price(&self) -> Result<u128> {
        (**self).price().await
    }

    fn most_price(&self) -> u128 {
        (**self).most_price()
    }

    async fn sign(&self, ready: Option<&Ready>, nonce: u64, offer: Offer) -> Result<Signed> {
        (**self).sign(ready, nonce, offer).await
    }

    async fn send(&self, raw: &[&[u8]]) -> Vec<Verdict> {
        (**self).send(raw).await
    }
}
