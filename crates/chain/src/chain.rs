//! The trait over both chains, and what goes through it.

use std::{fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use nsl_core::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    event::{BlockRef, Event, Filter},
    n3,
    pool::EndpointStatus,
    x,
};

/// The two kinds of chains, named in paths and JSON as `neo-n3` and `neo-x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChainKind {
    #[serde(rename = "neo-n3")]
    NeoN3,
    #[serde(rename = "neo-x")]
    NeoX,
}

impl ChainKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::NeoN3 => "neo-n3",
            Self::NeoX => "neo-x",
        }
    }
}

impl fmt::Display for ChainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ChainKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "neo-n3" => Ok(Self::NeoN3),
            "neo-x" => Ok(Self::NeoX),
            _ => Err(Error::invalid("chain.unknown", "the chain must be neo-n3 or neo-x")),
        }
    }
}

/// The hash that names a transaction: `0x` and 64 small hex digits, as nodes of its chain show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TxId(String);

impl TxId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TxId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Error::invalid("chain.tx_id_invalid", "a transaction id is 0x and 64 hex digits"));
        }
        Ok(Self(format!("0x{}", digits.to_ascii_lowercase())))
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TxId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes, `0x` and hex in JSON.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| serde::de::Error::custom("bytes begin with 0x"))?;
        hex::decode(digits).map(Self).map_err(serde::de::Error::custom)
    }
}

/// What to run, in the terms of its chain.
#[derive(Clone, Debug)]
pub enum Call {
    N3(n3::Call),
    X(x::Call),
}

/// What a run gave back, in the terms of its chain.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The stack of the VM, in the order in which nodes show it.
    N3(Vec<neo::stack::StackItem>),
    /// What was returned, to be read with an ABI.
    X(Bytes),
}

/// Why a run came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// In words: the exception of the VM, the text of a revert, the meaning of a panic code.
    pub reason: String,
    /// What a contract of Neo X reverted with, to be read with its ABI when it is an error of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes>,
}

/// What running a call would do, without doing it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What it gives back, or why it comes to nothing.
    pub output: Result<Output, Fault>,
    /// N3: the system fee it takes, in units of 10⁻⁸ GAS. Neo X: the gas limit it needs.
    pub gas: u64,
    /// What it would tell the world, in order; none when the node can't say.
    pub events: Option<Vec<Event>>,
}

/// What became of a transaction.
#[derive(Clone, Debug)]
pub enum Receipt {
    /// No endpoint has heard of it. It may still arrive: only its validity (N3) or its nonce (Neo X) tells when not.
    Unknown,
    /// In the memory of a node, in no block.
    Pending,
    Executed(Box<Executed>),
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub struct Executed {
    pub id: TxId,
    pub block: BlockRef,
    /// Its place in the block.
    pub index: u32,
    /// Why it failed; none when it did what it was to do.
    pub fault: Option<Fault>,
    /// What it cost: 10⁻⁸ GAS on N3, wei on Neo X.
    pub fee: u128,
    /// N3: the system fee consumed. Neo X: the gas used.
    pub gas: u64,
    pub events: Vec<Event>,
    /// The contract that it made (Neo X).
    pub contract: Option<String>,
    /// N3: what its script left on the stack.
    pub output: Option<Output>,
    /// Whether it is as deep as finality asks.
    pub is_final: bool,
}

/// A stretch of a chain, as a watcher reads it.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// The block before the stretch, as the chain has it now; none when the endpoint has none there.
    pub before: Option<BlockRef>,
    /// The blocks whose replacement can still be noticed, the last of the stretch among them; ascending.
    pub blocks: Vec<BlockRef>,
    /// The events of the stretch, in order.
    pub events: Vec<Event>,
}

/// What services ask of either chain. What only one of them has is with [`n3::NeoN3`] and [`x::NeoX`].
#[async_trait]
pub trait Chain: Send + Sync + 'static {
    fn kind(&self) -> ChainKind;

    /// Magic or chain id.
    fn network(&self) -> u64;

    /// How many blocks, its own among them, a transaction needs to stand for good.
    fn finality(&self) -> u64 {
        1
    }

    /// The height of the last block.
    async fn height(&self) -> Result<u64>;

    /// Runs a call without changing anything, now or as of a past block. A fault or revert is `chain.reverted`.
    async fn read(&self, call: &Call, at: Option<u64>) -> Result<Output>;

    /// A test run: what a call would cost, give and tell.
    async fn simulate(&self, call: &Call) -> Result<Trial>;

    /// Sends a signed transaction. Sending it again is no error, also when it is in a block already.
    async fn send(&self, signed: &[u8]) -> Result<TxId>;

    /// What became of a transaction. Before one is called unknown every endpoint has been asked.
    async fn receipt(&self, id: &TxId) -> Result<Receipt>;

    /// The events from block `from` on; none when there is no such block yet. `most` bounds how many blocks at most
    /// are read one by one.
    async fn stretch(&self, from: u64, most: u32, filter: &Filter) -> Result<Option<Stretch>>;

    /// How often a watcher looks for a new block.
    fn poll(&self) -> std::time::Duration;

    /// How many blocks back a watcher remembers, to notice that one was replaced.
    fn memory(&self) -> usize;

    /// What is known of each endpoint.
    fn endpoints(&self) -> Vec<EndpointStatus>;

    /// Keeps looking after the endpoints; never returns. One task of the process runs it.
    async fn tend(&self);
}

/// A chain, shared.
pub type SharedChain = Arc<dyn Chain>;

pub(crate) fn wrong_call(kind: ChainKind) -> Error {
    Error::invalid("chain.wrong_chain", format!("the call is for the other chain than {kind}"))
}

pub(crate) fn reverted(kind: ChainKind, fault: &Fault) -> Error {
    let error = Error::invalid("chain.reverted", format!("the call on {kind} came to nothing: {}", fault.reason))
        .detail("chain", kind.name())
        .detail("reason", fault.reason.clone());
    match &fault.data {
        Some(data) => error.detail("data", data.to_string()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_read_back_as_written() {
        let id: TxId = "AB".repeat(32).parse().unwrap();
        assert_eq!(id.as_str(), format!("0x{}", "ab".repeat(32)));
        assert_eq!(serde_json::from_str::<TxId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        for bad in ["", "0x", "0x12", &"zz".repeat(32), &"0xab".repeat(16)] {
            assert!(bad.parse::<TxId>().is_err(), "{bad}");
        }
        for kind in [ChainKind::NeoN3, ChainKind::NeoX] {
            assert_eq!(kind.name().parse::<ChainKind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(serde_json::to_string(&Bytes(vec![1, 255])).unwrap(), "\"0x01ff\"");
        assert_eq!(serde_json::from_str::<Bytes>("\"0x01ff\"").unwrap(), Bytes(vec![1, 255]));
    }
}
