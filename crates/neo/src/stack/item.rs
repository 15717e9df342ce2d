//! Values that nodes show.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use num_bigint::BigInt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::Value;

use super::{Budget, Param, number::from_decimal, param::Entry};
use crate::error::{Result, malformed};

/// A value on the VM's stack.
///
/// Its JSON is what nodes show: `{"type":"ByteString","value":"AQI="}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StackItem {
    /// Null, which nodes call `Any`.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer.
    Integer(BigInt),
    /// Data that does not change.
    ByteString(Vec<u8>),
    /// Data that may be changed in place.
    Buffer(Vec<u8>),
    /// A list.
    Array(Vec<StackItem>),
    /// A list that is copied when it is passed on.
    Struct(Vec<StackItem>),
    /// Keys and their values.
    Map(Vec<(StackItem, StackItem)>),
    /// A place in the script.
    Pointer(u32),
    /// Something that only lives within the node.
    InteropInterface(InteropInterface),
}

/// What a node shows of something that only lives within it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct InteropInterface {
    /// The name under which `traverseiterator` gives more, if the node holds sessions.
    pub id: Option<String>,
    /// The first items of the iterator, if the node shows them at once.
    pub items: Option<Vec<StackItem>>,
    /// Whether the iterator has more than these items.
    pub truncated: bool,
}

impl StackItem {
    /// The name of its type, as nodes write it.
    pub const fn kind(&self) -> &'static str {
        match self {
            StackItem::Null => "Any",
            StackItem::Boolean(_) => "Boolean",
            StackItem::Integer(_) => "Integer",
            StackItem::ByteString(_) => "ByteString",
            StackItem::Buffer(_) => "Buffer",
            StackItem::Array(_) => "Array",
            StackItem::Struct(_) => "Struct",
            StackItem::Map(_) => "Map",
            StackItem::Pointer(_) => "Pointer",
            StackItem::InteropInterface(_) => "InteropInterface",
        }
    }

    /// Reads it from the JSON that nodes show.
    pub fn from_json(json: &Value) -> Result<Self> {
        Self::read(json, 1, &mut Budget::new())
    }

    fn read(json: &Value, depth: usize, budget: &mut Budget) -> Result<Self> {
        budget.take("stack items", depth)?;
        let kind = json["type"].as_str().ok_or_else(|| malformed("stack item", "not an object with a type"))?;
        let value = &json["value"];
        let wrong = |why: &str| malformed("stack item", format!("of type {kind:?}: {why}"));
        let text = || value.as_str().ok_or_else(|| wrong("the value is not a string"));
        let data = || BASE64.decode(text()?).map_err(|_| wrong("not Base64"));
        let mut list = |value: &Value| {
            let items = value.as_array().ok_or_else(|| wrong("not a list"))?;
            items.iter().map(|item| Self::read(item, depth + 1, budget)).collect::<Result<Vec<_>>>()
        };
        Ok(match kind {
            "Any" => StackItem::Null,
            "Boolean" => StackItem::Boolean(value.as_bool().ok_or_else(|| wrong("neither true nor false"))?),
            "Integer" => StackItem::Integer(match value {
                Value::Number(number) if number.is_i64() || number.is_u64() => from_decimal(&number.to_string())?,
                _ => from_decimal(text()?)?,
            }),
            "ByteString" | "ByteArray" => StackItem::ByteString(data()?),
            "Buffer" => StackItem::Buffer(data()?),
            "Array" => StackItem::Array(list(value)?),
            "Struct" => StackItem::Struct(list(value)?),
            "Map" => {
                let entries = value.as_array().ok_or_else(|| wrong("not a list"))?;
                let mut part = |part: &Value| Self::read(part, depth + 1, budget);
                let mut entry = |entry: &Value| Ok((part(&entry["key"])?, part(&entry["value"])?));
                StackItem::Map(entries.iter().map(&mut entry).collect::<Result<_>>()?)
            }
            "Pointer" => {
                let place = value.as_u64().and_then(|place| place.try_into().ok());
                StackItem::Pointer(place.ok_or_else(|| wrong("no place in a script"))?)
            }
            "InteropInterface" => StackItem::InteropInterface(InteropInterface {
                id: json["id"].as_str().map(str::to_owned),
                items: json.get("iterator").filter(|items| !items.is_null()).map(list).transpose()?,
                truncated: json["truncated"].as_bool().unwrap_or_default(),
            }),
            _ => return Err(wrong("no such type")),
        })
    }
}

