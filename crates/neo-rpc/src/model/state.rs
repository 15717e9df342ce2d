use neo::{Hash256, tx::Witness};
use serde::{Deserialize, Serialize};

use super::{Base64, contract::StorageItem, text::or_default};

/// The root over the state after a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRoot {
    /// Always 0 so far.
    pub version: u8,
    /// The block.
    pub index: u32,
    /// The root of the tree over all storage.
    #[serde(rename = "roothash")]
    pub root: Hash256,
    /// Signatures of the state validators, once they agree.
    #[serde(default, deserialize_with = "or_default")]
    pub witnesses: Vec<Witness>,
}

/// How far the state roots of a node go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHeight {
    /// The newest root that the node has made.
    #[serde(rename = "localrootindex")]
    pub local: u32,
    /// The newest root that the state validators have signed.
    #[serde(rename = "validatedrootindex")]
    pub validated: u32,
}

/// A page of a contract's storage under a state root, with proofs of its first and last item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundStates {
    /// What was found, in the order of the keys.
    pub results: Vec<StorageItem>,
    /// Proves the first item.
    pub first_proof: Option<Vec<u8>>,
    /// Proves the last item, if there is more than one.
    pub last_proof: Option<Vec<u8>>,
    /// Whether there are more.
    pub truncated: bool,
}

impl<'de> Deserialize<'de> for FoundStates {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Form {
            results: Vec<StorageItem>,
            #[serde(default)]
            first_proof: Option<Base64>,
            #[serde(default)]
            last_proof: Option<Base64>,
            truncated: bool,
        }
        let Form { results, first_proof, last_proof, truncated } = Form::deserialize(deserializer)?;
        let bytes = |proof: Base64| proof.0;
        Ok(Self { results, first_proof: first_proof.map(bytes), last_proof: last_proof.map(bytes), truncated })
    }
}
