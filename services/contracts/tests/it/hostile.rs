//! What a tenant might try who means no good.

use std::time::Instant;

use nsl_api::{
    Chain,
    contracts::{
        Artefact, AskEvents, Compare, Deploy, Describe, FindDeployment, Invoke, ListContracts, Standing, Update,
    },
};
use nsl_core::Code;
use serde_json::{Value, json};

use crate::{
    ground::{Ground, postgres, refused},
    n3,
    x::{ECHO, STORE, STORE_V2, artefact, deploy, deployed, update},
};

fn describe(hash: &str, abi: Value) -> Describe {
    Describe { chain: Chain::NeoX, hash: hash.to_owned(), abi, name: None }
}

fn gives(kind: &str) -> Value {
    json!([{"type": "function", "name": "f", "stateMutability": "view", "inputs": [],
        "outputs": [{"name": "", "type": kind}]}])
}

/// A contract that answers every call with these bytes.
fn answering(answer: &[u8], abi: Value) -> Artefact {
    // CODECOPY of all that follows, and RETURN of it.
    let copy = |size: usize, code: usize| {
        let [high, low] = u16::try_from(size).unwrap().to_be_bytes();
        let code = u8::try_from(code).unwrap();
        vec![0x61, high, low, 0x60, code, 0x5f, 0x39, 0x61, high, low, 0x5f, 0xf3]
    };
    let runtime = [copy(answer.len(), 12), answer.to_vec()].concat();
    let code = [copy(runtime.len(), 12), runtime].concat();
    let one = json!({"contractName": "Answering", "abi": abi, "bytecode": format!("0x{}", hex::encode(code))});
    Artefact { artefact: Some(one), ..Artefact::default() }
}

