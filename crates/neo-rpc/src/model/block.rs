use neo::{
    Hash160, Hash256, PublicKey,
    block::{Block, Header},
    tx::Transaction,
};
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};

use super::{
    log::VmState,
    text::{address, amount, decimal, or_default},
};

/// A block by its place or by its hash. Historic calls take the hash of a state root as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum At {
    /// The number of a block; the first is 0.
    Height(u32),
    /// The hash of a block or of a state root.
    Hash(Hash256),
}

impl From<u32> for At {
    fn from(height: u32) -> Self {
        Self::Height(height)
    }
}

impl From<Hash256> for At {
    fn from(hash: Hash256) -> Self {
        Self::Hash(hash)
    }
}

/// A header and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderView {
    /// The header.
    #[serde(flatten)]
    pub header: Header,
    /// How many blocks there are from it on, itself included.
    #[serde(default)]
    pub confirmations: u32,
    /// The block after it.
    #[serde(rename = "nextblockhash", default)]
    pub next: Option<Hash256>,
}

/// A block and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockView {
    /// The block.
    #[serde(flatten)]
    pub block: Block,
    /// How many blocks there are from it on, itself included.
    #[serde(default)]
    pub confirmations: u32,
    /// The block after it.
    #[serde(rename = "nextblockhash", default)]
    pub next: Option<Hash256>,
}

/// A transaction and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionView {
    /// The transaction.
    #[serde(flatten)]
    pub transaction: Transaction,
    /// The block that has it; none while it waits in the pool.
    #[serde(rename = "blockhash", default)]
    pub block: Option<Hash256>,
    /// How many blocks there are from its block on.
    #[serde(default)]
    pub confirmations: u32,
    /// When its block was made, in milliseconds since 1970.
    #[serde(rename = "blocktime", default)]
    pub block_time: Option<u64>,
    /// How it ended, where the node says so.
    #[serde(rename = "vmstate", default)]
    pub vm_state: Option<VmState>,
}

/// The pool of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MempoolView {
    /// The newest block.
    pub height: u32,
    /// Those that may go into the next block.
    #[serde(deserialize_with = "or_default")]
    pub verified: Vec<Hash256>,
    /// Those that are to be checked anew.
    #[serde(deserialize_with = "or_default")]
    pub unverified: Vec<Hash256>,
}

/// Who stands for election to the committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The candidate's key.
    #[serde(rename = "publickey")]
    pub key: PublicKey,
    /// How many NEO vote for it.
    #[serde(with = "decimal")]
    pub votes: i64,
    /// Whether it is among those who make blocks now.
    #[serde(default)]
    pub active: bool,
}

/// Who makes the next block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// The validator's key.
    #[serde(rename = "publickey")]
    pub key: PublicKey,
    /// How many NEO vote for it.
    #[serde(with = "decimal")]
    pub votes: i64,
}

/// GAS that an account's NEO has earned and that it has not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnclaimedGas {
    /// In units of 10⁻⁸ GAS.
    #[serde(with = "amount")]
    pub unclaimed: BigInt,
    /// The account.
    #[serde(with = "address")]
    pub address: Hash160,
}

/// The other nodes that a node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peers {
    /// Known, and not connected.
    #[serde(default, deserialize_with = "or_default")]
    pub unconnected: Vec<Peer>,
    /// Connected.
    #[serde(default, deserialize_with = "or_default")]
    pub connected: Vec<Peer>,
    /// Avoided.
    #[serde(default, deserialize_with = "or_default")]
    pub bad: Vec<Peer>,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its IP address.
    pub address: String,
    /// Its port.
    #[serde(with = "decimal")]
    pub port: u16,
    /// Its program and version (neo-go).
    #[serde(rename = "useragent", default, skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    /// The newest block that it told (neo-go).
    #[serde(rename = "lastknownheight", default)]
    pub last_known_height: u32,
}
