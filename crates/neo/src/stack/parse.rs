//! Arguments as people write them on a command line.

use serde::Deserialize as _;
use serde_json::Value;

use super::{Budget, Param, number::from_decimal};
use crate::{
    Hash160,
    error::{Error, Result, malformed},
    manifest::ParameterType,
};

impl Param {
    /// Reads what a person wrote for a parameter of this type.
    ///
    /// - `Boolean`: `true` or `false`. `Integer`: decimal. `String`: the text as it stands.
    /// - `Hash160`: an address, or hex as nodes write it. `Hash256`, `PublicKey`, `Signature`: hex, with `0x` or without.
    /// - `ByteArray`: hex after `0x`; anything else is UTF-8 text.
    /// - `Array` and `Map`: JSON. What is in it is read as for `Any`, and objects with a `type` are the JSON of nodes.
    ///   A map is an object with text as keys, or a list of `{"key":…,"value":…}`.
    /// - `Any`: `null`, `true`, `false`, a decimal integer, JSON that begins with `[` or `{`, hex after `0x`; anything
    ///   else is text.
    ///
    /// `null` is null for `Hash160`, `Hash256`, `PublicKey`, `Array` and `Map`, where nothing else could be meant.
    pub fn parse(kind: ParameterType, text: &str) -> Result<Self> {
        let wrong = |why: &str| malformed("argument", format!("of type {kind:?}: {why}"));
        let hex_after = |text: &str| hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|_| wrong("not hex"));
        let json = || -> Result<Value> {
            let value = serde_json::from_str(text).map_err(|error| wrong(&format!("not JSON: {error}")))?;
            Ok(value)
        };
        Ok(match kind {
            ParameterType::Boolean => match text {
                "true" => Param::Boolean(true),
                "false" => Param::Boolean(false),
                _ => return Err(wrong("neither true nor false")),
            },
            ParameterType::Integer => Param::Integer(from_decimal(text)?),
            ParameterType::String => Param::String(text.to_owned()),
            ParameterType::ByteArray => data(text).unwrap_or_else(|| Ok(Param::ByteArray(text.into())))?,
            ParameterType::Hash160 | ParameterType::Hash256 | ParameterType::PublicKey if text == "null" => Param::Null,
            ParameterType::Hash160 => Param::Hash160(Hash160::from_text(text)?),
            ParameterType::Hash256 => Param::Hash256(text.parse()?),
            ParameterType::PublicKey => Param::PublicKey(text.strip_prefix("0x").unwrap_or(text).parse()?),
            ParameterType::Signature => {
                Param::Signature(hex_after(text)?.try_into().map_err(|_| wrong("not 64 bytes"))?)
            }
            ParameterType::Array => match json()? {
                value @ (Value::Array(_) | Value::Null) => infer(&value, 1, &mut Budget::new())?,
                value => match infer(&value, 1, &mut Budget::new())? {
                    typed @ Param::Array(_) => typed,
                    _ => return Err(wrong("not a JSON list")),
                },
            },
            ParameterType::Map => match json()? {
                Value::Array(entries) => pairs(&entries)?,
                value => match infer(&value, 1, &mut Budget::new())? {
                    map @ (Param::Map(_) | Param::Null) => map,
                    _ => return Err(wrong("neither a JSON object nor a list of keys and values")),
                },
            },
            ParameterType::Any => match text {
                "null" | "true" | "false" => infer(&json()?, 1, &mut Budget::new())?,
                _ if text.starts_with(['[', '{']) => infer(&json()?, 1, &mut Budget::new())?,
                _ => match from_decimal(text) {
                    Ok(number) => Param::Integer(number),
                    Err(_) => untyped(text)?,
                },
            },
            ParameterType::InteropInterface | ParameterType::Void => return Err(wrong("nobody can pass one")),
        })
    }
}

/// The bytes that are written as hex after `0x`, if the text begins so.
fn data(text: &str) -> Option<Result<Param>> {
    let digits = text.strip_prefix("0x")?;
    Some(hex::decode(digits).map(Param::ByteArray).map_err(|_| malformed("argument", "not hex after 0x")))
}

fn untyped(text: &str) -> Result<Param> {
    data(text).unwrap_or_else(|| Ok(Param::String(text.to_owned())))
}

