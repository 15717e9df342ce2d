//! What becomes of transactions that do not end as final.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    commands::chain::Chain,
    exit::{Exit, Failure},
    show,
};

/// Why a transaction is where it is. Errors that a contract of Neo X declares itself are told by their names, where its
/// ABI is given or known.
pub(crate) async fn explain(client: &Client, chain: Chain, id: &str, abi: Option<Value>) -> Result<Value, Failure> {
    let path = ["v1", "tx", chain.name(), id, "explain"];
    let by = |abi: Value| client.ask(Method::POST, &path).body(&json!({ "abi": abi }));
    if let Some(abi) = abi {
        return by(abi).send().await?.read();
    }
    let explained: Value = client.ask(Method::GET, &path).send().await?.read()?;
    let fault = &explained["fault"];
    let nameless = fault["error"].is_object() && fault["error"]["name"].is_null();
    let Some(contract) = fault["contract"].as_str().filter(|_| chain == Chain::NeoX && nameless) else {
        return Ok(explained);
    };
    // A contract that nobody described has none, which is no failure of this.
    let known = client.ask(Method::GET, &["v1", "contracts", chain.name(), contract]).send().await;
    let known: Value = known.and_then(|reply| reply.read()).unwrap_or(Value::Null);
    match known["abi"].is_array() {
        true => by(known["abi"].clone()).send().await?.read(),
        false => Ok(explained),
    }
}

/// Why a transaction ended otherwise than final, as well as the server can tell.
pub(super) async fn failure(client: &Client, chain: Chain, transaction: &Value) -> Failure {
    let id = transaction["id"].as_str().unwrap_or_default();
    let state = transaction["state"].as_str().unwrap_or_default();
    let explained = explain(client, chain, id, None).await.unwrap_or(Value::Null);
    let reason = [&explained["fault"]["text"], &transaction["reason"]].into_iter().find_map(Value::as_str);
    let mut message = format!("{id} {}", if state == "failed" { "failed" } else { state });
    if let Some(reason) = reason {
        message.push_str(&format!(": {}", show::clean(reason)));
    }
    if let Some(place) = place(&explained) {
        message.push_str(&format!("\n     at {place}"));
    }
    let mut problem = told(transaction, reason.unwrap_or(state));
    if !explained.is_null() {
        problem["explained"] = explained;
    }
    Failure { exit: Exit::Failed, message, problem: Some(problem) }
}

/// The instruction by which code came to nothing, with its contract and method.
pub(crate) fn place(explained: &Value) -> Option<String> {
    let fault = &explained["fault"];
    let text = |value: &Value| value.as_str().map(show::clean);
    let instruction = &fault["instruction"];
    let step = text(&instruction["opcode"]).map(|opcode| {
        let operand = instruction["operand"].as_str().map(|operand| format!(" {}", show::short(operand)));
        let operand = operand.unwrap_or_default();
        format!("offset {}: {opcode}{operand}", instruction["offset"])
    });
    let contract = text(&fault["contract"]).map(|contract| format!("of {contract}"));
    let method = text(&fault["method"]).map(|method| format!("method {method}"));
    let parts: Vec<String> = [step, method, contract].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// A transaction as a failure tells of it.
pub(crate) fn told(transaction: &Value, detail: &str) -> Value {
    let mut told = json!({ "detail": detail });
    for field in ["id", "tx", "state", "reason", "height", "fee"] {
        if !transaction[field].is_null() {
            told[field] = transaction[field].clone();
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_placed_by_its_instruction() {
        let explained = json!({ "fault": {
            "text": "x", "contract": "0xab", "method": "fail", "instruction": { "offset": 7, "opcode": "ABORT" },
        }});
        assert_eq!(place(&explained).unwrap(), "offset 7: ABORT method fail of 0xab");
        assert_eq!(place(&json!({ "fault": { "text": "x" } })), None);
    }
}
