//! One node of Neo X: the calls that are used, and the parts of their answers that count.

use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    revert,
    send::{self, Verdict, Why},
};
use crate::{
    error::{LIMIT, NodeError, Trouble},
    line::Line,
    pool::{Client, Probe},
};

/// "Server error": what nodes say no with for reasons of their protocol.
pub(super) const SERVER_ERROR: i64 = -32000;

/// An endpoint of Neo X.
pub struct Node(pub(super) Line);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) number: U64,
    pub(super) hash: B256,
    pub(super) parent_hash: B256,
    pub(super) base_fee_per_gas: Option<U256>,
    #[serde(default)]
    pub(super) logs_bloom: Option<Bloom>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
    pub(super) block_number: Option<U64>,
    pub(super) block_hash: Option<B256>,
    pub(super) transaction_hash: Option<B256>,
    pub(super) transaction_index: Option<U64>,
    pub(super) log_index: Option<U64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawReceipt {
    pub(super) status: Option<U64>,
    pub(super) block_hash: B256,
    pub(super) block_number: U64,
    pub(super) transaction_index: U64,
    pub(super) gas_used: U64,
    pub(super) effective_gas_price: Option<U256>,
    pub(super) contract_address: Option<Address>,
    pub(super) logs: Vec<Log>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawTransaction {
    pub(super) from: Address,
    pub(super) to: Option<Address>,
    #[serde(default)]
    pub(super) input: Bytes,
    pub(super) value: U256,
    pub(super) gas: U64,
    pub(super) nonce: U64,
    pub(super) gas_price: Option<U256>,
    pub(super) max_fee_per_gas: Option<U256>,
    pub(super) max_priority_fee_per_gas: Option<U256>,
    pub(super) block_number: Option<U64>,
}

#[derive(Deserialize)]
pub(super) struct Simulated {
    pub(super) calls: Vec<SimulatedCall>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SimulatedCall {
    #[serde(default)]
    pub(super) return_data: Bytes,
    #[serde(default)]
    pub(super) logs: Vec<Log>,
    pub(super) status: U64,
    pub(super) error: Option<SimulatedError>,
}

#[derive(Deserialize)]
pub(super) struct SimulatedError {
    #[serde(default)]
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl Node {
    pub(super) async fn call<T: serde::de::DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, Trouble> {
        self.0.call(method, params).await.map_err(understood)
    }

    /// As `call`, for what is not worth more than so many bytes.
    pub(super) async fn call_within<T: serde::de::DeserializeOwned>(
        &self,
        most: usize,
        method: &'static str,
        params: Value,
    ) -> Result<T, Trouble> {
        self.0.call_within(most, method, params).await.map_err(understood)
    }

    /// As `call`, for many of one kind in one request; an error is the endpoint's alone, and then nothing was done well.
    pub(super) async fn many<T: serde::de::DeserializeOwned>(
        &self,
        method: &'static str,
        params: &[Value],
    ) -> Result<Vec<Result<T, Trouble>>, Trouble> {
        let all = self.0.many(method, params).await.into_iter().map(|done| done.map_err(understood));
        let mut all: Vec<Result<T, Trouble>> = all.collect();
        let is_lost = all.iter().all(|done| done.as_ref().is_err_and(Trouble::is_endpoints));
        match all.pop() {
            Some(Err(trouble)) if is_lost => Err(trouble),
            last => Ok(all.into_iter().chain(last).collect()),
        }
    }

    pub(super) async fn height(&self) -> Result<u64, Trouble> {
        self.call::<U64>("eth_blockNumber", json!([])).await.map(|height| height.to())
    }

    /// The header of a block by height; none when the node has none there.
    pub(super) async fn header(&self, height: u64) -> Result<Option<Header>, Trouble> {
        self.call("eth_getBlockByNumber", json!([quantity(height), false])).await
    }

    pub(super) async fn latest(&self) -> Result<Header, Trouble> {
        self.call("eth_getBlockByNumber", json!(["latest", false])).await
    }
}

fn understood(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Node(error) if lacks(&error) => Trouble::Behind(error.message),
        // Some nodes number as a failure of their own what is one of the code or of the transaction.
        Trouble::Node(error) if error.is_endpoints_own() && is_understood(&error) => {
            Trouble::Node(NodeError { code: SERVER_ERROR, ..error })
        }
        // Others number as a refusal what is a limit of theirs: another endpoint, or a moment later, does better.
        Trouble::Node(error) if is_limit(&error) && !is_understood(&error) => {
            Trouble::Node(NodeError { code: LIMIT, ..error })
        }
        other => other,
    }
}

/// A number as JSON-RPC writes it.
pub(super) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

fn is_understood(error: &NodeError) -> bool {
    revert::fault(error).is_some() || !matches!(send::verdict(error), Verdict::Refused(Why::NodeFailed | Why::Unclear))
}

// Who asks for too much in too little time, in the words and numbers of those who offer nodes.
fn is_limit(error: &NodeError) -> bool {
    let message = error.message.to_ascii_lowercase();
    let words =
        ["too many requests", "rate limit", "rate exceeded", "request limit", "requests limit", "compute units"];
    matches!(error.code, 429 | -32007 | -32090) || words.iter().any(|words| message.contains(words))
}

// Blocks and states that a node does not have, or not any more, in the words of the nodes.
fn lacks(error: &NodeError) -> bool {
    let message = error.message.to_ascii_lowercase();
    [
        "header not found",
        "missing trie node",
        "unknown block",
        "block not found",
        "blockoutofrange",
        "block out of range",
        "block height is",
        "state not available",
        "state is not available",
        "historical state",
        "is not available, lowest height",
        "indexing is in progress",
    ]
    .iter()
    .any(|mark| message.contains(mark))
}

#[async_trait]
impl Client for Node {
    async fn probe(&self) -> Result<Probe, Trouble> {
        let network = self.call::<U64>("eth_chainId", json!([])).await?.to();
        Ok(Probe { network, height: self.height().await? })
    }

    fn ready_in(&self) -> std::time::Duration {
        self.0.ready_in()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_too_much_refuses_nothing() {
        let error = |code: i64, message: &str| Trouble::Node(NodeError { code, message: message.into(), data: None });
        for (code, message, is_endpoints) in [
            (-32000, "Too many requests, slow down", true),
            (-32007, "50/second request limit reached", true),
            (-32090, "call limit reached", true),
            (429, "you have no more for today", true),
            (-32000, "the sky is falling", false),
            (-32000, "execution reverted: rate limit exceeded", false),
            (3, "execution reverted: Too many requests", false),
        ] {
            assert_eq!(understood(error(code, message)).is_endpoints(), is_endpoints, "{message}");
        }
    }

    #[test]
    fn failures_of_the_code_are_not_those_of_the_node() {
        let error = |message: &str| NodeError { code: -32603, message: message.into(), data: None };
        assert!(is_understood(&error("EVM error OutOfGas")) && is_understood(&error("nonce too low")));
        assert!(!is_understood(&error("internal error")));
        assert!(lacks(&error("header not found")) && !lacks(&error("execution reverted")));
    }
}
