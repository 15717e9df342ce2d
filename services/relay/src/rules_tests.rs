use serde_json::json;

use super::*;

fn call(data: &str, value: Option<&str>) -> Call {
    Call { data: Some(data.into()), value: value.map(Into::into), ..Call::default() }
}

fn read(json: serde_json::Value) -> Call {
    serde_json::from_value(json).unwrap()
}

#[test]
fn an_account_has_one_form() {
    let address = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
    let hash = "0xa755f41b43031e7c45b7ca534a5f3759ac665214";
    assert_eq!(account(Chain::NeoN3, address).unwrap(), hash);
    assert_eq!(account(Chain::NeoX, &hash.replace("a755", "A755")).unwrap(), hash);
    for wrong in [address, "", "0x12", &hash[2..]] {
        assert!(account(Chain::NeoX, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_call_that_no_node_takes_is_refused() {
    assert_eq!(check(Chain::NeoX, &call("AB", None)).unwrap(), call("0xab", Some("0")));
    let most = nsl_chain::x::U256::MAX.to_string();
    assert_eq!(check(Chain::NeoX, &call("0xab", Some(&most))).unwrap().value, Some(most.clone()));
    for (data, value) in
        [("0xa", None), ("0x00", Some("-1")), ("0x00", Some("1e18")), ("0x00", Some("")), ("0x00", Some("0x1"))]
    {
        assert!(check(Chain::NeoX, &call(data, value)).is_err(), "{data} {value:?}");
    }
    assert!(check(Chain::NeoX, &call("0x00", Some(&format!("{most}0")))).is_err());
    assert!(check(Chain::NeoX, &call(&"00".repeat(MOST_DATA + 1), None)).is_err());
    assert!(check(Chain::NeoX, &call("0x", None)).is_err(), "it deploys nothing");
    assert!(check(Chain::NeoN3, &call("0x11", Some("1"))).is_err());
    assert!(check(Chain::NeoN3, &call("0x", None)).is_err());
}

#[test]
fn a_call_of_neo_n3_is_a_script_or_names_its_method() {
    let contract = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
    let named = json!({ "contract": contract, "method": "transfer", "share": true,
        "args": [{ "type": "Integer", "value": "5" }, { "type": "Any", "value": null }] });
    let kept = check(Chain::NeoN3, &read(named.clone())).unwrap();
    assert_eq!((kept.args.len(), kept.share, kept.contract.as_deref()), (2, true, Some(contract)));
    let with = |name: &str, value: serde_json::Value| {
        let mut changed = named.clone();
        changed[name] = value;
        check(Chain::NeoN3, &read(changed)).map_err(|error| error.slug)
    };
    assert_eq!(with("data", json!("0x11")).unwrap_err(), "relay.call_unfit");
    assert_eq!(with("to", json!(contract)).unwrap_err(), "relay.call_unfit");
    assert_eq!(with("method", json!("")).unwrap_err(), "relay.call_unfit");
    assert_eq!(with("contract", json!("0x12")).unwrap_err(), "relay.account_malformed");
    assert_eq!(with("sponsor", json!("x")).unwrap_err(), "relay.account_malformed");
    assert_eq!(with("args", json!([{ "type": "Integer", "value": "five" }])).unwrap_err(), "relay.argument_malformed");
    assert_eq!(with("args", json!(["five"])).unwrap_err(), "relay.argument_malformed");
    assert!(check(Chain::NeoN3, &read(json!({ "data": "0x11", "share": true }))).is_err());
    assert!(check(Chain::NeoN3, &read(json!({ "data": "0x11", "args": [{ "type": "Any" }] }))).is_err());
    assert!(check(Chain::NeoN3, &read(json!({ "contract": contract }))).is_err());
    assert!(check(Chain::NeoX, &read(named)).is_err());
}

#[test]
fn a_submission_has_bounds_that_can_be_kept() {
    let submit = |max_fee: Option<&str>, valid_for_ms: Option<u64>| {
        let account = "0xa755f41b43031e7c45b7ca534a5f3759ac665214".to_owned();
        let (chain, call) = (Chain::NeoX, call("0x00", None));
        asked(&Submit { chain, account, call, max_fee: max_fee.map(Into::into), valid_for_ms })
            .map(|asked| (asked.max_fee, asked.valid_for))
            .map_err(|error| error.slug)
    };
    assert_eq!(submit(Some("7"), Some(1_000)), Ok((Some(7), Some(Duration::from_secs(1)))));
    for wrong in ["", "-1", "+1", "1.5", "1e3", &"9".repeat(40)] {
        assert_eq!(submit(Some(wrong), None), Err("relay.amount_malformed".into()), "{wrong}");
    }
    for wrong in [0, LONGEST_VALID + 1] {
        assert_eq!(submit(None, Some(wrong)), Err("relay.valid_for_malformed".into()));
    }
}
