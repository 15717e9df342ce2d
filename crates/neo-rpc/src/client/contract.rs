//! Contracts and their storage.

use neo::Hash160;
use serde::Serialize;
use serde_json::json;

use super::{Client, known};
use crate::{
    error::Result,
    model::{Base64, ContractState, FoundStorage},
};

/// A contract by any of its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ContractRef {
    /// Its hash.
    Hash(Hash160),
    /// Its number.
    Id(i32),
    /// Its name, for those that every network has.
    Native(String),
}

impl From<Hash160> for ContractRef {
    fn from(hash: Hash160) -> Self {
        Self::Hash(hash)
    }
}

impl From<i32> for ContractRef {
    fn from(id: i32) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for ContractRef {
    fn from(name: &str) -> Self {
        Self::Native(name.to_owned())
    }
}

impl Client {
    /// A contract. None when there is none.
    pub async fn contract(&self, contract: impl Into<ContractRef>) -> Result<Option<ContractState>> {
        known(self.call("getcontractstate", &[json!(contract.into())]).await)
    }

    /// The contracts that every network has.
    pub async fn native_contracts(&self) -> Result<Vec<ContractState>> {
        self.call("getnativecontracts", &[]).await
    }

    /// The value of a key of a contract's storage.
    pub async fn storage(&self, contract: impl Into<ContractRef>, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let params = [json!(contract.into()), json!(Base64(key.to_vec()))];
        Ok(known(self.call::<Option<Base64>>("getstorage", &params).await)?.flatten().map(|Base64(value)| value))
    }

    /// The keys of a contract's storage that begin with `prefix`, without the first `skip` of them.
    pub async fn find_storage(
        &self,
        contract: impl Into<ContractRef>,
        prefix: &[u8],
        skip: u32,
    ) -> Result<FoundStorage> {
        self.call("findstorage", &[json!(contract.into()), json!(Base64(prefix.to_vec())), json!(skip)]).await
    }
}