fn infer(json: &Value, depth: usize, budget: &mut Budget) -> Result<Param> {
    if let Value::Object(object) = json
        && object.get("type").is_some_and(|kind| ParameterType::deserialize(kind).is_ok())
        && object.keys().all(|key| key == "type" || key == "value")
    {
        return Param::read(json, depth, budget);
    }
    budget.take("parameters", depth)?;
    Ok(match json {
        Value::Null => Param::Null,
        Value::Bool(value) => Param::Boolean(*value),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            Param::Integer(from_decimal(&number.to_string())?)
        }
        Value::Number(number) => {
            let why = format!("{number} is no integer within 64 bits: write {{\"type\":\"Integer\",\"value\":\"…\"}}");
            return Err(malformed("argument", why));
        }
        Value::String(text) => untyped(text)?,
        Value::Array(items) => {
            Param::Array(items.iter().map(|item| infer(item, depth + 1, budget)).collect::<Result<_>>()?)
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| Ok((untyped(key)?, infer(value, depth + 1, budget)?));
            Param::Map(entries.iter().map(entry).collect::<Result<_>>()?)
        }
    })
}

fn pairs(entries: &[Value]) -> Result<Param> {
    let mut budget = Budget::new();
    let mut part = |entry: &Value, name: &str| {
        let part =
            entry.get(name).ok_or_else(|| malformed("argument", format!("an entry of the map has no {name}")))?;
        infer(part, 2, &mut budget)
    };
    let entries = entries.iter().map(|entry| Ok::<_, Error>((part(entry, "key")?, part(entry, "value")?)));
    Ok(Param::Map(entries.collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native;

    #[test]
    fn an_argument_reads_as_its_type_says() {
        use ParameterType::*;
        let text = |text: &str| Param::from(text);
        for (kind, argument, param) in [
            (Boolean, "true", true.into()),
            (Integer, "-12", Param::from(-12)),
            (String, "0x01", text("0x01")),
            (String, "null", text("null")),
            (ByteArray, "0x01ff", Param::from(vec![1, 255])),
            (ByteArray, "0x", Param::ByteArray(vec![])),
            (ByteArray, "01ff", Param::from(&b"01ff"[..])),
            (
                Hash160,
                "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU",
                "a755f41b43031e7c45b7ca534a5f3759ac665214".parse::<crate::Hash160>().unwrap().into(),
            ),
            (Hash160, "0xd2a4cff31913016155e38e474a2c06d08be276cf", native::GAS.into()),
            (Hash160, "null", Param::Null),
            (Any, "null", Param::Null),
            (Any, "5", Param::from(5)),
            (Any, "0xaa", Param::from(vec![0xaa])),
            (Any, "hello", text("hello")),
            (Array, "[]", Param::Array(vec![])),
            (
                Array,
                r#"[1, "0x02", "x", null, [true]]"#,
                Param::Array(vec![1.into(), vec![2].into(), text("x"), Param::Null, vec![Param::from(true)].into()]),
            ),
            (Array, r#"[{"type":"Integer","value":"7"}]"#, Param::Array(vec![7.into()])),
            (Array, r#"{"type":"Array","value":[]}"#, Param::Array(vec![])),
            (Map, r#"{"a": 1}"#, Param::Map(vec![(text("a"), 1.into())])),
            (Map, r#"{"type": "gold"}"#, Param::Map(vec![(text("type"), text("gold"))])),
            (Map, r#"[{"key": 1, "value": "b"}]"#, Param::Map(vec![(1.into(), text("b"))])),
        ] {
            assert_eq!(Param::parse(kind, argument).unwrap(), param, "{kind:?} {argument}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        use ParameterType::*;
        for (kind, argument) in [
            (Boolean, "yes"),
            (Integer, "0x10"),
            (Integer, "1.5"),
            (Integer, ""),
            (ByteArray, "0xzz"),
            (ByteArray, "0x1"),
            (Hash160, "hello"),
            (Hash256, "0x12"),
            (PublicKey, "02"),
            (Signature, "0x00"),
            (Array, "{}"),
            (Array, "[1.5]"),
            (Array, "[99999999999999999999]"),
            (Array, "[1"),
            (Map, "[1]"),
            (Map, "3"),
            (Any, "[1"),
            (Void, ""),
            (InteropInterface, "x"),
        ] {
            assert!(Param::parse(kind, argument).is_err(), "{kind:?} {argument}");
        }
        assert!(Param::parse(Array, &format!("{}1{}", "[".repeat(90), "]".repeat(90))).is_err());
    }
}
