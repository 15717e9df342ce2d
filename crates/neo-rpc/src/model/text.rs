//! The forms that nodes give to numbers and bytes in JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use num_bigint::BigInt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use neo::Hash160;

/// Bytes as base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bytes::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize(&self.0, serializer)
    }
}

/// Bytes as base64. Null is none.
pub(crate) mod bytes {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        STANDARD.decode(text).map_err(|_| D::Error::custom("not base64"))
    }
}

/// A whole number, as a number or as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal<T>(pub(crate) T);

impl<'de, T: std::str::FromStr> Deserialize<'de> for Decimal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        decimal::deserialize(deserializer).map(Self)
    }
}

/// A whole number, read from a number or from text, written as text.
pub(crate) mod decimal {
    use std::{fmt::Display, str::FromStr};

    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let wrong = || D::Error::custom("not a whole number of this size");
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.to_string().parse().map_err(|_| wrong()),
            serde_json::Value::String(text) => text.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// An amount of any size, written as text.
pub(crate) mod amount {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &BigInt, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BigInt, D::Error> {
        // The time to read a number grows with the square of its length; the VM's largest has 78 digits.
        let text: String = decimal::deserialize(deserializer)?;
        if text.len() > 100 {
            return Err(D::Error::custom("a number of more than 100 digits"));
        }
        text.parse().map_err(|_| D::Error::custom("not a whole number"))
    }
}

/// An account, written as its address.
pub(crate) mod address {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(account: &Hash160, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&account.address())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hash160, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash160::from_text(&text).map_err(D::Error::custom)
    }
}

/// An account, written as its address, or nobody: null, or no text.
pub(crate) mod maybe_address {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(account: &Option<Hash160>, serializer: S) -> Result<S::Ok, S::Error> {
        account.map(|account| account.address()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hash160>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
        text.map(|text| Hash160::from_text(&text).map_err(D::Error::custom)).transpose()
    }
}

/// Null as the empty value.
pub(crate) fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
