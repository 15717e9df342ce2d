use neo::{
    Hash160,
    stack::StackItem,
    tx::{Signer, Witness},
};
use serde::{Deserialize, Serialize};

use super::{
    Notification, Shown, VmState,
    text::{bytes, decimal, or_default},
};

/// Whom a test run takes as signer: the account with its scopes, and a witness where the run checks one itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InvokeSigner {
    /// The account and its scopes.
    #[serde(flatten)]
    pub signer: Signer,
    /// Its witness. A run of a script takes every signer's word; a run of a contract's `verify` uses it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
}

impl From<Signer> for InvokeSigner {
    fn from(signer: Signer) -> Self {
        Self { signer, witness: None }
    }
}

/// What a test run did. Nothing of it is in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvocationResult {
    /// The script that ran.
    #[serde(with = "bytes")]
    pub script: Vec<u8>,
    /// How it ended.
    pub state: VmState,
    /// What it cost, in units of 10⁻⁸ GAS: the system fee that a transaction with this script needs.
    #[serde(rename = "gasconsumed", with = "decimal")]
    pub gas_consumed: i64,
    /// Why it failed.
    #[serde(default)]
    pub exception: Option<String>,
    /// What it left on the stack.
    pub stack: Shown<Vec<StackItem>>,
    /// What contracts told.
    #[serde(default, deserialize_with = "or_default")]
    pub notifications: Vec<Notification>,
    /// Where the node keeps the iterators of the stack for a while.
    #[serde(default)]
    pub session: Option<String>,
    /// The calls and changes, when they were asked for.
    #[serde(default)]
    pub diagnostics: Option<Diagnostics>,
}

/// Which contracts a test run called and what it changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// The changes of storage.
    #[serde(rename = "storagechanges", default, deserialize_with = "or_default")]
    pub storage_changes: Vec<StorageChange>,
    /// Who called whom.
    #[serde(rename = "invokedcontracts", default, deserialize_with = "one_or_more")]
    pub calls: Vec<CallTree>,
}

/// neo-cli shows one tree, neo-go a list of them.
fn one_or_more<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<CallTree>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Calls {
        None(()),
        One(CallTree),
        More(Vec<CallTree>),
    }
    Ok(match Calls::deserialize(deserializer)? {
        Calls::None(()) => Vec::new(),
        Calls::One(tree) => vec![tree],
        Calls::More(trees) => trees,
    })
}

/// A script or contract, and what it called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTree {
    /// The hash of the script or contract.
    pub hash: Hash160,
    /// What it called, in order.
    #[serde(rename = "call", default, deserialize_with = "or_default")]
    pub calls: Vec<CallTree>,
}

/// A change of storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageChange {
    /// `Added`, `Changed` or `Deleted`.
    pub state: String,
    /// The number of the contract, four bytes little-endian, and its key.
    #[serde(with = "bytes")]
    pub key: Vec<u8>,
    /// The new value.
    #[serde(default, with = "bytes")]
    pub value: Vec<u8>,
}
