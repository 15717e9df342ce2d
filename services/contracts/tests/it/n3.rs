//! Neo N3, on neo-go.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{
    Hash160, native,
    nef::{Nef, contract_hash},
    script::{Builder, CallFlags},
    wire::Wire as _,
};
use nsl_api::{
    Chain,
    contracts::{
        Artefact, Ask, AskEvents, Compare, Contract, Deploy, Describe, FindContract, Invoke, Standing, Update, Weight,
    },
    relay::{Scope, State},
};
use serde_json::{Value, json};

use crate::ground::{Ground, postgres, refused};

pub(crate) type Files = (&'static [u8], &'static str);

macro_rules! files {
    ($name:literal) => {
        (
            include_bytes!(concat!("../../../../contracts/n3/", $name, ".nef")) as &[u8],
            include_str!(concat!("../../../../contracts/n3/", $name, ".manifest.json")),
        )
    };
}

pub(crate) const STORE: Files = files!("store");
pub(crate) const STORE_V2: Files = files!("store_v2");
const FAULTY: Files = files!("faulty");
pub(crate) const ECHO: Files = files!("echo");
const LOCK: Files = files!("lock");
const TOKEN: Files = files!("token");
pub(crate) const ITEM: Files = files!("item");
pub(crate) const SHARE: Files = files!("share");

pub(crate) fn artefact((nef, manifest): Files) -> Artefact {
    let manifest = serde_json::from_str(manifest).unwrap();
    Artefact { nef: Some(BASE64.encode(nef)), manifest: Some(manifest), artefact: None }
}

pub(crate) fn deploy(ground: &Ground, files: Files, data: Option<Value>) -> Deploy {
    Deploy {
        chain: Chain::NeoN3,
        account: ground.account(),
        artefact: artefact(files),
        args: vec![],
        data,
        value: None,
        max_fee: None,
        valid_for_ms: None,
    }
}

/// Deploys and waits until the chain has decided.
pub(crate) async fn deployed(ground: &Ground, files: Files, data: Option<Value>) -> Contract {
    let begun = ground.contracts.deploy(&ground.cx, deploy(ground, files, data)).await.unwrap();
    let foreseen = begun.hash.clone().unwrap();
    let contract = ground.decided(&begun.transaction.id).await;
    assert_eq!(contract.state, Standing::Deployed, "{contract:?}");
    assert_eq!(contract.hash, Some(foreseen));
    contract
}

fn text(stack: &[Value]) -> Vec<u8> {
    BASE64.decode(stack[0]["value"].as_str().unwrap()).unwrap()
}

