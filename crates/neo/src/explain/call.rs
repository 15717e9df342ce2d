//! Calls of contracts, and the value that they move.

use num_bigint::BigInt;
use serde::{Serialize, Serializer};

use crate::{
    hash::Hash160,
    native,
    script::CallFlags,
    stack::StackItem,
    token::{MAX_TOKEN_ID, format_amount},
};

/// A call of a contract with known arguments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// Where in the script what belongs to it begins.
    pub offset: usize,
    /// The contract.
    pub contract: Hash160,
    /// The contract's name, if it is a native one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// The method.
    pub method: String,
    /// What the contract may do.
    #[serde(serialize_with = "as_text")]
    pub flags: CallFlags,
    /// The arguments.
    pub args: Vec<StackItem>,
    /// What the script does with the result.
    pub then: Then,
    /// Whether it stands in a block of its own, so that what it throws is caught and the script goes on.
    pub isolated: bool,
    /// The value that it moves, if it has the form of a token's transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moves: Option<Moves>,
}

/// What a script does with the result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// It is left on the stack.
    Keep,
    /// Unless it is true, the script faults.
    Assert,
    /// It is dropped.
    Drop,
}

/// A call that has the form of a token's transfer. Whether the contract is a token, and does what the standard says,
/// only its natives are known for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moves {
    /// The standard whose form the call has.
    pub standard: Standard,
    /// Who gives; not said in a transfer of an undivided token, which whoever owns it gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Hash160>,
    /// Whether the one who gives is among the transaction's signers, whatever the scope; if both are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_signs: Option<bool>,
    /// Who takes.
    pub to: Hash160,
    /// How much, in the smallest unit.
    #[serde(serialize_with = "as_text")]
    pub amount: BigInt,
    /// Which token.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_hex")]
    pub id: Option<Vec<u8>>,
    /// What is known of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenInfo>,
}

/// The standards of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Standard {
    /// Fungible.
    #[serde(rename = "NEP-17")]
    Nep17,
    /// Non-fungible, the whole of it.
    #[serde(rename = "NEP-11")]
    Nep11,
    /// Non-fungible, a part of it.
    #[serde(rename = "NEP-11 divisible")]
    Nep11Divisible,
}

/// What somebody knows of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// Its short name.
    pub symbol: String,
    /// The decimals of its amounts.
    pub decimals: u8,
}

/// What the one who asks knows.
pub(super) struct Knowledge<'a> {
    pub(super) signers: &'a [Hash160],
    pub(super) tokens: &'a dyn Fn(&Hash160) -> Option<TokenInfo>,
}

impl Moves {
    /// The amount with its token, as `1.5 GAS`, or `150000000 of the smallest unit` if the decimals are not known.
    pub fn text(&self) -> String {
        match (&self.token, self.standard) {
            (Some(token), Standard::Nep17 | Standard::Nep11Divisible) => {
                format!("{} {}", format_amount(&self.amount, token.decimals), token.symbol)
            }
            (Some(token), Standard::Nep11) => format!("one {}", token.symbol),
            (None, Standard::Nep11) => "one token".into(),
            (None, _) => format!("{} of the smallest unit", self.amount),
        }
    }
}

impl Call {
    pub(super) fn new(
        offset: usize,
        contract: Hash160,
        method: String,
        flags: CallFlags,
        args: Vec<StackItem>,
        known: &Knowledge<'_>,
    ) -> Self {
        let name = native::ALL.iter().find(|(_, hash)| *hash == contract).map(|(name, _)| *name);
        let moves = (method == "transfer").then(|| moves(&contract, &args, known)).flatten();
        Self { offset, contract, name, method, flags, args, then: Then::Keep, isolated: false, moves }
    }
}

fn moves(contract: &Hash160, args: &[StackItem], known: &Knowledge<'_>) -> Option<Moves> {
    let account = |item: &StackItem| match item {
        StackItem::ByteString(_) => item.as_hash160().ok(),
        _ => None,
    };
    let (standard, from, to, amount, id) = match args {
        [from, to, StackItem::Integer(amount), _] => {
            (Standard::Nep17, Some(account(from)?), account(to)?, amount.clone(), None)
        }
        [to, StackItem::ByteString(id), _] if id.len() <= MAX_TOKEN_ID => {
            (Standard::Nep11, None, account(to)?, 1.into(), Some(id.clone()))
        }
        [from, to, StackItem::Integer(amount), StackItem::ByteString(id), _] if id.len() <= MAX_TOKEN_ID => {
            (Standard::Nep11Divisible, Some(account(from)?), account(to)?, amount.clone(), Some(id.clone()))
        }
        _ => return None,
    };
    let from_signs = from.filter(|_| !known.signers.is_empty()).map(|from| known.signers.contains(&from));
    let native = |symbol: &str, decimals| Some(TokenInfo { symbol: symbol.into(), decimals });
    let token = match *contract {
        native::GAS => native("GAS", 8),
        native::NEO => native("NEO", 0),
        _ => (known.tokens)(contract),
    };
    Some(Moves { standard, from, from_signs, to, amount, id, token })
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_hex<S: Serializer>(value: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(bytes) => serializer.collect_str(&format_args!("0x{}", hex::encode(bytes))),
        None => serializer.serialize_none(),
    }
}
