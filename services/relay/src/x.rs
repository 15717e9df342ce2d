//! Neo X as one account sees it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use nsl_api::relay::Call;
use nsl_chain::{
    Call as ChainCall, Chain, is_retryable,
    x::{self, Address, Draft, Fees, NeoX},
};
use nsl_core::{Error, Result};
use serde::Deserialize;

use crate::{
    node::{Node, Ready, Signed, Spent, Verdict},
    nonces::{Hash, Id},
};

/// Whoever keeps the key of an account of Neo X.
#[async_trait]
pub trait XSigner: Send + Sync {
    fn address(&self) -> Address;
    /// Signs a hash: r, s and the recovery bit.
    async fn sign_hash(&self, hash: &[u8; 32]) -> Result<[u8; 65]>;
}

#[async_trait]
impl XSigner for x::Key {
    fn address(&self) -> Address {
        Self::address(self)
    }

    async fn sign_hash(&self, hash: &[u8; 32]) -> Result<[u8; 65]> {
        Ok(Self::sign_hash(self, hash))
    }
}

/// A call may use this much more gas than its test run did, in percent: the state moves on.
const MORE_GAS: u64 = 20;
/// What spending a nonce without doing anything takes.
const NOTHING: u64 = 21_000;
/// Transactions that are handed on at the same time.
const TOGETHER: usize = 8;

/// The chain as the account of a signer sees it.
pub struct XNode {
    pub chain: Arc<NeoX>,
    pub signer: Arc<dyn XSigner>,
}

impl XNode {
    fn call(&self, intent: &serde_json::Value) -> Result<x::Call> {
        let call = Call::deserialize(intent).map_err(Error::internal)?;
        let broken = |what: &str| Error::internal(anyhow::anyhow!("a stored call has a broken {what}"));
        let to = call.to.as_deref().map(|to| to.parse().map_err(|_| broken("address"))).transpose()?;
        let data = hex::decode(call.data.as_deref().unwrap_or_default().trim_start_matches("0x"))
            .map_err(|_| broken("data"))?;
        let value = call.value.as_deref().unwrap_or("0").parse().map_err(|_| broken("value"))?;
        Ok(x::Call { from: Some(self.signer.address()), to, data, value, gas: None })
    }

    // The tip takes what the price is above the base fee, so that a higher price raises both as nodes ask for it.
    fn fees(&self, price: u128) -> Fees {
        let policy = self.chain.fee_policy();
        Fees::Dynamic { max_fee: price, tip: price.saturating_sub(policy.base_fee).max(policy.min_tip) }
    }

    async fn hand_on(&self, raw: &[u8]) -> Verdict {
        let Err(error) = self.chain.send(raw).await else { return Verdict::Taken };
        match &*error.slug {
            "chain.nonce_used" => Verdict::Spent,
            "chain.replacement_underpriced" | "chain.underpriced" => Verdict::Underpriced,
            "chain.insufficient_funds" | "chain.pool_full" | "chain.nonce_too_high" => Verdict::NotNow(error.message),
            _ if is_retryable(&error) => Verdict::Unknown,
            _ => Verdict::Never(error.message),
        }
    }
}

#[async_trait]
impl Node for XNode {
    async fn count(&self) -> Result<u64> {
        self.chain.greatest_nonce(self.signer.address(), x::As::Latest).await
    }

    async fn head(&self) -> Result<u64> {
        let height = self.chain.height().await?;
        Ok(height.saturating_sub(self.chain.finality() - 1))
    }

    async fn spent(&self, from: u64, to: u64) -> Result<Vec<Spent>> {
        let sent = self.chain.sent_by(self.signer.address(), from, to).await?;
        let spent = sent.into_iter().map(|one| {
            let hash = hash(one.id.as_str())?;
            Ok(Spent { height: one.height, nonce: one.nonce, hash, reverted: one.fault })
        });
        spent.collect()
    }

    async fn try_out(&self, _: &Id, intent: &Arc<serde_json::Value>) -> Result<std::result::Result<Ready, String>> {
        let trial = match self.chain.simulate(&ChainCall::X(self.call(intent)?)).await {
            Ok(trial) => trial,
            Err(error) if is_retryable(&error) && &*error.slug != "chain.insufficient_funds" => return Err(error),
            // The node answers, and what it says stays so for these bytes.
            Err(error) => return Ok(Err(error.message)),
        };
        Ok(match trial.output {
            Ok(_) => Ok(Ready { gas: trial.gas + trial.gas * MORE_GAS / 100, intent: Arc::clone(intent) }),
            Err(fault) => Err(fault.reason),
        })
    }

    async fn price(&self) -> Result<u128> {
        Ok(self.chain.quote().await?.most())
    }

    async fn sign(&self, ready: Option<&Ready>, nonce: u64, price: u128) -> Result<Signed> {
        let (call, gas_limit) = match ready {
            Some(ready) => (self.call(&ready.intent)?, ready.gas),
            None => (x::Call { to: Some(self.signer.address()), ..x::Call::default() }, NOTHING),
        };
        let (chain_id, fees) = (self.chain.chain_id(), self.fees(price));
        let draft = Draft { chain_id, nonce, to: call.to, value: call.value, data: call.data, gas_limit, fees };
        let signed = draft.signed(&self.signer.sign_hash(&draft.signing_hash()).await?)?;
        Ok(Signed { hash: hash(signed.id.as_str())?, raw: signed.raw })
    }

    async fn send(&self, raw: &[&[u8]]) -> Vec<Verdict> {
        let mut all: Vec<BoxFuture<'_, Verdict>> = Vec::with_capacity(raw.len());
        for raw in raw.iter().copied() {
            all.push(self.hand_on(raw).boxed());
        }
        stream::iter(all).buffered(TOGETHER).collect().await
    }
}

fn hash(id: &str) -> Result<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(id.trim_start_matches("0x"), &mut hash).map_err(Error::internal)?;
    Ok(hash)
}
