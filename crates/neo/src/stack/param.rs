//! Typed arguments.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use num_bigint::BigInt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::Value;

use super::{Budget, number::from_decimal};
use crate::{
    Hash160, Hash256, PublicKey,
    error::{Result, malformed},
    manifest::ParameterType,
};

/// An argument of a contract's method.
///
/// Its JSON is what nodes take in `invokefunction`: `{"type":"Integer","value":"1"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param {
    /// Null. Nodes call it `Any` without a value; a null of any type reads as this.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer; more than 256 bits are refused when it is read or put into a script.
    Integer(BigInt),
    /// Data.
    ByteArray(Vec<u8>),
    /// Text.
    String(String),
    /// An account or a contract.
    Hash160(Hash160),
    /// A transaction or a block.
    Hash256(Hash256),
    /// A public key.
    PublicKey(PublicKey),
    /// A signature.
    Signature([u8; 64]),
    /// A list.
    Array(Vec<Param>),
    /// Keys and their values, in the order in which they were given.
    Map(Vec<(Param, Param)>),
}

impl Param {
    /// Its type.
    pub fn kind(&self) -> ParameterType {
        match self {
            Param::Null => ParameterType::Any,
            Param::Boolean(_) => ParameterType::Boolean,
            Param::Integer(_) => ParameterType::Integer,
            Param::ByteArray(_) => ParameterType::ByteArray,
            Param::String(_) => ParameterType::String,
            Param::Hash160(_) => ParameterType::Hash160,
            Param::Hash256(_) => ParameterType::Hash256,
            Param::PublicKey(_) => ParameterType::PublicKey,
            Param::Signature(_) => ParameterType::Signature,
            Param::Array(_) => ParameterType::Array,
            Param::Map(_) => ParameterType::Map,
        }
    }

    /// Reads it from the JSON that nodes take.
    pub fn from_json(json: &Value) -> Result<Self> {
        Self::read(json, 1, &mut Budget::new())
    }

    pub(super) fn read(json: &Value, depth: usize, budget: &mut Budget) -> Result<Self> {
        budget.take("parameters", depth)?;
        let kind = ParameterType::deserialize(&json["type"])
            .map_err(|_| malformed("parameter", "not an object with the type of a parameter"))?;
        let value = &json["value"];
        let wrong = |why: &str| malformed("parameter", format!("of type {kind:?}: {why}"));
        let text = || value.as_str().ok_or_else(|| wrong("the value is not a string"));
        let list = || value.as_array().ok_or_else(|| wrong("the value is not a list"));
        if value.is_null() && kind != ParameterType::Void {
            return Ok(Param::Null);
        }
        Ok(match kind {
            ParameterType::Boolean => Param::Boolean(value.as_bool().ok_or_else(|| wrong("neither true nor false"))?),
            ParameterType::Integer => Param::Integer(match value {
                Value::Number(number) if number.is_i64() || number.is_u64() => from_decimal(&number.to_string())?,
                _ => from_decimal(text()?)?,
            }),
            ParameterType::ByteArray => Param::ByteArray(BASE64.decode(text()?).map_err(|_| wrong("not Base64"))?),
            ParameterType::Signature => {
                let bytes = BASE64.decode(text()?).map_err(|_| wrong("not Base64"))?;
                Param::Signature(bytes.try_into().map_err(|_| wrong("not 64 bytes"))?)
            }
            ParameterType::String => Param::String(text()?.to_owned()),
            ParameterType::Hash160 => Param::Hash160(text()?.parse()?),
            ParameterType::Hash256 => Param::Hash256(text()?.parse()?),
            ParameterType::PublicKey => Param::PublicKey(text()?.parse()?),
            ParameterType::Array => {
                Param::Array(list()?.iter().map(|item| Self::read(item, depth + 1, budget)).collect::<Result<_>>()?)
            }
            ParameterType::Map => {
                let entry = |entry: &Value| {
                    let key = Self::read(&entry["key"], depth + 1, budget)?;
                    Ok((key, Self::read(&entry["value"], depth + 1, budget)?))
                };
                Param::Map(list()?.iter().map(entry).collect::<Result<_>>()?)
            }
            ParameterType::Any => return Err(wrong("only null is known without a type of its own")),
            ParameterType::InteropInterface | ParameterType::Void => return Err(wrong("nobody can pass one")),
        })
    }
}

macro_rules! from {
    ($($name:ident: $($type:ty),+;)*) => {
        $($(impl From<$type> for Param {
            fn from(value: $type) -> Self {
                Param::$name(value.into())
            }
        })+)*
    };
}

