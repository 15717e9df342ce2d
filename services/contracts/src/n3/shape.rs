//! Calls, faults and events of Neo N3, between JSON and the virtual machine.

use neo::{
    Hash160,
    manifest::{Manifest, ParameterType},
    script::{Builder, CallFlags},
    stack::{Param, StackItem},
    tx::{Scopes, Signer},
};
use nsl_api::{
    contracts::Told,
    relay::{Call, Scope},
};
use nsl_core::{Error, Result};
use serde_json::{Map, Value, json};

/// The largest script that a transaction takes.
pub(super) const MOST_SCRIPT: usize = 65_535;

/// The script that calls one method.
pub(crate) fn script(contract: &Hash160, method: &str, args: &[Param]) -> Result<Vec<u8>> {
    let mut builder = Builder::new();
    builder.call(contract, method, CallFlags::ALL, args);
    builder
        .finish()
        .map_err(|error| Error::invalid("contracts.arguments_unfit", format!("the call can't be written: {error}")))
}

/// The same call, as the relay takes it.
pub(crate) fn wire(contract: &Hash160, method: &str, args: &[Param]) -> Result<Call> {
    let args = args.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(Error::internal)?;
    Ok(Call { contract: Some(contract.to_string()), method: Some(method.to_owned()), args, ..Call::default() })
}

/// A script that is no call of one method, as the relay takes it.
pub(crate) fn script_call(script: &[u8]) -> Call {
    Call { data: Some(format!("0x{}", hex::encode(script))), ..Call::default() }
}

/// What a caller gives without a type: the JSON of a typed parameter, or plain JSON.
pub(crate) fn data(given: &Value) -> Result<Param> {
    let text = match given {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Param::parse(ParameterType::Any, &text)
        .map_err(|error| Error::invalid("contracts.data_malformed", format!("the data can't be read: {error}")))
}

/// Who is taken to have signed, in the widest scope that the relay would choose.
pub(crate) fn signer(account: Hash160, scope: Option<Scope>) -> Signer {
    match scope.unwrap_or_default() {
        Scope::None => Signer::none(account),
        Scope::Minimal | Scope::CalledByEntry => Signer::called_by_entry(account),
        // With contracts that are named by need it does the same as with all.
        Scope::Contracts | Scope::Global => Signer::new(account, Scopes::GLOBAL),
    }
}

/// Why a script came to nothing, with the instruction where the node tells it.
pub(crate) fn fault(exception: &str, script: &[u8]) -> String {
    neo::explain::fault(exception, script, None).to_string()
}

/// A notification in the words of the manifest, or as nodes show it where that does not fit.
pub(crate) fn told(contract: &str, name: &str, state: Option<&[StackItem]>, manifest: Option<&Manifest>) -> Told {
    let values = state.and_then(|state| values(name, state, manifest?));
    let raw = match (&values, state) {
        (None, Some(state)) => Some(state.iter().map(shown).collect()),
        _ => None,
    };
    Told {
        contract: contract.to_owned(),
        name: Some(name.to_owned()),
        values,
        state: raw,
        topics: Vec::new(),
        data: None,
    }
}

/// A stack item as nodes show it.
pub(crate) fn shown(item: &StackItem) -> Value {
    serde_json::to_value(item).unwrap_or(Value::Null)
}

fn values(name: &str, state: &[StackItem], manifest: &Manifest) -> Option<Map<String, Value>> {
    let event = manifest.event(name).filter(|event| event.parameters.len() == state.len())?;
    let each = event.parameters.iter().zip(state);
    each.map(|(parameter, item)| Some((parameter.name.clone(), typed(parameter.kind, item)?))).collect()
}

fn typed(kind: ParameterType, item: &StackItem) -> Option<Value> {
    if *item == StackItem::Null {
        return Some(Value::Null);
    }
    let hex = |bytes: Vec<u8>| json!(format!("0x{}", hex::encode(bytes)));
    Some(match kind {
        ParameterType::Boolean => json!(item.as_bool().ok()?),
        ParameterType::Integer => json!(item.as_integer().ok()?.to_string()),
        ParameterType::String => item.as_text().map(Value::String).or_else(|_| item.as_bytes().map(hex)).ok()?,
        ParameterType::ByteArray | ParameterType::Signature => hex(item.as_bytes().ok()?),
        ParameterType::Hash160 => json!(item.as_hash160().ok()?.to_string()),
        ParameterType::Hash256 => json!(item.as_hash256().ok()?.to_string()),
        ParameterType::PublicKey => json!(hex::encode(item.as_bytes().ok()?)),
        _ => shown(item),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_by_the_manifest_and_as_they_are_where_it_does_not_fit() {
        let manifest = Manifest::from_json(include_bytes!("../../../../contracts/n3/token.manifest.json")).unwrap();
        let to = Hash160::from_le([7; 20]);
        let state =
            [StackItem::Null, StackItem::ByteString(to.as_le().to_vec()), StackItem::Integer(100_000_000.into())];
        let transfer = told("0x01", "Transfer", Some(&state), Some(&manifest));
        let values = transfer.values.unwrap();
        assert_eq!(Value::Object(values), json!({"from": null, "to": to.to_string(), "amount": "100000000"}));
        assert_eq!(transfer.state, None);
        for (name, state) in [("Transfer", &state[..2]), ("Moved", &state[..])] {
            let other = told("0x01", name, Some(state), Some(&manifest));
            assert_eq!((other.values, other.state.unwrap().len()), (None, state.len()), "{name}");
        }
        assert_eq!(told("0x01", "Transfer", None, Some(&manifest)).state, None);
    }

    #[test]
    fn data_is_read_typed_or_plain() {
        for (given, want) in [
            (json!("0x01ff"), Param::ByteArray(vec![1, 255])),
            (json!("text"), Param::String("text".into())),
            (json!(5), Param::Integer(5.into())),
            (json!(null), Param::Null),
            (json!({"type": "ByteArray", "value": "AQI="}), Param::ByteArray(vec![1, 2])),
            (json!([1]), Param::Array(vec![Param::Integer(1.into())])),
        ] {
            assert_eq!(data(&given).unwrap(), want, "{given}");
        }
        assert_eq!(data(&json!("0xzz")).unwrap_err().slug, "contracts.data_malformed");
    }
}
