//! JSON to ABI values and back.
//!
//! Integers are decimal texts (numbers and 0x texts are read too), bytes `0x` and hex (other text is taken as UTF-8
//! where the ABI says bytes), addresses `0x` and checksummed, tuples objects by the names of their fields, or arrays.

use alloy_dyn_abi::{DynSolType, DynSolValue, Specifier};
use alloy_json_abi::Param;
use alloy_primitives::{Address, B256, Function, I256, U256, hex};
use nsl_core::{Error, Result};
use serde_json::{Map, Value};

use crate::argument::{listed, miscounted, misfit};

/// One argument for each parameter of what takes them.
pub(super) fn arguments(taker: &str, params: &[Param], args: &[Value]) -> Result<Vec<DynSolValue>> {
    if params.len() != args.len() {
        let takes = listed(params.iter().map(|param| (&param.name, param.selector_type())));
        return Err(miscounted(args.len(), taker, &takes));
    }
    (1..)
        .zip(params.iter().zip(args))
        .map(|(number, (param, arg))| {
            let kind = type_of(param)?;
            let path = if param.name.is_empty() { number.to_string() } else { param.name.clone() };
            to_abi(&kind, &param.components, arg, &path)
                .map_err(|wrong| misfit(number, &wrong.path, &wrong.kind, &wrong.given, &wrong.why))
        })
        .collect()
}

/// What does not fit, and where in an argument.
struct Misfit {
    path: String,
    kind: String,
    given: Box<Value>,
    why: String,
}

impl Misfit {
    fn new(path: &str, kind: &DynSolType, given: &Value, why: &str) -> Self {
        Self { path: path.to_owned(), kind: kind.to_string(), given: Box::new(given.clone()), why: why.to_owned() }
    }
}

pub(super) fn type_of(param: &Param) -> Result<DynSolType> {
    param
        .resolve()
        .map_err(|_| Error::invalid("chain.abi_invalid", format!("the ABI has an unknown type {:?}", param.ty)))
}

fn to_abi(kind: &DynSolType, fields: &[Param], json: &Value, path: &str) -> Result<DynSolValue, Misfit> {
    let bad = |why: &str| Misfit::new(path, kind, json, why);
    Ok(match kind {
        DynSolType::Bool => DynSolValue::Bool(match json {
            Value::Bool(flag) => *flag,
            Value::String(text) if text == "true" => true,
            Value::String(text) if text == "false" => false,
            _ => return Err(bad("write true or false")),
        }),
        DynSolType::Uint(bits) => {
            let text = integer(json).ok_or_else(|| bad(INTEGER))?;
            let number: U256 = text.parse().map_err(|_| bad("it must be a whole number that fits"))?;
            if number.bit_len() > *bits {
                return Err(bad("it does not fit"));
            }
            DynSolValue::Uint(number, *bits)
        }
        DynSolType::Int(bits) => {
            let text = integer(json).ok_or_else(|| bad(INTEGER))?;
            let number = signed(&text).ok_or_else(|| bad("it must be a whole number that fits"))?;
            // Of 256 bits any fits; of fewer, those that keep their sign when cut.
            let most = (I256::ONE).asl(*bits - 1).filter(|_| *bits < 256);
            if most.is_some_and(|most| number >= most || number < -most) {
                return Err(bad("it does not fit"));
            }
            DynSolValue::Int(number, *bits)
        }
        DynSolType::FixedBytes(size) => {
            let bytes = bytes(json).ok_or_else(|| bad("write 0x and hex, or text"))?;
            let exact = json.as_str().is_some_and(|text| text.starts_with("0x"));
            if bytes.len() > *size || (exact && bytes.len() != *size) {
                return Err(bad(&format!("it has {} bytes", bytes.len())));
            }
            let mut word = B256::ZERO;
            word[..bytes.len()].copy_from_slice(&bytes);
            DynSolValue::FixedBytes(word, *size)
        }
        DynSolType::Bytes => DynSolValue::Bytes(bytes(json).ok_or_else(|| bad("write 0x and hex, or text"))?),
        DynSolType::Address => {
            DynSolValue::Address(json.as_str().and_then(address).ok_or_else(|| bad("write 0x and 40 hex digits"))?)
        }
        DynSolType::Function => {
            let bytes = bytes(json).filter(|bytes| bytes.len() == 24).ok_or_else(|| bad("write 0x and 48 digits"))?;
            DynSolValue::Function(Function::from_slice(&bytes))
        }
        DynSolType::String => DynSolValue::String(json.as_str().ok_or_else(|| bad("write a text"))?.to_owned()),
        DynSolType::Array(inner) => DynSolValue::Array(items(inner, fields, json, path, None)?),
        DynSolType::FixedArray(inner, size) => DynSolValue::FixedArray(items(inner, fields, json, path, Some(*size))?),
        DynSolType::Tuple(kinds) => {
            let whole = structured(json).ok_or_else(|| bad("write an object or an array"))?;
            let parts: Vec<&Value> = match whole.as_ref() {
                Value::Array(items) if items.len() == kinds.len() => items.iter().collect(),
                Value::Object(given) if given.len() == kinds.len() => {
                    let named = fields.iter().map(|field| given.get(&field.name));
                    named.collect::<Option<_>>().ok_or_else(|| bad("the fields are not those of the ABI"))?
                }
                _ => return Err(bad(&format!("it must have {} fields", kinds.len()))),
            };
            let values = kinds.iter().zip(parts).enumerate().map(|(place, (kind, part))| {
                let field = fields.get(place);
                let name = field.map_or_else(|| place.to_string(), |field| field.name.clone());
                to_abi(kind, field.map_or(&[], |field| &field.components), part, &format!("{path}.{name}"))
            });
            DynSolValue::Tuple(values.collect::<Result<_, Misfit>>()?)
        }
    })
}