async fn life(ground: Ground) {
    let begun = ground.contracts.deploy(&ground.once("one"), deploy(&ground, STORE, None)).await.unwrap();
    let again = ground.contracts.deploy(&ground.once("one"), deploy(&ground, STORE, None)).await.unwrap();
    assert_eq!((&again.hash, &again.transaction.id), (&begun.hash, &begun.transaction.id));
    let hash = begun.hash.unwrap();
    let nef = Nef::from_bytes(STORE.0).unwrap();
    let sender = Hash160::from_address(&ground.account()).unwrap();
    assert_eq!(hash, contract_hash(sender, nef.checksum(), "Store").to_string());
    let contract = ground.decided(&begun.transaction.id).await;
    assert_eq!(contract.state, Standing::Deployed, "{contract:?}");

    let found = ground.find(&hash).await.unwrap();
    let live = found.live.unwrap();
    assert_eq!((live.update_counter, live.checksum), (Some(0), Some(nef.checksum().to_string())));
    assert_eq!(live.compiler, Some(nef.compiler));
    assert_eq!(found.manifest.unwrap()["name"], "Store");
    let address = hash.parse::<Hash160>().unwrap().address();
    assert_eq!(ground.find(&address).await.unwrap().hash.as_ref(), Some(&hash), "an address is as good");

    let version = ground.ask(&hash, "version", &[]).await.unwrap();
    assert_eq!(version.stack, [json!({"type": "Integer", "value": "1"})]);
    let put = ground.invoke(&hash, "put", &[json!("key"), json!("0x00ff")]).await;
    let put_as = Invoke {
        scope: Some(Scope::CalledByEntry),
        ..ground.invocation(&hash, "putAs", &[json!(ground.account()), json!("k"), json!("v")])
    };
    let done = ground.sent(ground.contracts.invoke(&ground.cx, put_as).await).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    ground.invoke(&hash, "putAll", &[json!({"a": "1", "b": "2"})]).await;
    ground.invoke(&hash, "delete", &[json!("a")]).await;
    assert_eq!(text(&ground.ask(&hash, "get", &[json!("key")]).await.unwrap().stack), [0, 255]);
    let found = ground.ask(&hash, "find", &[json!("b")]).await.unwrap();
    assert_eq!(
        (&found.stack[0]["type"], &found.stack[0]["iterator"][0]["type"]),
        (&json!("InteropInterface"), &json!("Struct"))
    );

    let height = u64::try_from(put.height.unwrap()).unwrap();
    let ask = |at| Ask {
        chain: Chain::NeoN3,
        hash: hash.clone(),
        method: "get".into(),
        args: vec![json!("key")],
        at: Some(at),
        account: None,
    };
    let before = ground.contracts.call(&ground.cx, ask(height - 1)).await.unwrap();
    assert_eq!(before.stack, [json!({"type": "ByteString", "value": ""})]);
    assert_eq!(text(&ground.contracts.call(&ground.cx, ask(height)).await.unwrap().stack), [0, 255]);

    let listening = ground.listening(&hash);
    let events = ground.events(listening.clone()).await;
    let names: Vec<_> = events.iter().map(|event| event.told.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["Put", "Put", "Put", "Put", "Delete"]);
    assert_eq!(json!(events[0].told.values), json!({"key": "0x6b6579", "value": "0x00ff"}));
    assert_eq!((&events[0].tx, events[0].height), (&put.tx, height));
    assert_eq!(ground.events(AskEvents { limit: 2, ..listening.clone() }).await, events);
    let deletes = AskEvents { name: Some("Delete".into()), ..listening.clone() };
    assert_eq!(ground.events(deletes).await, events[4..]);
    for (from, to, read) in [(height, Some(height), Some(height)), (height + 1_000_000, None, None)] {
        let ask = AskEvents { from: Some(from), to, name: Some("Nothing".into()), ..listening.clone() };
        let page = ground.contracts.events(&ground.cx, ask).await.unwrap();
        assert_eq!(
            (page.items.len(), page.from, page.to, page.next),
            (0, read, read, None),
            "an empty page says of what"
        );
    }
    let rest = AskEvents { after: Some(events[2].cursor.clone()), ..listening.clone() };
    assert_eq!(ground.events(rest).await, events[3..]);
    assert!(ground.events(AskEvents { to: Some(height - 1), ..listening }).await.is_empty());

    let trial = ground.contracts.simulate(&ground.cx, ground.invocation(&hash, "put", &[json!("x"), json!("y")])).await;
    let trial = trial.unwrap();
    assert!(trial.ok && trial.gas.parse::<u64>().unwrap() > 0, "{trial:?}");
    let told = trial.events.unwrap();
    assert_eq!(json!(told[0].values), json!({"key": "0x78", "value": "0x79"}));
    let estimate =
        ground.contracts.estimate(&ground.cx, ground.invocation(&hash, "put", &[json!("x"), json!("y")])).await;
    let estimate = estimate.unwrap();
    assert_eq!(estimate.system_fee, Some(trial.gas));
    assert_eq!(ground.ask(&hash, "get", &[json!("x")]).await.unwrap().stack[0]["value"], "", "nothing was sent");

    let stranger = ground.stranger();
    assert_eq!(ground.list(&ground.cx).await.len(), 1);
    assert!(ground.list(&stranger).await.is_empty());
    let find = FindContract { chain: Chain::NeoN3, hash: hash.clone() };
    let foreign = ground.contracts.find(&stranger, find).await.unwrap();
    assert_eq!((foreign.state, foreign.request, foreign.account), (Standing::Foreign, None, None));
    assert!(foreign.manifest.is_some(), "the chain tells it to everybody");
    let describe = Describe { chain: Chain::NeoN3, hash, abi: json!([]), name: None };
    assert_eq!(refused(ground.contracts.describe(&stranger, describe).await).0, "contracts.artefact_unfit");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_lives_on_sqlite() {
    life(Ground::n3(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_lives_on_postgres() {
    life(Ground::n3(postgres()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_chain_would_not_take_is_told_with_the_reason() {
    let ground = Ground::n3(None).await;
    let refusal = async |artefact: Artefact| {
        let deploy = Deploy { artefact, ..deploy(&ground, STORE, None) };
        refused(ground.contracts.deploy(&ground.cx, deploy).await)
    };
    let mut bent = STORE.0.to_vec();
    *bent.last_mut().unwrap() ^= 1;
    let (slug, said) = refusal(Artefact { nef: Some(BASE64.encode(bent)), ..artefact(STORE) }).await;
    assert_eq!((slug.as_str(), said.contains("checksum")), ("contracts.nef_invalid", true), "{said}");
    let other = Artefact { manifest: artefact(STORE_V2).manifest, ..artefact(STORE) };
    let (slug, said) = refusal(other).await;
    assert_eq!(slug, "contracts.manifest_invalid", "{said}");
    assert_eq!(refusal(Artefact { manifest: None, ..artefact(STORE) }).await.0, "contracts.artefact_unfit");
    assert!(ground.list(&ground.cx).await.is_empty());

    // The same contract of the same account has the same hash: it stands there already.
    let hash = deployed(&ground, STORE, None).await.hash.unwrap();
    let again = ground.contracts.deploy(&ground.cx, deploy(&ground, STORE, None)).await.unwrap();
    assert_eq!(again.hash.as_ref(), Some(&hash));
    let failed = ground.decided(&again.transaction.id).await;
    assert_eq!(failed.state, Standing::Failed, "{failed:?}");
    let reason = failed.reason.unwrap();
    assert!(reason.contains("already exists"), "{reason}");
    let found = ground.find(&hash).await.unwrap();
    assert_eq!(found.state, Standing::Deployed, "the one that stands is not hidden by the one that failed");

    // `_deploy` asks for a hash as data.
    let lock = ground.contracts.deploy(&ground.cx, deploy(&ground, LOCK, Some(json!("0x01")))).await.unwrap();
    let failed = ground.decided(&lock.transaction.id).await;
    assert_eq!(failed.state, Standing::Failed);
    assert!(failed.reason.as_deref().unwrap().contains("not a hash"), "{failed:?}");
    let locked = deployed(&ground, LOCK, Some(json!(format!("0x{}", "07".repeat(32))))).await;
    assert_eq!(locked.hash, lock.hash, "data is no part of the hash");

    let methods = ground.ask(&hash, "gone", &[]).await.unwrap_err();
    assert_eq!(
        (&*methods.slug, methods.details["methods"].as_array().unwrap().len() > 5),
        ("chain.method_unknown", true)
    );
    for (method, args, slug) in [
        ("get", vec![], "chain.argument_count"),
        ("putAs", vec![json!("nobody"), json!("k"), json!("v")], "chain.argument_invalid"),
        ("putAll", vec![json!("no map")], "chain.argument_invalid"),
    ] {
        assert_eq!(refused(ground.ask(&hash, method, &args).await).0, slug, "{method}");
        let invocation = ground.invocation(&hash, method, &args);
        assert_eq!(refused(ground.contracts.invoke(&ground.cx, invocation).await).0, slug, "{method}");
    }
    let nothing = format!("0x{}", "05".repeat(20));
    assert_eq!(refused(ground.ask(&nothing, "get", &[]).await).0, "contracts.not_found");
    assert_eq!(refused(ground.find(&nothing).await).0, "contracts.not_found");
    let paid = Invoke { value: Some("1".into()), ..ground.invocation(&hash, "version", &[]) };
    assert_eq!(refused(ground.contracts.invoke(&ground.cx, paid).await).0, "contracts.call_unfit");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_told_in_the_words_of_the_contract() {
    let ground = Ground::n3(None).await;
    let hash = deployed(&ground, FAULTY, None).await.hash.unwrap();
    for (method, args, part) in [
        ("throw", vec![json!("not today")], "not today"),
        ("abort", vec![], "ABORT"),
        ("abortWith", vec![json!("enough")], "enough"),
        ("assertWith", vec![json!(false), json!("must be")], "must be"),
        ("divide", vec![json!(1), json!(0)], "division by zero"),
        ("element", vec![json!([1, 2]), json!(2)], "out of range"),
        ("writeInSafe", vec![], "missing call flags"),
    ] {
        let error = ground.ask(&hash, method, &args).await.unwrap_err();
        let reason = error.details["reason"].as_str().unwrap_or_default().to_owned();
        assert_eq!(error.slug, "contracts.reverted", "{method}");
        assert!(reason.contains(part), "{method}: {reason}");
        let trial = ground.contracts.simulate(&ground.cx, ground.invocation(&hash, method, &args)).await.unwrap();
        assert_eq!((trial.ok, trial.reason), (false, Some(reason)), "{method}");
    }
    let args = [json!("k"), json!("v"), json!("no")];
    let done = ground.contracts.invoke(&ground.cx, ground.invocation(&hash, "putThenThrow", &args)).await;
    let done = ground.sent(done).await;
    assert_eq!((done.state, done.height), (State::Failed, None), "it would have cost a fee: {done:?}");
    assert_eq!(ground.ask(&hash, "get", &[json!("k")]).await.unwrap().stack[0]["value"], "");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_is_shown_sent_and_compared() {
    let ground = Ground::n3(None).await;
    let hash = deployed(&ground, STORE, None).await.hash.unwrap();
    ground.invoke(&hash, "put", &[json!("k"), json!("v")]).await;
    let update = |artefact: Artefact| Update {
        chain: Chain::NeoN3,
        hash: hash.clone(),
        account: ground.account(),
        artefact,
        data: None,
        implementation: None,
        max_fee: None,
        valid_for_ms: None,
    };
    let mut renamed = artefact(STORE_V2);
    renamed.manifest.as_mut().unwrap()["name"] = json!("Other");
    let (slug, said) = refused(ground.contracts.update(&ground.cx, update(renamed)).await);
    assert_eq!((slug.as_str(), said.contains("name")), ("contracts.update_refused", true), "{said}");
    let token = deployed(&ground, TOKEN, None).await.hash.unwrap();
    let mut newer_token = artefact(STORE_V2);
    newer_token.manifest.as_mut().unwrap()["name"] = json!("Token");
    let fixed = Update { hash: token, ..update(newer_token) };
    let (slug, said) = refused(ground.contracts.update(&ground.cx, fixed).await);
    assert!(slug == "contracts.not_updatable" || said.is_empty(), "{slug}: {said}");

    let compare = Compare { chain: Chain::NeoN3, hash: hash.clone(), artefact: artefact(STORE_V2) };
    let differences = ground.contracts.compare(&ground.cx, compare).await.unwrap();
    let texts: Vec<_> = differences.changes.iter().map(|change| change.text.as_str()).collect();
    for part in ["method append(", "method writes()", "storage is not compared"] {
        assert!(texts.iter().any(|text| text.contains(part)), "{part}: {texts:?}");
    }
    assert!(differences.changes.iter().all(|change| change.weight == Weight::Note), "{texts:?}");

    let updating = ground.contracts.update(&ground.once("up"), update(artefact(STORE_V2))).await.unwrap();
    assert_eq!(updating.differences, differences);
    let found = ground.updated(&hash).await;
    assert_eq!(found.live.unwrap().update_counter, Some(1));
    assert_eq!(Some(found.checksum.unwrap()), differences.after.checksum);
    // Asked for again, it is answered as then, though there is nothing left to change.
    let again = ground.contracts.update(&ground.once("up"), update(artefact(STORE_V2))).await.unwrap();
    assert_eq!((again.transaction.id, again.differences), (updating.transaction.id, differences));
    assert_eq!(ground.ask(&hash, "version", &[]).await.unwrap().stack[0]["value"], "2");
    assert_eq!(text(&ground.ask(&hash, "get", &[json!("k")]).await.unwrap().stack), b"v");
    ground.invoke(&hash, "append", &[json!("k"), json!("w")]).await;
    assert_eq!(text(&ground.ask(&hash, "get", &[json!("k")]).await.unwrap().stack), b"vw");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_and_results_keep_their_types() {
    let ground = Ground::n3(None).await;
    let hash = deployed(&ground, ECHO, None).await.hash.unwrap();
    let account = Hash160::from_address(&ground.account()).unwrap();
    let item = |kind: &str, value: Value| json!({"type": kind, "value": value});
    let bytes = |bytes: &[u8]| json!({"type": "ByteString", "value": BASE64.encode(bytes)});
    let most = "57896044618658097711785492504343953926634992332820282019728792003956564819967";
    for (method, arg, want) in [
        ("boolean", json!("true"), item("Boolean", json!(true))),
        ("integer", json!(most), item("Integer", json!(most))),
        ("integer", json!(-5), item("Integer", json!("-5"))),
        ("text", json!("grüße"), bytes("grüße".as_bytes())),
        ("bytes", json!("0x00ff"), bytes(&[0, 255])),
        ("bytes", json!("as it is"), bytes(b"as it is")),
        ("hash160", json!(ground.account()), bytes(account.as_le())),
        ("hash160", json!(account.to_string()), bytes(account.as_le())),
        ("array", json!([1, "0x02"]), item("Array", json!([item("Integer", json!("1")), bytes(&[2])]))),
        ("array", json!("[1]"), item("Array", json!([item("Integer", json!("1"))]))),
        ("map", json!({"a": 1}), item("Map", json!([{"key": bytes(b"a"), "value": item("Integer", json!("1"))}]))),
    ] {
        assert_eq!(ground.ask(&hash, method, &[arg]).await.unwrap().stack, [want], "{method}");
    }
    assert_eq!(ground.ask(&hash, "nothing", &[]).await.unwrap().stack, [json!({"type": "Any"})]);
    ground.end().await;
}

/// A contract that is gone as soon as it is there.
fn fleeting() -> Artefact {
    let mut builder = Builder::new();
    builder.call(&native::CONTRACT_MANAGEMENT, "destroy", CallFlags::ALL, &[]);
    // Takes its two arguments off the stack first, and what the call gives back last.
    let script = [&[0x57, 0, 2], &builder.finish().unwrap()[..], &[0x45, 0x40]].concat();
    let nef = Nef { compiler: "by hand".into(), source: String::new(), tokens: Vec::new(), script };
    let deploy = json!({
        "name": "_deploy", "offset": 0, "returntype": "Void", "safe": false,
        "parameters": [{ "name": "data", "type": "Any" }, { "name": "update", "type": "Boolean" }],
    });
    let manifest = json!({
        "name": "Fleeting", "groups": [], "features": {}, "supportedstandards": [],
        "abi": { "methods": [deploy], "events": [] },
        "permissions": [{ "contract": "*", "methods": "*" }], "trusts": [], "extra": null,
    });
    Artefact { nef: Some(BASE64.encode(nef.to_bytes())), manifest: Some(manifest), artefact: None }
}

async fn destroyed_at_once(ground: Ground) {
    let deploy = Deploy { artefact: fleeting(), ..deploy(&ground, STORE, None) };
    let begun = ground.contracts.deploy(&ground.cx, deploy).await.unwrap();
    let request = begun.transaction.id.clone();
    let done = ground.sent(Ok(begun.transaction)).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    assert_eq!(ground.by_request(&request).await.state, Standing::Deploying, "the node may be behind");
    let ground = ground.later(Duration::from_secs(660)).await;
    let told = ground.decided(&request).await;
    assert_eq!((told.state, told.hash), (Standing::Mismatched, begun.hash), "{:?}", told.reason);
    assert!(told.reason.unwrap().ends_with("it was destroyed"));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_is_destroyed_at_once_does_not_stay_open() {
    destroyed_at_once(Ground::n3(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_is_destroyed_at_once_does_not_stay_open_on_postgres() {
    destroyed_at_once(Ground::n3(postgres()).await).await;
}
