//! What another ABI changes for those who call a contract of Neo X and listen to it.

use std::collections::BTreeMap;

use nsl_api::contracts::{Difference, Weight};
use nsl_chain::x::keccak256;
use serde_json::Value;

#[derive(PartialEq)]
struct Item<'a> {
    kind: &'a str,
    outputs: String,
    mutability: &'a str,
    /// Which parameters of an event are indexed: they are filtered by.
    indexed: Vec<bool>,
}

/// What differs between two ABIs; the weightiest first.
pub(crate) fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let (old, new) = (items(old), items(new));
    let mut changes = Vec::new();
    let mut say = |weight, text: String| changes.push(Difference { weight, text });
    for ((kind, signature), before) in &old {
        let name = named(kind, signature);
        let Some(after) = new.get(&(*kind, signature.clone())) else {
            let weight = if *kind == "error" { Weight::Note } else { Weight::Breaks };
            say(weight, format!("{name} is removed"));
            continue;
        };
        if before.outputs != after.outputs {
            say(Weight::Breaks, format!("{name} gives back ({}) instead of ({})", after.outputs, before.outputs));
        }
        if before.indexed != after.indexed {
            say(Weight::Breaks, format!("{name} indexes other parameters: filters for it miss it"));
        }
        if before.mutability != after.mutability {
            say(
                mutability(before.mutability, after.mutability),
                format!("{name} becomes {} from {}", after.mutability, before.mutability),
            );
        }
    }
    for (kind, signature) in new.keys().filter(|key| !old.contains_key(*key)) {
        say(Weight::Note, format!("{} is added", named(kind, signature)));
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.weight));
    changes
}

fn mutability(before: &str, after: &str) -> Weight {
    let reads = |mutability: &str| matches!(mutability, "view" | "pure");
    match (reads(before), reads(after)) {
        // What was asked of any node for nothing now takes a transaction, and may change something.
        (true, false) => Weight::Widens,
        (false, false) if before == "payable" => Weight::Breaks,
        _ => Weight::Note,
    }
}

fn named(kind: &str, signature: &str) -> String {
    match kind {
        "function" => format!("function {signature} (0x{})", hex::encode(&keccak256(signature)[..4])),
        "receive" | "fallback" => format!("the {kind} function"),
        _ => format!("{kind} {signature}"),
    }
}

fn items(abi: &Value) -> BTreeMap<(&str, String), Item<'_>> {
    let all = abi.as_array().into_iter().flatten().filter_map(|item| {
        let kind = item["type"].as_str().unwrap_or("function");
        if !matches!(kind, "function" | "event" | "error" | "receive" | "fallback") {
            return None;
        }
        let name = item["name"].as_str().unwrap_or_default();
        let inputs = item["inputs"].as_array();
        let indexed = inputs.into_iter().flatten().map(|input| input["indexed"] == true);
        let read = Item {
            kind,
            outputs: types(&item["outputs"]),
            mutability: item["stateMutability"].as_str().unwrap_or_default(),
            indexed: if kind == "event" { indexed.collect() } else { Vec::new() },
        };
        Some(((kind, format!("{name}({})", types(&item["inputs"]))), read))
    });
    all.collect()
}

fn types(parameters: &Value) -> String {
    let each = parameters.as_array().into_iter().flatten().map(kind);
    each.collect::<Vec<_>>().join(",")
}

// A tuple is written by what it holds, as in signatures.
fn kind(parameter: &Value) -> String {
    let written = parameter["type"].as_str().unwrap_or_default();
    match written.strip_prefix("tuple") {
        Some(dimensions) => format!("({}){dimensions}", types(&parameter["components"])),
        None => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn abi(text: &str) -> Value {
        serde_json::from_str::<Value>(text).unwrap()["abi"].clone()
    }

    fn store() -> Value {
        abi(include_str!("../../../../contracts/x/Store.json"))
    }

    fn texts(old: &Value, new: &Value) -> Vec<(Weight, String)> {
        differences(old, new).into_iter().map(|change| (change.weight, change.text)).collect()
    }

    #[test]
    fn what_stays_is_not_told_and_what_comes_is_noted() {
        assert_eq!(texts(&store(), &store()), []);
        let newer = abi(include_str!("../../../../contracts/x/StoreV2.json"));
        let told = texts(&store(), &newer);
        assert!(told.iter().all(|(weight, text)| *weight == Weight::Note && text.ends_with("is added")), "{told:?}");
        let append = format!(
            "function append(string,bytes) (0x{}) is added",
            hex::encode(&keccak256("append(string,bytes)")[..4])
        );
        assert!(told.iter().any(|(_, text)| *text == append), "{told:?}");
        let back = texts(&newer, &store());
        assert!(back.iter().all(|(weight, _)| *weight == Weight::Breaks), "{back:?}");
    }

    #[test]
    fn tuples_are_part_of_a_signature_and_filters_of_an_event() {
        let all = items_of(&store());
        assert!(all.contains(&"putAll((string,bytes)[])".to_owned()), "{all:?}");
        let mut other = store();
        let put = other.as_array_mut().unwrap().iter_mut().find(|item| item["name"] == "Put").unwrap();
        put["inputs"][0]["indexed"] = json!(false);
        assert_eq!(texts(&store(), &other)[0].0, Weight::Breaks);
        let mut writes = store();
        let get = writes.as_array_mut().unwrap().iter_mut().find(|item| item["name"] == "get").unwrap();
        get["stateMutability"] = json!("nonpayable");
        get["outputs"] = json!([]);
        let told = texts(&store(), &writes);
        assert_eq!(told[0].0, Weight::Widens);
        assert!(told[1].1.contains("gives back () instead of (bytes)"), "{told:?}");
    }

    fn items_of(abi: &Value) -> Vec<String> {
        items(abi).into_keys().map(|(_, signature)| signature).collect()
    }
}
