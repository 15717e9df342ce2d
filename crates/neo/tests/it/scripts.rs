//! Scripts and values that neon-js, nodes and the VM's own tests made.

use neo::{
    Hash160, Hash256, PrivateKey,
    explain::explain,
    script::{Builder, CallFlags, Instruction, Invocation, Opcode, batch, check, from_text, instructions, to_text},
    stack::{Param, StackItem},
};
use num_bigint::BigInt;
use proptest::{array::uniform32, collection::vec, prelude::*};
use serde_json::Value;

use crate::vectors::{bytes, find, json};

#[test]
fn calls_are_the_bytes_that_neon_js_makes_and_are_told_back() {
    let some: Value = serde_json::from_str(include_str!("calls.json")).unwrap();
    some.as_array().unwrap().iter().for_each(same_call);
    let Some(all) = json("neo-n3/fresh/fresh.json") else { return };
    let all = all["scripts"].as_array().unwrap();
    assert_eq!(all.len(), 40);
    all.iter().for_each(same_call);
}

fn same_call(case: &Value) {
    let script = bytes(&case["script"]);
    let contract: Hash160 = case["contract_be"].as_str().unwrap().parse().unwrap();
    let method = case["operation"].as_str().unwrap();
    let flags = CallFlags::try_from(case["call_flags"].as_u64().unwrap() as u8).unwrap();
    let args: Vec<Param> = serde_json::from_value(case["args"].clone()).unwrap();
    let ours = Builder::new().call(&contract, method, flags, &args).finish().unwrap();
    assert_eq!(hex::encode(&ours), hex::encode(&script));
    assert_eq!(from_text(&to_text(&script).unwrap()).unwrap(), script);

    let told = explain(&script, &[]);
    let calls: Vec<_> = told.calls().collect();
    assert!(told.complete && told.straight && calls.len() == 1, "{told}");
    assert_eq!((calls[0].contract, calls[0].method.as_str(), calls[0].flags), (contract, method, flags));
    assert_eq!(calls[0].args, args.iter().map(StackItem::from).collect::<Vec<_>>());
}

#[test]
fn intents_of_neon_js_are_the_same_calls() {
    let Some(all) = json("neo-n3/neon-js/scriptIntents.json") else { return };
    // The other cases of the file are in the operations of Neo Legacy.
    for name in ["1", "2"] {
        let (intent, script) = (&all[name]["scriptIntent"], bytes(&all[name]["script"]));
        let contract: Hash160 = intent["scriptHash"].as_str().unwrap().parse().unwrap();
        let method = intent["operation"].as_str().unwrap();
        assert_eq!(Builder::new().call(&contract, method, CallFlags::ALL, &[]).finish().unwrap(), script);
    }
}

#[test]
fn values_that_nodes_show_read_and_are_shown_alike() {
    let Some(all) = json("neo-n3/neo-csharp/RpcTestCases.json") else { return };
    let mut stacks = 0;
    for case in all.as_array().unwrap() {
        let result = &case["Response"]["result"];
        let executions = result["executions"].as_array().into_iter().flatten();
        for stack in executions.chain([result]).filter_map(|run| run["stack"].as_array()) {
            stacks += 1;
            for shown in stack {
                let item: StackItem = serde_json::from_value(shown.clone()).unwrap();
                assert_eq!(StackItem::from_json(&serde_json::to_value(&item).unwrap()).unwrap(), item);
                if !shown.to_string().contains("\"value\":null") {
                    assert_eq!(serde_json::to_value(&item).unwrap(), *shown);
                }
            }
        }
        for param in case["Request"]["params"].as_array().into_iter().flatten().filter_map(Value::as_array).flatten() {
            if param["type"].is_string() {
                serde_json::from_value::<Param>(param.clone()).unwrap();
            }
        }
    }
    assert!(stacks == 7, "{stacks} stacks");
}

