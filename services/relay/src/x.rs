//! Neo X as one account sees it.

use std::sync::Arc;

use async_trait::async_trait;
use nsl_api::relay::Call;
use nsl_chain::{
    Call as ChainCall, Chain, Fault, TxId, is_retryable, is_too_slow,
    x::{self, Address, Blocks, Draft, FeePolicy, Fees, NeoX},
};
use nsl_core::{Error, Result, Timestamp};
use serde::Deserialize;

use crate::{
    node::{IDLE_GAS, Node, Offer, Ready, Refusal, Signed, Spent, Stretch, Verdict},
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
/// Transactions that are handed on in one request.
const TOGETHER: usize = 64;

/// The chain as the account of a signer sees it.
pub struct XNode {
    pub chain: Arc<NeoX>,
    pub signer: Arc<dyn XSigner>,
}

/// The call that a stored request makes.
pub(crate) fn of_intent(call: &Call, from: Address) -> Result<x::Call> {
    let broken = |what: &str| Error::internal(anyhow::anyhow!("a stored call has a broken {what}"));
    let to = call.to.as_deref().map(|to| to.parse().map_err(|_| broken("address"))).transpose()?;
    let data = call.data.as_deref().unwrap_or_default();
    let data = hex::decode(data.trim_start_matches("0x")).map_err(|_| broken("data"))?;
    let value = call.value.as_deref().unwrap_or("0").parse().map_err(|_| broken("value"))?;
    Ok(x::Call { from: Some(from), to, data, value, gas: None })
}

impl XNode {
    fn call(&self, intent: &serde_json::Value) -> Result<x::Call> {
        of_intent(&Call::deserialize(intent).map_err(Error::internal)?, self.signer.address())
    }

    fn ready(intent: &Arc<serde_json::Value>, gas: u64) -> Ready {
        let more = u128::from(gas) * u128::from(MORE_GAS) / 100;
        let gas = gas.saturating_add(more.try_into().unwrap_or(u64::MAX));
        Ready { gas, intent: Arc::clone(intent) }
    }

    fn verdict(sent: Result<TxId>) -> Verdict {
        let Err(error) = sent else { return Verdict::Taken };
        match &*error.slug {
            "chain.nonce_used" => Verdict::Spent,
            "chain.replacement_underpriced" | "chain.underpriced" => Verdict::Underpriced,
            "chain.insufficient_funds" | "chain.pool_full" | "chain.nonce_too_high" => Verdict::NotNow(error.message),
            "chain.gas_limit_too_low"
            | "chain.gas_limit_too_high"
            | "chain.tx_too_large"
            | "chain.signature_invalid" => Verdict::Never(error.message),
            // Whoever speaks for another network, or does not answer, says nothing of it.
            WRONG_NETWORK => Verdict::Unknown,
            _ if is_retryable(&error) => Verdict::Unknown,
            _ => Verdict::Unclear(error.message),
        }
    }
}

const WRONG_NETWORK: &str = "chain.wrong_network";

/// Whether a node said no in words that are not known: that may be a matter of the moment.
pub(crate) fn is_unclear(error: &Error) -> bool {
    matches!(&*error.slug, "chain.node_error" | "chain.too_large") && !is_retryable(error)
}

/// The first try tips what the policy asks for: what its price is above that is room for a base fee that grows. What a
/// further try offers more, it tips too, so that both grow as nodes ask for it.
fn fees(policy: &FeePolicy, offer: Offer) -> Fees {
    let tip = policy.min_tip.saturating_add(offer.most.saturating_sub(offer.first));
    Fees::Dynamic { max_fee: offer.most, tip: tip.min(offer.most) }
}

#[async_trait]
impl Node for XNode {
    async fn count(&self, after: u64) -> Result<u64> {
        self.chain.nonce_after(self.signer.address(), after).await
    }

    async fn counts(&self, after: u64) -> Result<Vec<u64>> {
        self.chain.nonces_after(self.signer.address(), after).await
    }

    async fn began(&self) -> Result<Option<Timestamp>> {
        self.chain.began().await
    }

    async fn head(&self) -> Result<(u64, Hash)> {
        let head = self.chain.head().await?;
        Ok((head.height, head.hash.0))
    }

    fn confirmations(&self) -> u64 {
        self.chain.finality().max(1)
    }

    async fn tip(&self) -> Result<u64> {
        Ok(self.chain.head().await?.tip)
    }

    async fn spent(&self, from: u64, to: u64) -> Result<Stretch> {
        let Blocks { before, last, sent } = self.chain.sent_by(self.signer.address(), from, to).await?;
        let spent = sent.into_iter().map(|one| {
            let hash = hash(one.id.as_str())?;
            Ok(Spent { height: one.height, nonce: one.nonce, hash, reverted: one.fault, fee: one.fee })
        });
        Ok(Stretch { before: before.0, last: last.0, spent: spent.collect::<Result<_>>()? })
    }

    async fn try_out(&self, _: &Id, intent: &Arc<serde_json::Value>) -> Result<std::result::Result<Ready, Refusal>> {
        let trial = self.chain.simulate(&ChainCall::X(self.call(intent)?)).await;
        judge(trial.map(|trial| trial.output.map(|_| Self::ready(intent, trial.gas))))
    }

    async fn try_all(
        &self,
        wanted: &[(Id, Arc<serde_json::Value>)],
    ) -> Vec<Result<std::result::Result<Ready, Refusal>>> {
        let calls: Vec<Result<x::Call>> = wanted.iter().map(|(_, intent)| self.call(intent)).collect();
        let sound: Vec<x::Call> = calls.iter().flatten().cloned().collect();
        let mut tried = match self.chain.gas_of(&sound).await {
            Ok(tried) => tried,
            Err(error) => sound.iter().map(|_| Err(again(&error))).collect(),
        }
        .into_iter();
        let each = wanted.iter().zip(calls).map(|((_, intent), call)| {
            let lost = || Err(Error::internal(anyhow::anyhow!("a call was tried out and nothing came of it")));
            let gas = call.and_then(|_| tried.next().unwrap_or_else(lost));
            judge(gas.map(|gas| gas.map(|gas| Self::ready(intent, gas))))
        });
        each.collect()
    }

    fn tried_out(&self, intent: &Arc<serde_json::Value>, raw: &[u8]) -> Result<Ready> {
        Ok(Ready { gas: x::read_transaction(raw)?.draft.gas_limit, intent: Arc::clone(intent) })
    }

    async fn price(&self) -> Result<u128> {
        let policy = self.chain.fee_policy();
        Ok(policy.base_fee.max(self.chain.base_fee().await?).saturating_add(policy.min_tip))
    }

    fn most_price(&self) -> u128 {
        self.chain.fee_policy().most.unwrap_or(u128::MAX)
    }

    async fn sign(&self, ready: Option<&Ready>, nonce: u64, offer: Offer) -> Result<Signed> {
        let (call, gas_limit) = match ready {
            Some(ready) => (self.call(&ready.intent)?, ready.gas),
            None => (x::Call { to: Some(self.signer.address()), ..x::Call::default() }, IDLE_GAS),
        };
        let (chain_id, fees) = (self.chain.chain_id(), fees(&self.chain.fee_policy(), offer));
        let draft = Draft { chain_id, nonce, to: call.to, value: call.value, data: call.data, gas_limit, fees };
        let signed = draft.signed(&self.signer.sign_hash(&draft.signing_hash()).await?)?;
        Ok(Signed { hash: hash(signed.id.as_str())?, raw: signed.raw })
    }

    async fn send(&self, raw: &[&[u8]]) -> Vec<Verdict> {
        let mut all = Vec::with_capacity(raw.len());
        for part in raw.chunks(TOGETHER) {
            all.extend(self.chain.send_all(part).await.into_iter().map(Self::verdict));
        }
        all
    }
}

// A refusal that stays so for these bytes, or the trouble of nodes, which decides nothing.
fn judge(tried: Result<std::result::Result<Ready, Fault>>) -> Result<std::result::Result<Ready, Refusal>> {
    match tried {
        Ok(Ok(ready)) => Ok(Ok(ready)),
        Ok(Err(fault)) => {
            let trouble = serde_json::to_value(&fault).ok();
            Ok(Err(Refusal { reason: fault.reason, trouble }))
        }
        Err(error) if is_too_slow(&error) || is_unclear(&error) || &*error.slug == WRONG_NETWORK => Err(error),
        Err(error) if is_retryable(&error) && &*error.slug != "chain.insufficient_funds" => Err(error),
        Err(error) => Ok(Err(error.message.into())),
    }
}

// What befell all is told of each.
fn again(error: &Error) -> Error {
    let mut same = Error::new(error.code, "chain.unreachable", error.message.clone());
    (same.slug, same.retry_after_ms) = (error.slug.clone(), error.retry_after_ms);
    same
}

fn hash(id: &str) -> Result<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(id.trim_start_matches("0x"), &mut hash).map_err(Error::internal)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nsl_chain::XConfig;
    use nsl_core::Code;

    use super::*;

    const GWEI: u128 = 1_000_000_000;

    fn said(slug: &'static str, later: bool) -> Error {
        let error = Error::new(Code::Invalid, slug, "the sky is falling");
        if later { error.retry_after(Duration::from_secs(1)) } else { error }
    }

    #[test]
    fn only_what_holds_for_its_bytes_ends_a_transaction_at_once() {
        let why = || "the sky is falling".to_owned();
        for (slug, later, want) in [
            ("chain.nonce_used", false, Verdict::Spent),
            ("chain.underpriced", false, Verdict::Underpriced),
            ("chain.pool_full", true, Verdict::NotNow(why())),
            ("chain.gas_limit_too_low", false, Verdict::Never(why())),
            ("chain.tx_too_large", false, Verdict::Never(why())),
            ("chain.signature_invalid", false, Verdict::Never(why())),
            ("chain.unreachable", true, Verdict::Unknown),
            ("chain.node_error", true, Verdict::Unknown),
            ("chain.wrong_network", false, Verdict::Unknown),
            ("chain.node_error", false, Verdict::Unclear(why())),
        ] {
            assert_eq!(XNode::verdict(Err(said(slug, later))), want, "{slug}");
        }
    }

    #[test]
    fn a_trial_that_nobody_understands_is_no_refusal() {
        let judged = |slug, later| judge(Err(said(slug, later)));
        for (slug, later) in [
            ("chain.node_error", false),
            ("chain.node_error", true),
            ("chain.wrong_network", false),
            ("chain.too_slow", false),
            ("chain.too_large", false),
        ] {
            assert_eq!(judged(slug, later).unwrap_err().slug, slug);
        }
        for (slug, later) in [("chain.insufficient_funds", true), ("chain.gas_limit_too_high", false)] {
            assert!(judged(slug, later).unwrap().is_err(), "{slug}");
        }
    }

    #[test]
    fn room_for_a_higher_base_fee_is_no_tip_and_more_than_the_first_is() {
        let policy = FeePolicy::of(&XConfig::of(47_763, &[]));
        let of = |most: u128, first: u128| fees(&policy, Offer { most: most * GWEI, first: first * GWEI });
        let dynamic = |max_fee: u128, tip: u128| Fees::Dynamic { max_fee: max_fee * GWEI, tip: tip * GWEI };
        assert_eq!(of(40, 40), dynamic(40, 20));
        assert_eq!(of(60, 60), dynamic(60, 20), "the base fee was raised");
        assert_eq!(of(66, 60), dynamic(66, 26), "a tenth more at least of both");
        assert_eq!(of(u128::MAX / GWEI, 40), dynamic(u128::MAX / GWEI, u128::MAX / GWEI - 20));
    }

    #[test]
    fn gas_beyond_all_bounds_is_no_end_of_the_process() {
        assert_eq!(XNode::ready(&Arc::default(), 21_001).gas, 25_201);
        assert_eq!(XNode::ready(&Arc::default(), u64::MAX).gas, u64::MAX);
    }
}
