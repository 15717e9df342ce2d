//! Transactions in words.

use serde_json::Value;

use crate::{
    commands::{chain::Chain, sending},
    show,
};

/// What sending takes, for people.
pub(crate) fn estimate(chain: Chain, estimate: &Value) -> String {
    let mut ready = estimate.clone();
    for field in ["fee", "system_fee", "network_fee", "max_fee_per_gas"] {
        if let Some(amount) = estimate[field].as_str() {
            ready[field] = chain.gas(amount).into();
        }
    }
    let fields = [
        ("at most", "fee"),
        ("to run it", "system_fee"),
        ("for size and witnesses", "network_fee"),
        ("scope", "scope"),
        ("gas", "gas_limit"),
        ("for each gas", "max_fee_per_gas"),
    ];
    show::pairs(&fields, &ready)
}

pub(super) fn transaction(chain: Chain, transaction: &Value) -> String {
    let mut ready = transaction.clone();
    if let Some(fee) = transaction["fee"].as_str() {
        ready["fee"] = chain.gas(fee).into();
    }
    let fields = [
        ("request", "id"),
        ("state", "state"),
        ("reason", "reason"),
        ("account", "account"),
        ("transaction", "tx"),
        ("block", "height"),
        ("fee", "fee"),
        ("created", "created_at"),
        ("updated", "updated_at"),
    ];
    show::pairs(&fields, &ready)
}

pub(super) fn explanation(explained: &Value) -> String {
    let fault = &explained["fault"];
    let mut ready = explained.clone();
    for field in ["text", "cause", "revert", "no_instruction"] {
        ready[field] = fault[field].clone();
    }
    ready["place"] = sending::place(explained).into();
    ready["error"] = match (fault["error"]["name"].as_str(), fault["error"]["selector"].as_str()) {
        (Some(name), _) => format!("{name} {}", show::trimmed(&fault["error"]["args"])).into(),
        (None, Some(selector)) => format!("{selector}, which no known ABI names").into(),
        (None, None) => Value::Null,
    };
    if fault.is_object() {
        ready["seen"] = if fault["on_chain"] == true { "by the chain" } else { "by a test run" }.into();
    }
    let fields = [
        ("state", "state"),
        ("transaction", "tx"),
        ("reason", "reason"),
        ("fault", "text"),
        ("cause", "cause"),
        ("error", "error"),
        ("at", "place"),
        ("no instruction", "no_instruction"),
        ("seen", "seen"),
    ];
    let mut shown = show::pairs(&fields, &ready);
    // The script step by step: each step is one object, and people want one line of it.
    for step in explained["steps"]["steps"].as_array().or(explained["steps"].as_array()).into_iter().flatten() {
        let call = &step["call"];
        let text = |field: &str| call[field].as_str().map(show::clean).unwrap_or_default();
        if call.is_object() {
            let args: Vec<String> = call["args"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|arg| show::clean(&show::trimmed(&arg["value"]).to_string()))
                .collect();
            shown.push_str(&format!("step            {} {}({})\n", text("contract"), text("method"), args.join(", ")));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn long_arguments_of_a_step_are_cut() {
        let call = json!({ "contract": "0xab", "method": "deploy", "args": [
            { "type": "ByteString", "value": "TkVG".repeat(2_000) }, { "type": "Integer", "value": "5" }] });
        let shown = explanation(&json!({ "state": "failed", "steps": [{ "call": call }] }));
        assert!(shown.contains("0xab deploy(\"TkVG") && shown.contains("(8000 characters)\", \"5\")"), "{shown}");
        assert!(shown.len() < 300, "{shown}");
    }
}