from! {
    Boolean: bool;
    Integer: i32, u32, i64, u64, i128, u128, BigInt;
    ByteArray: Vec<u8>, &[u8];
    String: &str, String;
    Hash160: Hash160;
    Hash256: Hash256;
    PublicKey: PublicKey;
    Signature: [u8; 64];
    Array: Vec<Param>;
    Map: Vec<(Param, Param)>;
}

impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Into::into)
    }
}

/// A pair of a map, as nodes write it.
#[derive(Serialize)]
pub(super) struct Entry<'a, T> {
    pub(super) key: &'a T,
    pub(super) value: &'a T,
}

impl Serialize for Param {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(2))?;
        object.serialize_entry("type", &self.kind())?;
        match self {
            Param::Null => object.serialize_entry("value", &())?,
            Param::Boolean(value) => object.serialize_entry("value", value)?,
            Param::Integer(number) => object.serialize_entry("value", &number.to_string())?,
            Param::ByteArray(data) => object.serialize_entry("value", &BASE64.encode(data))?,
            Param::String(text) => object.serialize_entry("value", text)?,
            Param::Hash160(hash) => object.serialize_entry("value", hash)?,
            Param::Hash256(hash) => object.serialize_entry("value", hash)?,
            Param::PublicKey(key) => object.serialize_entry("value", key)?,
            Param::Signature(signature) => object.serialize_entry("value", &BASE64.encode(signature))?,
            Param::Array(items) => object.serialize_entry("value", items)?,
            Param::Map(entries) => {
                let entries: Vec<_> = entries.iter().map(|(key, value)| Entry { key, value }).collect();
                object.serialize_entry("value", &entries)?;
            }
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for Param {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_type_has_the_json_of_nodes() {
        let key = "03a9dd88b245b8a3dc982959540d25b57305d5ebaced0ac29a07eac5ad8573e90b";
        for (param, json) in [
            (Param::Null, json!({"type": "Any", "value": null})),
            (Param::from(true), json!({"type": "Boolean", "value": true})),
            (Param::from(-5), json!({"type": "Integer", "value": "-5"})),
            (Param::from(vec![1, 2]), json!({"type": "ByteArray", "value": "AQI="})),
            (Param::from("é"), json!({"type": "String", "value": "é"})),
            (
                Param::from(crate::native::GAS),
                json!({"type": "Hash160", "value": "0xd2a4cff31913016155e38e474a2c06d08be276cf"}),
            ),
            (Param::PublicKey(key.parse().unwrap()), json!({"type": "PublicKey", "value": key})),
            (Param::Signature([0; 64]), json!({"type": "Signature", "value": BASE64.encode([0; 64])})),
            (
                Param::Map(vec![("k".into(), Param::Array(vec![1.into()]))]),
                json!({"type": "Map", "value": [{
                    "key": {"type": "String", "value": "k"},
                    "value": {"type": "Array", "value": [{"type": "Integer", "value": "1"}]},
                }]}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&param).unwrap(), json);
            assert_eq!(Param::from_json(&json).unwrap(), param);
        }
    }

    #[test]
    fn what_nodes_take_in_other_forms_reads_too() {
        let read = |json: Value| Param::from_json(&json);
        assert_eq!(read(json!({"type": "Integer", "value": 7})).unwrap(), 7.into());
        assert_eq!(read(json!({"type": "Hash160"})).unwrap(), Param::Null);
        assert_eq!(read(json!({"type": "Any"})).unwrap(), Param::Null);
        for wrong in [
            json!({"type": "Integer", "value": 1.5}),
            json!({"type": "Integer", "value": 1e30}),
            json!({"type": "Integer", "value": "0x10"}),
            json!({"type": "Any", "value": "x"}),
            json!({"type": "Void"}),
            json!({"type": "Boolean", "value": "true"}),
            json!({"type": "ByteArray", "value": "!"}),
            json!({"type": "Array", "value": {}}),
            json!({"type": "Map", "value": [{"key": {"type": "Any"}}]}),
            json!({"value": 1}),
            json!(null),
            json!("x"),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn depth_has_a_bound() {
        let nested = |depth| (1..depth).fold(Param::from(1), |inner, _| Param::Array(vec![inner]));
        let json = |depth| serde_json::to_string(&nested(depth)).unwrap();
        assert!(serde_json::from_str::<Param>(&json(super::super::MAX_DEPTH)).is_ok());
        let error = Param::from_json(&serde_json::to_value(nested(super::super::MAX_DEPTH + 1)).unwrap()).unwrap_err();
        assert!(error.to_string().contains("depth"), "{error}");
        assert!(serde_json::from_str::<Param>(&"[".repeat(100_000)).is_err());
    }
}