/// The VM's own tests are programs, and for each step the place and the operation that comes next.
#[test]
fn programs_of_the_vm_have_the_operations_where_the_vm_finds_them() {
    let Some(root) = find("neo-vm") else { return };
    let (mut programs, mut places) = (0, 0);
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let file: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
            for test in file["tests"].as_array().unwrap() {
                let script = assemble(&test["script"]);
                programs += 1;
                if instructions(&script).all(|read| read.is_ok()) {
                    assert_eq!(from_text(&to_text(&script).unwrap()).unwrap(), script, "{}", path.display());
                }
                // A program that faulted stands nowhere in particular.
                let steps = test["steps"].as_array().unwrap().iter().filter(|step| step["result"]["state"] == "BREAK");
                for context in steps.filter_map(|step| step["result"]["invocationStack"].as_array()).flatten() {
                    let Some(next) = context["nextInstruction"].as_str() else { continue };
                    let at = context["instructionPointer"].as_u64().unwrap() as usize;
                    if at >= script.len() {
                        assert_eq!(next, "RET", "{}: the end of a script returns", path.display());
                    } else {
                        let read = Instruction::read(&script, at).unwrap();
                        assert_eq!(read.opcode.name(), next, "{} at {at}", path.display());
                    }
                    places += 1;
                }
            }
        }
    }
    assert!(programs >= 434 && places >= 425, "{programs} programs, {places} places");
}

fn assemble(parts: &Value) -> Vec<u8> {
    let part = |part: &Value| {
        let text = part.as_str().unwrap();
        match text.strip_prefix("0x") {
            Some(digits) => hex::decode(digits).unwrap(),
            None => vec![text.parse::<Opcode>().unwrap().byte()],
        }
    };
    parts.as_array().unwrap().iter().flat_map(part).collect()
}

fn param() -> impl Strategy<Value = Param> {
    let leaf = prop_oneof![
        Just(Param::Null),
        any::<bool>().prop_map(Param::from),
        uniform32(any::<u8>()).prop_map(|bytes| Param::Integer(BigInt::from_signed_bytes_le(&bytes))),
        any::<i64>().prop_map(Param::from),
        vec(any::<u8>(), 0..300).prop_map(Param::from),
        ".{0,20}".prop_map(Param::from),
        uniform32(any::<u8>()).prop_map(|bytes| Param::Hash256(Hash256::from_le(bytes))),
        any::<[u8; 20]>().prop_map(|bytes| Param::Hash160(Hash160::from_le(bytes))),
        any::<u8>().prop_map(|byte| Param::Signature([byte; 64])),
        (1..=200_u8).prop_map(|byte| Param::PublicKey(PrivateKey::from_bytes(&[byte; 32]).unwrap().public())),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let values = vec(inner.clone(), 0..5);
        let numbered = vec(inner, 0..5).prop_map(|values| {
            Param::Map(values.into_iter().enumerate().map(|(at, value)| ((at as u64).into(), value)).collect())
        });
        prop_oneof![values.prop_map(Param::Array), numbered]
    })
}

proptest! {
    #[test]
    fn what_goes_in_is_read_back_in_every_form(args in vec(param(), 0..5)) {
        for arg in &args {
            let json = serde_json::to_string(arg).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Param>(&json).unwrap(), arg);
            let item = StackItem::from(arg);
            let json = serde_json::to_string(&item).unwrap();
            prop_assert_eq!(&serde_json::from_str::<StackItem>(&json).unwrap(), &item);
            prop_assert_eq!(&StackItem::from_storage(&item.to_storage().unwrap()).unwrap(), &item);
        }
        let calls = [(); 2].map(|()| Invocation {
            contract: Hash160::from_le([7; 20]),
            method: "method".into(),
            flags: CallFlags::ALL,
            args: args.clone(),
        });
        let script = batch(&calls).unwrap();
        prop_assert_eq!(&from_text(&to_text(&script).unwrap()).unwrap(), &script);
        prop_assert!(check(&script).is_ok());
        let told = explain(&script, &[]);
        prop_assert!(told.complete && told.straight);
        prop_assert_eq!(told.calls().count(), 2);
        for call in told.calls() {
            prop_assert!(call.isolated);
            prop_assert_eq!(&call.args, &args.iter().map(StackItem::from).collect::<Vec<_>>());
        }
    }
}