const INTEGER: &str = "write it as a text of digits";

fn items(
    inner: &DynSolType,
    fields: &[Param],
    json: &Value,
    path: &str,
    size: Option<usize>,
) -> Result<Vec<DynSolValue>, Misfit> {
    let parts = structured(json);
    let Some(Value::Array(items)) = parts.as_deref() else {
        return Err(Misfit::new(path, inner, json, "write an array of it"));
    };
    if let Some(size) = size.filter(|size| *size != items.len()) {
        return Err(Misfit::new(path, inner, json, &format!("{size} of it are needed, not {}", items.len())));
    }
    items.iter().enumerate().map(|(place, item)| to_abi(inner, fields, item, &format!("{path}[{place}]"))).collect()
}

// Arrays and objects may come as text that holds JSON, as from a command line.
fn structured(json: &Value) -> Option<std::borrow::Cow<'_, Value>> {
    match json {
        Value::String(text) => serde_json::from_str(text).ok().map(std::borrow::Cow::Owned),
        _ => Some(std::borrow::Cow::Borrowed(json)),
    }
}

fn integer(json: &Value) -> Option<String> {
    match json {
        // A number with a point or an exponent has lost its last digits already.
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        Value::String(text) => {
            let bare = text.strip_prefix('-').unwrap_or(text);
            let sound = match bare.strip_prefix("0x") {
                Some(digits) => !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
                None => !bare.is_empty() && bare.bytes().all(|digit| digit.is_ascii_digit()),
            };
            sound.then(|| text.clone())
        }
        _ => None,
    }
}

fn signed(text: &str) -> Option<I256> {
    let (negative, bare) = match text.strip_prefix('-') {
        Some(bare) => (true, bare),
        None => (false, text),
    };
    let size: U256 = bare.parse().ok()?;
    let sign = if negative { alloy_primitives::Sign::Negative } else { alloy_primitives::Sign::Positive };
    I256::checked_from_sign_and_abs(sign, size)
}

fn bytes(json: &Value) -> Option<Vec<u8>> {
    let text = json.as_str()?;
    match text.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).ok(),
        None => Some(text.as_bytes().to_vec()),
    }
}

/// Reads an address; one with mixed capitals must have them where its checksum says.
pub fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40)?;
    let address: Address = text.parse().ok()?;
    let is_mixed = digits.bytes().any(|digit| digit.is_ascii_lowercase())
        && digits.bytes().any(|digit| digit.is_ascii_uppercase());
    (!is_mixed || address.to_checksum(None) == text).then_some(address)
}

/// A value as JSON; `fields` name the parts of a tuple.
pub(super) fn to_json(value: &DynSolValue, fields: &[Param]) -> Value {
    match value {
        DynSolValue::Bool(flag) => Value::Bool(*flag),
        DynSolValue::Int(number, _) => Value::String(number.to_string()),
        DynSolValue::Uint(number, _) => Value::String(number.to_string()),
        DynSolValue::FixedBytes(word, size) => Value::String(hex::encode_prefixed(&word[..*size])),
        DynSolValue::Address(address) => Value::String(address.to_checksum(None)),
        DynSolValue::Function(function) => Value::String(hex::encode_prefixed(function)),
        DynSolValue::Bytes(bytes) => Value::String(hex::encode_prefixed(bytes)),
        DynSolValue::String(text) => Value::String(text.clone()),
        DynSolValue::Array(items) | DynSolValue::FixedArray(items) => {
            items.iter().map(|item| to_json(item, fields)).collect()
        }
        DynSolValue::Tuple(items) => {
            let part = |place: usize| fields.get(place).map_or(&[][..], |field| &field.components);
            let parts = items.iter().enumerate().map(|(place, item)| to_json(item, part(place)));
            let names: std::collections::BTreeSet<&str> =
                fields.iter().map(|field| field.name.as_str()).filter(|name| !name.is_empty()).collect();
            if names.len() == items.len() && !names.is_empty() {
                let named: Map<String, Value> = fields.iter().map(|field| field.name.clone()).zip(parts).collect();
                Value::Object(named)
            } else {
                parts.collect()
            }
        }
    }
}
