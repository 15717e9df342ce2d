use std::collections::BTreeMap;

use neo::{Hash160, Hash256};
use num_bigint::BigInt;
use serde::{Deserialize, Serialize};

use super::text::{address, amount, maybe_address};

/// What an account has of a fungible token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nep17Balance {
    /// The token's contract.
    #[serde(rename = "assethash")]
    pub asset: Hash160,
    /// How much, in the token's smallest unit.
    #[serde(with = "amount")]
    pub amount: BigInt,
    /// The block that changed it last.
    #[serde(rename = "lastupdatedblock")]
    pub last_updated_block: u32,
    /// The token's name; empty where the node does not say it.
    #[serde(default)]
    pub name: String,
    /// The token's symbol; empty where the node does not say it.
    #[serde(default)]
    pub symbol: String,
    /// The token's decimals, as text; empty where the node does not say them.
    #[serde(default)]
    pub decimals: String,
}

/// What an account has of a contract's single tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nep11Balance {
    /// The tokens' contract.
    #[serde(rename = "assethash")]
    pub asset: Hash160,
    /// The contract's name; empty where the node does not say it.
    #[serde(default)]
    pub name: String,
    /// Its symbol; empty where the node does not say it.
    #[serde(default)]
    pub symbol: String,
    /// Its decimals, as text; empty where the node does not say them.
    #[serde(default)]
    pub decimals: String,
    /// The tokens.
    pub tokens: Vec<Nep11Token>,
}

/// What an account has of one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nep11Token {
    /// The token's id, in hex.
    #[serde(rename = "tokenid")]
    pub id: String,
    /// How much of it: 1, unless the token can be divided.
    #[serde(with = "amount")]
    pub amount: BigInt,
    /// The block that changed it last.
    #[serde(rename = "lastupdatedblock")]
    pub last_updated_block: u32,
}

/// Transfers from and to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfers<T> {
    /// From it.
    pub sent: Vec<T>,
    /// To it.
    pub received: Vec<T>,
    /// The account.
    #[serde(with = "address")]
    pub address: Hash160,
}

/// A transfer of a fungible token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nep17Transfer {
    /// When, in milliseconds since 1970.
    pub timestamp: u64,
    /// The token's contract.
    #[serde(rename = "assethash")]
    pub asset: Hash160,
    /// The other side; nobody when it was minted or burnt.
    #[serde(rename = "transferaddress", default, with = "maybe_address")]
    pub other: Option<Hash160>,
    /// How much, in the token's smallest unit.
    #[serde(with = "amount")]
    pub amount: BigInt,
    /// The block.
    #[serde(rename = "blockindex")]
    pub block: u32,
    /// Which of the transaction's notifications it was.
    #[serde(rename = "transfernotifyindex")]
    pub notification: u32,
    /// The transaction; all zero when it was none.
    #[serde(rename = "txhash")]
    pub transaction: Hash256,
}

/// A transfer of a single token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nep11Transfer {
    /// The token's id, in hex.
    #[serde(rename = "tokenid")]
    pub id: String,
    /// The rest.
    #[serde(flatten)]
    pub transfer: Nep17Transfer,
}

/// The balances of an account.
#[derive(Deserialize)]
pub(crate) struct Balances<T> {
    pub(crate) balance: Vec<T>,
}

/// What a single token says of itself; data that is no text is in base64, or hex, as the node writes it.
pub(crate) type Properties = BTreeMap<String, Option<String>>;
