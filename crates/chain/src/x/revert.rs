//! What a run of the EVM failed with, in words.

use alloy_dyn_abi::DynSolType;
use alloy_primitives::{U256, hex};
use serde_json::Value;

use crate::{
    chain::{Bytes, Fault},
    error::{NodeError, shown},
};

/// `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];
/// The error code of a revert with data (geth and those that follow it).
const REVERT: i64 = 3;

/// What nodes say when the code failed and not the request.
const FAILURES: &[(&str, &str)] = &[
    ("revert", "reverted without a reason"),
    ("gas required exceeds", "out of gas"),
    ("outofgas", "out of gas"),
    ("out of gas", "out of gas"),
    ("oog", "out of gas"),
    ("invalidfeopcode", "invalid opcode"),
    ("invalid opcode", "invalid opcode"),
    ("opcode not found", "invalid opcode"),
    ("opcodenotfound", "invalid opcode"),
    ("invalid jump", "jump to a place that is no target"),
    ("invalidjump", "jump to a place that is no target"),
    ("stack underflow", "stack underflow"),
    ("stackunderflow", "stack underflow"),
    ("stack limit", "stack overflow"),
    ("stackoverflow", "stack overflow"),
    ("write protection", "a change of state in a call that may not change any"),
    ("statechangeduringstaticcall", "a change of state in a call that may not change any"),
    ("max code size", "the contract is larger than the chain allows"),
    ("createcontractsizelimit", "the contract is larger than the chain allows"),
    ("max initcode size", "the creation code is larger than the chain allows"),
    ("createinitcodesizelimit", "the creation code is larger than the chain allows"),
    ("contract address collision", "a contract stands at the address already"),
    ("createcollision", "a contract stands at the address already"),
    ("return data out of bounds", "return data out of bounds"),
];

/// The fault in a node's refusal; none when the request and not the code was at fault.
pub(super) fn fault(error: &NodeError) -> Option<Fault> {
    let data = error.data.as_ref().and_then(bytes_in);
    if let Some(data) = data.filter(|data| error.code == REVERT || !data.is_empty()) {
        return Some(of_data(data));
    }
    let message = error.message.to_ascii_lowercase();
    let known = FAILURES.iter().find(|(mark, _)| message.contains(mark));
    match known {
        // The text behind the colon is the reason as the node has decoded it.
        Some(("revert", reason)) => {
            let said = error.message.split_once(": ").map(|(_, said)| shown(said));
            Some(Fault { reason: said.unwrap_or_else(|| (*reason).to_owned()), data: None })
        }
        Some((_, reason)) => Some(Fault { reason: (*reason).to_owned(), data: None }),
        // Anvil's word for every failure of the code.
        None if message.starts_with("evm error") => Some(Fault { reason: shown(&error.message), data: None }),
        None if error.code == REVERT => Some(Fault { reason: shown(&error.message), data: None }),
        None => None,
    }
}

/// What revert data says by itself; an error of the contract's own needs its ABI.
pub(super) fn of_data(data: Vec<u8>) -> Fault {
    let reason = match data.split_first_chunk::<4>() {
        None if data.is_empty() => "reverted without a reason".to_owned(),
        None => format!("reverted with 0x{}", hex::encode(&data)),
        Some((&ERROR, rest)) => match DynSolType::String.abi_decode(rest).ok().and_then(|value| text_of(&value)) {
            Some(text) => shown(&text),
            None => "reverted with a text that can't be read".to_owned(),
        },
        Some((&PANIC, rest)) if rest.len() == 32 => panic(U256::from_be_slice(rest)),
        Some((selector, _)) => {
            format!("reverted with the contract's own error 0x{}", hex::encode(selector))
        }
    };
    Fault { reason, data: (!data.is_empty()).then_some(Bytes(data)) }
}

fn text_of(value: &alloy_dyn_abi::DynSolValue) -> Option<String> {
    value.as_str().map(str::to_owned)
}

// The codes that the Solidity compiler uses.
fn panic(code: U256) -> String {
    let meaning = match code.try_into().unwrap_or(u64::MAX) {
        0x00 => "raised by the compiler without a meaning of its own",
        0x01 => "an assertion does not hold",
        0x11 => "a sum, difference or product does not fit its type",
        0x12 => "division or remainder by zero",
        0x21 => "a number is no member of the enumeration",
        0x22 => "a byte array in storage is encoded wrongly",
        0x31 => "an element taken from an empty array",
        0x32 => "an index outside the array",
        0x41 => "too much memory, or too large an array",
        0x51 => "a call of a function that was never set",
        _ => "a code without a known meaning",
    };
    format!("panic 0x{code:02x}: {meaning}")
}

// Nodes give the data as text, some of them inside an object.
fn bytes_in(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => hex::decode(text.strip_prefix("0x")?).ok(),
        Value::Object(fields) => fields.get("data").and_then(bytes_in),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloy_dyn_abi::DynSolValue;

    use super::*;

    fn said(code: i64, message: &str, data: Option<Value>) -> Option<String> {
        fault(&NodeError { code, message: message.into(), data }).map(|fault| fault.reason)
    }

    #[test]
    fn reasons_are_read_from_data_first() {
        let mut text = ERROR.to_vec();
        text.extend(DynSolValue::String("not the owner".into()).abi_encode());
        let data = Value::String(format!("0x{}", hex::encode(&text)));
        assert_eq!(said(3, "execution reverted", Some(data.clone())).unwrap(), "not the owner");
        assert_eq!(said(-32000, "x", Some(serde_json::json!({"data": data}))).unwrap(), "not the owner");
        let mut code = PANIC.to_vec();
        code.extend(U256::from(0x12).to_be_bytes::<32>());
        assert_eq!(of_data(code).reason, "panic 0x12: division or remainder by zero");
        assert_eq!(of_data(vec![1, 2, 3, 4, 5]).reason, "reverted with the contract's own error 0x01020304");
        assert_eq!(of_data(vec![1]).reason, "reverted with 0x01");
        assert_eq!(of_data([&ERROR[..], &[9; 40]].concat()).reason, "reverted with a text that can't be read");
        assert_eq!(said(3, "execution reverted", Some("0x".into())).unwrap(), "reverted without a reason");
    }

    #[test]
    fn a_refused_request_is_no_fault() {
        assert_eq!(said(-32000, "execution reverted: paused", None).unwrap(), "paused");
        assert_eq!(said(-32003, "EVM error OutOfGas", None).unwrap(), "out of gas");
        assert_eq!(said(-32603, "EVM error ReentrancySentryOOG", None).unwrap(), "out of gas");
        assert_eq!(said(-32603, "EVM error Unheard", None).unwrap(), "EVM error Unheard");
        assert_eq!(said(-32003, "EVM error InvalidFEOpcode", None).unwrap(), "invalid opcode");
        for request in ["header not found", "invalid argument 0: hex string", "insufficient funds for gas"] {
            assert_eq!(said(-32000, request, None), None, "{request}");
        }
    }
}