fn word(number: usize) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&(number as u64).to_be_bytes());
    word
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abi_that_asks_for_too_much_is_refused_and_an_answer_that_does_too() {
    let ground = Ground::x(None).await;
    let hash = deployed(&ground, STORE, &[]).await.hash.unwrap();
    let nested = (0..40).fold(
        json!({"name": "v", "type": "uint8"}),
        |inner, _| json!({"name": "v", "type": "tuple", "components": [inner]}),
    );
    let nested =
        json!([{"type": "function", "name": "f", "stateMutability": "view", "inputs": [nested], "outputs": []}]);
    let deep = gives(&format!("uint8{}", "[]".repeat(60_000)));
    let large = json!(vec![gives("uint8")[0].clone(); 4_000]);
    for (abi, slug) in [
        (gives("uint256[10000000000]"), "chain.abi_invalid"),
        (gives("uint256[2000][2000][2000]"), "chain.abi_invalid"),
        (deep, "chain.abi_invalid"),
        (nested, "chain.abi_invalid"),
        (large, "contracts.artefact_too_large"),
        (json!({"abi": 5}), "chain.abi_invalid"),
        (json!("[]"), "chain.abi_invalid"),
    ] {
        let shown: String = abi.to_string().chars().take(120).collect();
        assert_eq!(
            refused(ground.contracts.describe(&ground.cx, describe(&hash, abi.clone())).await).0,
            slug,
            "{shown}"
        );
        let one = json!({"abi": abi, "bytecode": "0x00"});
        let wrapped = Artefact { artefact: Some(one), ..Artefact::default() };
        let compare = Compare { chain: Chain::NeoX, hash: hash.clone(), artefact: wrapped };
        assert_eq!(refused(ground.contracts.compare(&ground.cx, compare).await).0, slug, "{shown}");
    }

    // 100 pointers to the same 100 pointers, four times over: 100,000,000 texts in 13 KB.
    let mut answer = [word(32).as_slice(), &[b'a'; 32]].concat();
    for _ in 0..4 {
        answer = [word(100).as_slice(), &word(3_200).repeat(100), &answer].concat();
    }
    let bomb = [word(32).as_slice(), &answer].concat();
    let one = answering(&bomb, gives("string[][][][]"));
    let begun =
        ground.contracts.deploy(&ground.cx, Deploy { artefact: one, ..deploy(&ground, STORE, &[]) }).await.unwrap();
    let bomb = ground.decided(&begun.transaction.id).await;
    assert_eq!(bomb.state, Standing::Deployed, "{bomb:?}");
    let bomb = bomb.hash.unwrap();
    let began = Instant::now();
    assert_eq!(refused(ground.ask(&bomb, "f", &[]).await).0, "chain.output_invalid");
    let trial = ground.contracts.simulate(&ground.cx, ground.invocation(&bomb, "f", &[])).await;
    assert_eq!(refused(trial).0, "chain.output_invalid");
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_and_accounts_are_taken_to_their_last_digit_and_no_further() {
    let ground = Ground::x(None).await;
    let paid = Deploy { value: Some("5".into()), ..deploy(&ground, ECHO, &[json!("hello")]) };
    let begun = ground.contracts.deploy(&ground.cx, paid).await.unwrap();
    let hash = ground.decided(&begun.transaction.id).await.hash.unwrap();
    let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let more = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let least = "-57896044618658097711785492504343953926634992332820282019728792003956564819968";
    let less = "-57896044618658097711785492504343953926634992332820282019728792003956564819969";
    let large = "57896044618658097711785492504343953926634992332820282019728792003956564819968";
    let fine = [json!(most), json!(least), json!(255), json!(0)];
    let said = ground.ask(&hash, "integers", &fine).await.unwrap().stack;
    assert_eq!(said, [json!(most), json!(least), json!("255"), json!("0")]);
    for (place, wrong) in [
        (0, json!(more)),
        (0, json!("-1")),
        (0, json!(format!("0x1{}", "0".repeat(64)))),
        (0, json!("9".repeat(100_000))),
        (0, json!("0x")),
        (0, json!("1_000")),
        (0, json!("+1")),
        (0, json!("٣")),
        (0, json!(1e30)),
        (1, json!(less)),
        (1, json!(large)),
        (2, json!(-1)),
        (2, json!("256")),
    ] {
        let mut args = fine.clone();
        args[place] = wrong.clone();
        let (slug, said) = refused(ground.ask(&hash, "integers", &args).await);
        assert_eq!(slug, "chain.argument_invalid", "{place}");
        assert!(said.len() < 1_000, "{} letters", said.len());
    }
    let bent = ground.account().replace("f39F", "F39f");
    assert_eq!(refused(ground.ask(&hash, "account", &[json!(bent)]).await).0, "chain.argument_invalid");
    let caller = Invoke { account: bent.clone(), ..ground.invocation(&hash, "twice(uint256)", &[json!(1)]) };
    assert_eq!(refused(ground.contracts.simulate(&ground.cx, caller).await).0, "contracts.account_malformed");
    assert_eq!(refused(ground.find(&bent).await).0, "contracts.hash_malformed");
    for value in ["-1", "1.5", "", more, &"9".repeat(10_000)] {
        let paid = Invoke { value: Some(value.to_owned()), ..ground.invocation(&hash, "paid", &[]) };
        let (slug, said) = refused(ground.contracts.invoke(&ground.cx, paid).await);
        assert_eq!((slug.as_str(), said.len() < 1_000), ("contracts.value_malformed", true), "{said}");
    }
    // More than there is on earth is tried out, and not sent.
    let paid = Invoke { value: Some(most.to_owned()), ..ground.invocation(&hash, "paid", &[]) };
    assert!(!ground.contracts.simulate(&ground.cx, paid).await.unwrap().ok);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_another_tenant_stays_there() {
    let ground = Ground::x(postgres()).await;
    let stranger = ground.stranger();
    let contract = deployed(&ground, STORE, &[]).await;
    let new = deployed(&ground, STORE_V2, &[]).await.hash.unwrap();
    let (hash, request) = (contract.hash.unwrap(), contract.request.unwrap());
    let put = || ground.invocation(&hash, "put", &[json!("k"), json!("v")]);
    assert_eq!(refused(ground.contracts.simulate(&stranger, put()).await).0, "contracts.abi_unknown");
    assert_eq!(refused(ground.contracts.invoke(&stranger, put()).await).0, "contracts.abi_unknown");
    let abi = serde_json::from_str::<Value>(STORE).unwrap();
    let theirs =
        ground.contracts.describe(&stranger, Describe { name: Some("mine".into()), ..describe(&hash, abi) }).await;
    assert_eq!(theirs.unwrap().state, Standing::Described);
    let found = ground.find(&hash).await.unwrap();
    assert_eq!(
        (found.name.as_deref(), found.state),
        (Some("Store"), Standing::Deployed),
        "each has a list of their own"
    );
    // They may look at what the chain shows to all, and send nothing from an account of others.
    assert!(ground.contracts.simulate(&stranger, put()).await.unwrap().ok);
    assert_eq!(refused(ground.contracts.invoke(&stranger, put()).await).0, "relay.account_unknown");
    assert_eq!(refused(ground.contracts.estimate(&stranger, put()).await).0, "relay.account_unknown");
    assert_eq!(
        refused(ground.contracts.deploy(&stranger, deploy(&ground, STORE, &[])).await).0,
        "relay.account_unknown"
    );
    let moved = Update { artefact: artefact(STORE_V2), ..update(&ground, &hash, &new, STORE_V2) };
    assert_eq!(refused(ground.contracts.update(&stranger, moved).await).0, "contracts.not_updatable");
    let find = FindDeployment { chain: Chain::NeoX, request: request.clone() };
    assert_eq!(refused(ground.contracts.find_deployment(&stranger, find).await).0, "contracts.not_found");
    // An idempotency key of theirs is not one of ours.
    let mut other = ground.stranger();
    other.once = ground.once("one").once;
    ground.contracts.deploy(&ground.once("one"), deploy(&ground, STORE, &[])).await.unwrap();
    assert_eq!(refused(ground.contracts.deploy(&other, deploy(&ground, STORE, &[])).await).0, "relay.account_unknown");

    // Text that a database does not take is nobody's internal error.
    for text in ["\0", "rel_\0", "'; DROP TABLE contracts_known; --", "\u{10ffff}"] {
        let find = FindDeployment { chain: Chain::NeoX, request: text.to_owned() };
        let error = ground.contracts.find_deployment(&ground.cx, find).await.unwrap_err();
        assert!(matches!(error.code, Code::NotFound | Code::Invalid), "{error}");
        let list = ListContracts { chain: Chain::NeoX, limit: u32::MAX, after: Some(text.to_owned()) };
        let listed = ground.contracts.list(&ground.cx, list).await;
        assert!(listed.as_ref().is_ok() || listed.as_ref().unwrap_err().code == Code::Invalid, "{listed:?}");
    }
    let named = Describe { name: Some("a\0b\n".into()), ..describe(&new, json!([])) };
    assert_eq!(ground.contracts.describe(&ground.cx, named).await.unwrap().name.as_deref(), Some("a b "));
    assert_eq!(ground.find(&new).await.unwrap().name.as_deref(), Some("a b "));
    for (from, to) in [(u64::MAX, u64::MAX), (0, u64::MAX), (u64::MAX, 0)] {
        let ask = AskEvents { from: Some(from), to: Some(to), ..ground.listening(&hash) };
        assert!(ground.contracts.events(&ground.cx, ask).await.unwrap().items.is_empty());
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_and_artefacts_of_neo_n3_are_taken_to_their_bounds_and_no_further() {
    let ground = Ground::n3(None).await;
    let hash = n3::deployed(&ground, n3::ECHO, None).await.hash.unwrap();
    let least = "-57896044618658097711785492504343953926634992332820282019728792003956564819968";
    let less = "-57896044618658097711785492504343953926634992332820282019728792003956564819969";
    let more = "57896044618658097711785492504343953926634992332820282019728792003956564819968";
    let said = ground.ask(&hash, "integer", &[json!(least)]).await.unwrap().stack;
    assert_eq!(said, [json!({"type": "Integer", "value": least})]);
    let deep = (0..200).fold(String::from("1"), |inner, _| format!("[{inner}]"));
    let mut bent = ground.account();
    bent.replace_range(10..11, if &bent[10..11] == "x" { "y" } else { "x" });
    for (method, wrong) in [
        ("integer", json!(less)),
        ("integer", json!(more)),
        ("integer", json!("9".repeat(100_000))),
        ("integer", json!("1e3")),
        ("integer", json!(1.5)),
        ("hash160", json!(bent)),
        ("hash160", json!("0x00")),
        ("array", json!(deep)),
        ("array", json!(vec![0; 70_000])),
    ] {
        let (slug, said) = refused(ground.ask(&hash, method, &[wrong]).await);
        assert_eq!((slug.as_str(), said.len() < 1_000), ("chain.argument_invalid", true), "{method}: {said}");
    }
    // Larger than any transaction, and than the virtual machine takes.
    let large = json!("a".repeat(1 << 20));
    for error in [
        ground.ask(&hash, "text", std::slice::from_ref(&large)).await.unwrap_err(),
        ground
            .contracts
            .simulate(&ground.cx, ground.invocation(&hash, "text", std::slice::from_ref(&large)))
            .await
            .unwrap_err(),
        ground
            .contracts
            .invoke(&ground.cx, ground.invocation(&hash, "text", std::slice::from_ref(&large)))
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error.code, Code::Invalid), "{error}");
        assert!(error.message.len() < 1_000, "{} letters", error.message.len());
    }

    let refusal = async |artefact: Artefact| {
        let deploy = Deploy { artefact, ..n3::deploy(&ground, n3::STORE, None) };
        refused(ground.contracts.deploy(&ground.cx, deploy).await)
    };
    let mut wordy = n3::artefact(n3::STORE);
    wordy.manifest.as_mut().unwrap()["extra"] = json!({"Description": "a".repeat(1 << 20)});
    let mut many = n3::artefact(n3::STORE);
    let event = many.manifest.as_ref().unwrap()["abi"]["events"][0].clone();
    many.manifest.as_mut().unwrap()["abi"]["events"] = json!(vec![event; 20_000]);
    for (wrong, slug) in [
        (Artefact { nef: Some("A".repeat(1 << 20)), ..n3::artefact(n3::STORE) }, "contracts.nef_invalid"),
        (wordy, "contracts.manifest_invalid"),
        (many, "contracts.manifest_invalid"),
        (
            Artefact { manifest: Some(json!("a".repeat(1 << 20))), ..n3::artefact(n3::STORE) },
            "contracts.manifest_invalid",
        ),
    ] {
        let (told, said) = refusal(wrong).await;
        assert_eq!((told.as_str(), said.len() < 1_000), (slug, true), "{said}");
    }
    ground.end().await;
}