impl From<&Param> for StackItem {
    /// What lies on the stack after the parameter was pushed.
    fn from(param: &Param) -> Self {
        match param {
            Param::Null => StackItem::Null,
            Param::Boolean(value) => StackItem::Boolean(*value),
            Param::Integer(number) => StackItem::Integer(number.clone()),
            Param::ByteArray(data) => StackItem::ByteString(data.clone()),
            Param::String(text) => StackItem::ByteString(text.clone().into_bytes()),
            Param::Hash160(hash) => StackItem::ByteString(hash.as_le().to_vec()),
            Param::Hash256(hash) => StackItem::ByteString(hash.as_le().to_vec()),
            Param::PublicKey(key) => StackItem::ByteString(key.to_bytes().to_vec()),
            Param::Signature(signature) => StackItem::ByteString(signature.to_vec()),
            Param::Array(items) => StackItem::Array(items.iter().map(Into::into).collect()),
            Param::Map(entries) => {
                StackItem::Map(entries.iter().map(|(key, value)| (key.into(), value.into())).collect())
            }
        }
    }
}

impl Serialize for StackItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("type", self.kind())?;
        match self {
            StackItem::Null => {}
            StackItem::Boolean(value) => object.serialize_entry("value", value)?,
            StackItem::Integer(number) => object.serialize_entry("value", &number.to_string())?,
            StackItem::ByteString(data) | StackItem::Buffer(data) => {
                object.serialize_entry("value", &BASE64.encode(data))?;
            }
            StackItem::Array(items) | StackItem::Struct(items) => object.serialize_entry("value", items)?,
            StackItem::Map(entries) => {
                let entries: Vec<_> = entries.iter().map(|(key, value)| Entry { key, value }).collect();
                object.serialize_entry("value", &entries)?;
            }
            StackItem::Pointer(place) => object.serialize_entry("value", place)?,
            StackItem::InteropInterface(shown) => {
                if let Some(id) = &shown.id {
                    object.serialize_entry("interface", "IIterator")?;
                    object.serialize_entry("id", id)?;
                }
                if let Some(items) = &shown.items {
                    object.serialize_entry("iterator", items)?;
                    object.serialize_entry("truncated", &shown.truncated)?;
                }
            }
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for StackItem {
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
        let data = |byte| StackItem::ByteString(vec![byte]);
        let session = InteropInterface { id: Some("3d0f".into()), ..Default::default() };
        let shown = InteropInterface { id: None, items: Some(vec![data(1)]), truncated: true };
        for (item, json) in [
            (StackItem::Null, json!({"type": "Any"})),
            (StackItem::Boolean(false), json!({"type": "Boolean", "value": false})),
            (StackItem::Integer((-7).into()), json!({"type": "Integer", "value": "-7"})),
            (data(255), json!({"type": "ByteString", "value": "/w=="})),
            (StackItem::Buffer(vec![]), json!({"type": "Buffer", "value": ""})),
            (StackItem::Struct(vec![StackItem::Null]), json!({"type": "Struct", "value": [{"type": "Any"}]})),
            (StackItem::Pointer(12), json!({"type": "Pointer", "value": 12})),
            (
                StackItem::Map(vec![(data(1), StackItem::Array(vec![]))]),
                json!({"type": "Map", "value": [{
                    "key": {"type": "ByteString", "value": "AQ=="},
                    "value": {"type": "Array", "value": []},
                }]}),
            ),
            (
                StackItem::InteropInterface(session),
                json!({"type": "InteropInterface", "interface": "IIterator", "id": "3d0f"}),
            ),
            (
                StackItem::InteropInterface(shown),
                json!({"type": "InteropInterface", "iterator": [{"type": "ByteString", "value": "AQ=="}],
                    "truncated": true}),
            ),
            (StackItem::InteropInterface(InteropInterface::default()), json!({"type": "InteropInterface"})),
        ] {
            assert_eq!(serde_json::to_value(&item).unwrap(), json);
            assert_eq!(StackItem::from_json(&json).unwrap(), item);
        }
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for wrong in [
            json!(null),
            json!({"type": "Int", "value": "1"}),
            json!({"type": "Integer", "value": "x"}),
            json!({"type": "Integer", "value": 1.5}),
            json!({"type": "ByteString", "value": "?"}),
            json!({"type": "Array"}),
            json!({"type": "Map", "value": [{}]}),
            json!({"type": "Pointer", "value": -1}),
            json!({"type": "Boolean"}),
        ] {
            assert!(StackItem::from_json(&wrong).is_err(), "{wrong}");
        }
        let deep = (0..70).fold(json!({"type": "Any"}), |inner, _| json!({"type": "Array", "value": [inner]}));
        assert!(StackItem::from_json(&deep).unwrap_err().to_string().contains("depth"));
        let wide = vec![json!({"type": "Any"}); super::super::MAX_ITEMS];
        assert!(StackItem::from_json(&json!({"type": "Array", "value": wide})).is_err());
    }
}
