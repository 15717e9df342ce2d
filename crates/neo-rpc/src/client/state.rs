//! State roots, proofs, and old states.

use neo::{Hash160, Hash256};
use serde_json::json;

use super::{Client, ContractRef, known};
use crate::{
    error::Result,
    model::{At, Base64, FoundStates, FoundStorage, StateHeight, StateRoot},
};

impl Client {
    /// The root over the state after a block.
    pub async fn state_root(&self, at: impl Into<At>) -> Result<StateRoot> {
        self.call("getstateroot", &[json!(at.into())]).await
    }

    /// How far the node's state roots go.
    pub async fn state_height(&self) -> Result<StateHeight> {
        self.call("getstateheight", &[]).await
    }

    /// Proves, under a state root, the value of a key of a contract's storage. None when there is no such key.
    pub async fn proof(&self, root: Hash256, contract: Hash160, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let params = [json!(root), json!(contract), json!(Base64(key.to_vec()))];
        Ok(known(self.call("getproof", &params).await)?.map(|Base64(proof)| proof))
    }

    /// Has the node check a proof, and gives the value that it proves.
    pub async fn verify_proof(&self, root: Hash256, proof: &[u8]) -> Result<Vec<u8>> {
        let params = [json!(root), json!(Base64(proof.to_vec()))];
        self.call("verifyproof", &params).await.map(|Base64(value)| value)
    }

    /// The value that a key of a contract's storage had under a state root.
    pub async fn state(&self, root: Hash256, contract: Hash160, key: &[u8]) -> Result<Vec<u8>> {
        let params = [json!(root), json!(contract), json!(Base64(key.to_vec()))];
        self.call("getstate", &params).await.map(|Base64(value)| value)
    }

    /// The keys of a contract's storage that begin with `prefix`, under a state root; those after `after`, and `most`
    /// of them at most.
    pub async fn find_states(
        &self,
        root: Hash256,
        contract: Hash160,
        prefix: &[u8],
        after: Option<&[u8]>,
        most: Option<u32>,
    ) -> Result<FoundStates> {
        let mut params = vec![json!(root), json!(contract), json!(Base64(prefix.to_vec()))];
        if after.is_some() || most.is_some() {
            params.push(json!(Base64(after.unwrap_or_default().to_vec())));
        }
        params.extend(most.map(|most| json!(most)));
        self.call("findstates", &params).await
    }

    /// The value that a key of a contract's storage had under a state root (neo-go).
    pub async fn storage_historic(
        &self,
        root: Hash256,
        contract: impl Into<ContractRef>,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let params = [json!(root), json!(contract.into()), json!(Base64(key.to_vec()))];
        Ok(known(self.call("getstoragehistoric", &params).await)?.map(|Base64(value)| value))
    }

    /// The keys of a contract's storage that began with `prefix` under a state root, without the first `skip` of them
    /// (neo-go).
    pub async fn find_storage_historic(
        &self,
        root: Hash256,
        contract: impl Into<ContractRef>,
        prefix: &[u8],
        skip: u32,
    ) -> Result<FoundStorage> {
        let params = [json!(root), json!(contract.into()), json!(Base64(prefix.to_vec())), json!(skip)];
        self.call("findstoragehistoric", &params).await
    }
}
