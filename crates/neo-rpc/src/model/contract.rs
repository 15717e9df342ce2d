use neo::{Hash160, manifest::Manifest, nef::Nef};
use serde::{Deserialize, Serialize};

use super::text::bytes;

/// A deployed contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContractState {
    /// Its number; negative for those that every network has.
    pub id: i32,
    /// How often it was updated.
    #[serde(rename = "updatecounter")]
    pub update_counter: u16,
    /// Its name.
    pub hash: Hash160,
    /// Its program.
    pub nef: Nef,
    /// What it offers and asks.
    pub manifest: Manifest,
}

/// A page of a contract's storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundStorage {
    /// What was found, in the order of the keys.
    pub results: Vec<StorageItem>,
    /// Where the next page starts.
    #[serde(default)]
    pub next: u32,
    /// Whether there is one.
    pub truncated: bool,
}

/// A key of a contract's storage and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageItem {
    /// The whole key, without the number of the contract.
    #[serde(with = "bytes")]
    pub key: Vec<u8>,
    /// The value.
    #[serde(with = "bytes")]
    pub value: Vec<u8>,
}
