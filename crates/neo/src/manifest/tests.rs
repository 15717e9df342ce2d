use serde_json::json;

use super::*;

/// A token of NEP-17.
pub(crate) fn token() -> Manifest {
    Manifest::from_json(token_json().to_string().as_bytes()).unwrap()
}

fn token_json() -> Value {
    let method = |name: &str, takes: &[(&str, &str)], gives: &str, safe: bool| {
        let parameters: Vec<_> = takes.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        json!({"name": name, "parameters": parameters, "returntype": gives, "offset": 0, "safe": safe})
    };
    let moves = [("from", "Hash160"), ("to", "Hash160"), ("amount", "Integer")];
    let mut transfer = moves.to_vec();
    transfer.push(("data", "Any"));
    json!({
        "name": "Token",
        "groups": [],
        "features": {},
        "supportedstandards": ["NEP-17"],
        "abi": {
            "methods": [
                method("symbol", &[], "String", true),
                method("decimals", &[], "Integer", true),
                method("totalSupply", &[], "Integer", true),
                method("balanceOf", &[("account", "Hash160")], "Integer", true),
                method("transfer", &transfer, "Boolean", false),
            ],
            "events": [{"name": "Transfer", "parameters": method("", &moves, "Void", false)["parameters"]}],
        },
        "permissions": [{"contract": "*", "methods": ["onNEP17Payment"]}],
        "trusts": [],
        "extra": {"Author": "somebody"},
    })
}

fn refusal(change: impl Fn(&mut Value)) -> String {
    let mut json = token_json();
    change(&mut json);
    match Manifest::from_json(json.to_string().as_bytes()) {
        Ok(_) => "taken".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn it_reads_and_writes_back() {
    let manifest = token();
    assert_eq!(serde_json::from_str::<Value>(&manifest.to_json()).unwrap(), token_json());
    assert_eq!(manifest.method("transfer", 4).unwrap().return_type, ParameterType::Boolean);
    assert!(manifest.method("transfer", 3).is_none());
}

#[test]
fn what_nodes_refuse_is_refused_and_what_they_take_is_taken() {
    type Case<'a> = (&'a str, &'a dyn Fn(&mut Value));
    let cases: &[Case<'_>] = &[
        ("taken", &|m| m["permissions"] = Value::Null),
        ("expected a sequence", &|m| m["groups"] = Value::Null),
        ("no name", &|m| m["name"] = json!("")),
        ("missing field", &|m| drop(m.as_object_mut().unwrap().remove("groups"))),
        ("taken", &|m| drop(m.as_object_mut().unwrap().remove("supportedstandards"))),
        ("features", &|m| m["features"] = json!({"storage": true})),
        ("features", &|m| drop(m.as_object_mut().unwrap().remove("features"))),
        ("has no name", &|m| m["supportedstandards"] = json!([""])),
        ("twice", &|m| m["supportedstandards"] = json!(["NEP-17", "NEP-17"])),
        ("there is none", &|m| m["abi"]["methods"] = json!([])),
        ("twice", &|m| m["abi"]["methods"][1] = m["abi"]["methods"][0].clone()),
        ("taken", &|m| m["abi"]["methods"][4]["name"] = json!("symbol")),
        ("twice", &|m| m["abi"]["events"] = json!([m["abi"]["events"][0], m["abi"]["events"][0]])),
        ("Void", &|m| m["abi"]["methods"][3]["parameters"][0]["type"] = json!("Void")),
        ("twice", &|m| m["abi"]["methods"][4]["parameters"][0]["name"] = json!("to")),
        ("unknown variant", &|m| m["abi"]["methods"][0]["returntype"] = json!("Text")),
        ("invalid value", &|m| m["abi"]["methods"][0]["offset"] = json!(-1)),
        ("begins at", &|m| m["abi"]["methods"][0]["offset"] = json!(2_147_483_648_u32)),
        ("missing field", &|m| drop(m["abi"]["methods"][0].as_object_mut().unwrap().remove("safe"))),
        ("twice", &|m| m["permissions"] = json!([m["permissions"][0], m["permissions"][0]])),
        ("has no name", &|m| m["permissions"][0]["methods"] = json!([""])),
        ("neither", &|m| m["permissions"][0]["methods"] = json!("all")),
        ("neither", &|m| m["permissions"][0]["contract"] = json!("0x12")),
        ("taken", &|m| m["permissions"][0]["contract"] = json!("0xd2a4cff31913016155e38e474a2c06d08be276cf")),
        ("taken", &|m| m["trusts"] = json!("*")),
        ("neither", &|m| drop(m.as_object_mut().unwrap().remove("trusts"))),
        ("neither", &|m| m["trusts"] = Value::Null),
        ("taken", &|m| m["extra"] = Value::Null),
        ("invalid type", &|m| m["extra"] = json!("text")),
        ("65535", &|m| m["extra"] = json!({"a": "x".repeat(65_535)})),
    ];
    for (at, (expected, change)) in cases.iter().enumerate() {
        let told = refusal(change);
        assert!(told.contains(expected), "case {at}: {told}, not {expected}");
    }
}

#[test]
fn a_group_vouches_for_one_contract_only() {
    let key = crate::PrivateKey::from_bytes(&[7; 32]).unwrap();
    let hash = crate::native::GAS;
    let mut manifest = token();
    manifest.groups.push(Group { key: key.public(), signature: key.sign(hash.as_le()) });
    let manifest = Manifest::from_json(manifest.to_json().as_bytes()).unwrap();
    assert!(manifest.check_for(&hash).is_ok());
    assert!(manifest.check_for(&crate::native::NEO).unwrap_err().to_string().contains("did not sign"));
}

#[test]
fn a_call_is_allowed_by_contract_group_or_to_all() {
    let key = crate::PrivateKey::from_bytes(&[7; 32]).unwrap().public();
    let mut manifest = token();
    let (gas, neo) = (crate::native::GAS, crate::native::NEO);
    assert!(manifest.may_call(&gas, &[], "onNEP17Payment") && !manifest.may_call(&gas, &[], "transfer"));
    manifest.permissions = vec![
        Permission { contract: Grantee::Contract(gas), methods: Wild::All },
        Permission { contract: Grantee::Group(key), methods: Wild::Only(vec!["mint".into()]) },
    ];
    assert!(manifest.may_call(&gas, &[], "transfer") && !manifest.may_call(&neo, &[], "transfer"));
    assert!(manifest.may_call(&neo, &[key], "mint") && !manifest.may_call(&neo, &[], "mint"));
}
