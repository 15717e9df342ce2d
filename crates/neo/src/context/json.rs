//! The JSON of signing contexts.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Value, json};

use super::{
    Context,
    item::{Item, Signatures, Slot},
};
use crate::{
    error::{Error, Result, malformed},
    hash::{Hash160, Hash256},
    keys::PublicKey,
    manifest::ParameterType,
    stack::Param,
    tx::{MOST_WITNESS_SCRIPT, Transaction, in_base64},
};

const TYPE: &str = "Neo.Network.P2P.Payloads.Transaction";
/// What some wallets of Neo Legacy wrote, and neo-go still reads.
const OLD_TYPE: &str = "Neo.Core.ContractTransaction";

#[derive(Serialize, Deserialize)]
pub(super) struct Form {
    #[serde(rename = "type")]
    kind: String,
    hash: Option<Hash256>,
    #[serde(with = "in_base64")]
    data: Vec<u8>,
    items: BTreeMap<Hash160, ItemForm>,
    network: u32,
}

#[derive(Serialize, Deserialize)]
struct ItemForm {
    script: Option<Base64>,
    #[serde(default, deserialize_with = "null_is_none")]
    parameters: Vec<Slot>,
    #[serde(default, deserialize_with = "null_is_none")]
    signatures: BTreeMap<PublicKey, Base64>,
}

/// Programs in Go write `null` for a list or a map that has nothing.
fn null_is_none<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

struct Base64(Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        in_base64::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        in_base64::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Some(value) => value.serialize(serializer),
            None => json!({"type": self.kind}).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Value::deserialize(deserializer)?;
        let kind = ParameterType::deserialize(&json["type"]).map_err(D::Error::custom)?;
        let value = (!json["value"].is_null()).then(|| Param::from_json(&json)).transpose();
        Ok(Self { kind, value: value.map_err(D::Error::custom)? })
    }
}

impl From<Context> for Form {
    fn from(context: Context) -> Self {
        Self {
            kind: TYPE.into(),
            hash: Some(context.transaction.hash()),
            data: context.transaction.unsigned_bytes(),
            items: context.items.into_iter().map(|(account, item)| (account, item.into())).collect(),
            network: context.network,
        }
    }
}

impl From<Item> for ItemForm {
    fn from(item: Item) -> Self {
        let parameters = item.slots();
        let (script, signatures) = match item {
            Item::Keys { script, signatures, .. } => (Some(script), signatures),
            Item::Other { script, signatures, .. } => (script, signatures),
        };
        let signatures = signatures.into_iter().map(|(key, signature)| (key, Base64(signature.into()))).collect();
        Self { script: script.map(Base64), parameters, signatures }
    }
}

impl TryFrom<Form> for Context {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self> {
        if ![TYPE, OLD_TYPE].contains(&form.kind.as_str()) {
            return Err(malformed("signing context", "not of a transaction"));
        }
        let mut context = Self::new(form.network, Transaction::from_unsigned_bytes(&form.data)?)?;
        if form.hash.is_some_and(|hash| hash != context.transaction.hash()) {
            return Err(malformed("signing context", "its hash is not that of its transaction"));
        }
        let message = context.message();
        for (account, item) in form.items {
            let account = context.signer(account)?;
            context.items.insert(account, item.read(&account, &message)?);
        }
        Ok(context)
    }
}

impl ItemForm {
    fn read(self, account: &Hash160, message: &[u8]) -> Result<Item> {
        let signatures = |of: BTreeMap<PublicKey, Base64>| -> Result<Signatures> {
            let read = |(key, Base64(bytes)): (_, Base64)| {
                let signature =
                    bytes.try_into().map_err(|_| malformed("signing context", "a signature of a wrong size"));
                signature.map(|signature| (key, signature))
            };
            of.into_iter().map(read).collect()
        };
        // neo-cli writes an empty script for a contract, neo-go none.
        let Some(Base64(script)) = self.script.filter(|script| !script.0.is_empty()) else {
            return Ok(Item::Other {
                script: None,
                parameters: self.parameters,
                signatures: signatures(self.signatures)?,
            });
        };
        if script.len() as u64 > MOST_WITNESS_SCRIPT || Hash160::of_script(&script) != *account {
            return Err(malformed("signing context", format!("the script is not that of {}", account.address())));
        }
        let Ok(mut item) = Item::of_script(&script) else {
            let (script, signatures) = (Some(script), signatures(self.signatures)?);
            return Ok(Item::Other { script, parameters: self.parameters, signatures });
        };
        for (key, signature) in signatures(self.signatures)? {
            item.add(&key, signature, message)?;
        }
        // Each is tried with each key: more of them than keys would only cost time.
        if self.parameters.len() > item.keys() {
            return Err(malformed("signing context", format!("more signatures than keys of {}", account.address())));
        }
        // neo-go notes the signature of an account of one key here only.
        for slot in self.parameters {
            if let Some(Param::Signature(signature)) = slot.value {
                item.add_unnamed(signature, message)?;
            }
        }
        Ok(item)
    }
}
