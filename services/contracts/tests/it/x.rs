//! Neo X, on anvil.

use nsl_api::{
    Chain, Page,
    contracts::{
        Artefact, Ask, AskEvents, Compare, Contract, Deploy, Describe, FindContract, ListContracts, Standing, Update,
        Weight,
    },
    relay::{ListTransactions, State, Submit},
};
use serde_json::{Value, json};

use crate::ground::{Ground, postgres, refused, until};

pub(crate) const STORE: &str = include_str!("../../../../contracts/x/Store.json");
pub(crate) const STORE_V2: &str = include_str!("../../../../contracts/x/StoreV2.json");
pub(crate) const PROXY: &str = include_str!("../../../../contracts/x/Proxy.json");
pub(crate) const TOKEN: &str = include_str!("../../../../contracts/x/Token.json");
const ADMIN: &str = include_str!("../../../../contracts/x/ProxyAdmin.json");
pub(crate) const ECHO: &str = include_str!("../../../../contracts/x/Echo.json");

pub(crate) fn artefact(text: &str) -> Artefact {
    Artefact { artefact: Some(serde_json::from_str(text).unwrap()), ..Artefact::default() }
}

pub(crate) fn deploy(ground: &Ground, text: &str, args: &[Value]) -> Deploy {
    Deploy {
        chain: Chain::NeoX,
        account: ground.account(),
        artefact: artefact(text),
        args: args.to_vec(),
        data: None,
        value: None,
        max_fee: None,
        valid_for_ms: None,
    }
}

/// Deploys and waits until the chain has decided.
pub(crate) async fn deployed(ground: &Ground, text: &str, args: &[Value]) -> Contract {
    let begun = ground.contracts.deploy(&ground.cx, deploy(ground, text, args)).await.unwrap();
    assert_eq!((begun.hash, begun.transaction.state), (None, State::Accepted));
    let contract = ground.decided(&begun.transaction.id).await;
    assert_eq!(contract.state, Standing::Deployed, "{contract:?}");
    assert_eq!(contract.request.as_ref(), Some(&begun.transaction.id));
    contract
}

async fn life(ground: Ground) {
    let contract = deployed(&ground, STORE, &[]).await;
    let hash = contract.hash.clone().unwrap();
    assert_eq!(
        (contract.name.as_deref(), contract.tx.is_some(), contract.height.is_some()),
        (Some("Store"), true, true)
    );
    assert_eq!(nsl_chain::x::address(&hash).map(|address| address.to_checksum(None)).as_ref(), Some(&hash));

    let found = ground.find(&hash.to_lowercase()).await.unwrap();
    let live = found.live.unwrap();
    let compiled: Value = serde_json::from_str(STORE).unwrap();
    let code = hex::decode(compiled["deployedBytecode"].as_str().unwrap().trim_start_matches("0x")).unwrap();
    assert_eq!(live.code_bytes, code.len() as u64);
    assert_eq!(live.code_hash, Some(nsl_chain::x::keccak256(&code).to_string()));
    assert_eq!((found.hash.as_ref(), found.abi), (Some(&hash), Some(compiled["abi"].clone())));

    assert_eq!(ground.ask(&hash, "version", &[]).await.unwrap().stack, [json!("1")]);
    let put = ground.invoke(&hash, "put", &[json!("grüße"), json!("0x00ff")]).await;
    ground.invoke(&hash, "put", &[json!("text"), json!("as it is")]).await;
    ground.invoke(&hash, "remove", &[json!("text")]).await;
    assert_eq!(ground.ask(&hash, "get", &[json!("grüße")]).await.unwrap().stack, [json!("0x00ff")]);

    let before = u64::try_from(put.height.unwrap() - 1).unwrap();
    let ask = |at| Ask {
        chain: Chain::NeoX,
        hash: hash.clone(),
        method: "get".into(),
        args: vec![json!("grüße")],
        at: Some(at),
        account: None,
    };
    assert_eq!(ground.contracts.call(&ground.cx, ask(before)).await.unwrap().stack, [json!("0x")]);
    assert_eq!(ground.contracts.call(&ground.cx, ask(before + 1)).await.unwrap().stack, [json!("0x00ff")]);
    assert_eq!(refused(ground.contracts.call(&ground.cx, ask(1_000_000)).await).0, "chain.not_there_yet");

    let listening = ground.listening(&hash);
    let events = ground.events(listening.clone()).await;
    let shown: Vec<_> = events.iter().map(|event| (event.told.name.as_deref().unwrap(), &event.told.values)).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    let first = json!({"from": ground.account(), "key": "grüße", "value": "0x00ff"});
    assert_eq!((shown[0].0, json!(shown[0].1)), ("Put", first));
    assert_eq!((events[0].tx.clone(), Some(events[0].height as i64)), (put.tx, put.height));
    assert_eq!(ground.events(AskEvents { limit: 1, ..listening.clone() }).await, events);
    for name in ["Removed", "Removed(address,string)"] {
        let removed = ground.events(AskEvents { name: Some(name.into()), ..listening.clone() }).await;
        assert_eq!(removed, events[2..], "{name}");
    }
    let rest = AskEvents { after: Some(events[0].cursor.clone()), ..listening.clone() };
    assert_eq!(ground.events(rest).await, events[1..]);
    let one = AskEvents { from: Some(events[1].height), to: Some(events[1].height), ..listening.clone() };
    assert_eq!(ground.events(one).await, events[1..2]);
    let unknown = AskEvents { name: Some("Gone".into()), ..listening };
    assert_eq!(refused(ground.contracts.events(&ground.cx, unknown).await).0, "contracts.event_unknown");

    let trial = ground.contracts.simulate(&ground.cx, ground.invocation(&hash, "put", &[json!("a"), json!("b")])).await;
    let trial = trial.unwrap();
    assert!(trial.ok && trial.stack == Some(vec![]) && trial.gas.parse::<u64>().unwrap() > 21_000, "{trial:?}");
    let told = trial.events.unwrap();
    assert_eq!(json!(told[0].values), json!({"from": ground.account(), "key": "a", "value": "0x62"}));
    assert_eq!(ground.ask(&hash, "get", &[json!("a")]).await.unwrap().stack, [json!("0x")], "nothing was sent");
    let estimate =
        ground.contracts.estimate(&ground.cx, ground.invocation(&hash, "put", &[json!("a"), json!("b")])).await;
    assert!(estimate.unwrap().gas_limit.unwrap() > 21_000);

    let stranger = ground.stranger();
    assert_eq!(ground.list(&ground.cx).await.len(), 1);
    assert!(ground.list(&stranger).await.is_empty());
    let find = FindContract { chain: Chain::NeoX, hash: hash.clone() };
    let foreign = ground.contracts.find(&stranger, find).await.unwrap();
    assert_eq!((foreign.state, foreign.abi, foreign.name, foreign.request), (Standing::Foreign, None, None, None));
    let by_request = nsl_api::contracts::FindDeployment { chain: Chain::NeoX, request: contract.request.unwrap() };
    assert_eq!(refused(ground.contracts.find_deployment(&stranger, by_request).await).0, "contracts.not_found");
    let ask =
        Ask { chain: Chain::NeoX, hash: hash.clone(), method: "version".into(), args: vec![], at: None, account: None };
    let (slug, said) = refused(ground.contracts.call(&stranger, ask.clone()).await);
    assert_eq!(slug, "contracts.abi_unknown", "{said}");
    let abi = compiled["abi"].clone();
    let describe = Describe { chain: Chain::NeoX, hash, abi, name: Some("theirs".into()) };
    let described = ground.contracts.describe(&stranger, describe).await.unwrap();
    assert_eq!((described.state, described.name.as_deref()), (Standing::Described, Some("theirs")));
    assert_eq!(ground.contracts.call(&stranger, ask).await.unwrap().stack, [json!("1")]);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_lives_on_sqlite() {
    life(Ground::x(None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_lives_on_postgres() {
    life(Ground::x(postgres()).await).await;
}

pub(crate) fn update(ground: &Ground, proxy: &str, implementation: &str, text: &str) -> Update {
    Update {
        chain: Chain::NeoX,
        hash: proxy.to_owned(),
        account: ground.account(),
        artefact: artefact(text),
        data: None,
        implementation: Some(implementation.to_owned()),
        max_fee: None,
        valid_for_ms: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_moved_by_the_contract_that_administers_it() {
    let ground = Ground::x(postgres()).await;
    let old = deployed(&ground, STORE, &[]).await.hash.unwrap();
    let new = deployed(&ground, STORE_V2, &[]).await.hash.unwrap();
    let admin = deployed(&ground, ADMIN, &[]).await.hash.unwrap();
    ground.invoke(&admin, "create", &[json!(old)]).await;
    let created = ground.events(ground.listening(&admin)).await;
    let proxy = created[0].told.values.as_ref().unwrap()["proxy"].as_str().unwrap().to_owned();
    let abi = serde_json::from_str::<Value>(STORE).unwrap();
    let describe = Describe { chain: Chain::NeoX, hash: proxy.clone(), abi, name: None };
    ground.contracts.describe(&ground.cx, describe).await.unwrap();
    assert_eq!(ground.ask(&proxy, "version", &[]).await.unwrap().stack, [json!("1")]);
    ground.contracts.update(&ground.cx, update(&ground, &proxy, &new, STORE_V2)).await.unwrap();
    assert_eq!(ground.updated(&proxy).await.live.unwrap().implementation, Some(new));
    assert_eq!(ground.ask(&proxy, "version", &[]).await.unwrap().stack, [json!("2")]);
    assert_eq!(ground.ask(&proxy, "writes", &[]).await.unwrap().stack, [json!("0")], "its ABI is the new one");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_moves_to_a_newer_contract_and_shows_what_changes() {
    let ground = Ground::x(None).await;
    let old = deployed(&ground, STORE, &[]).await.hash.unwrap();
    let new = deployed(&ground, STORE_V2, &[]).await.hash.unwrap();
    let proxy = deployed(&ground, PROXY, &[json!(old)]).await.hash.unwrap();
    // What the proxy's own ABI does not know is asked of the contract behind it.
    ground.invoke(&proxy, "put", &[json!("k"), json!("v")]).await;
    assert_eq!(ground.ask(&proxy, "version", &[]).await.unwrap().stack, [json!("1")]);
    assert_eq!(ground.find(&proxy).await.unwrap().live.unwrap().implementation, Some(old.clone()));

    let compare = Compare { chain: Chain::NeoX, hash: proxy.clone(), artefact: artefact(STORE_V2) };
    let differences = ground.contracts.compare(&ground.cx, compare).await.unwrap();
    let texts: Vec<_> = differences.changes.iter().map(|change| change.text.as_str()).collect();
    for part in ["function append(string,bytes) (0x", "function writes() (0x", "layout of the storage"] {
        assert!(texts.iter().any(|text| text.contains(part)), "{part}: {texts:?}");
    }

    let update = |implementation: &str, text: &str| update(&ground, &proxy, implementation, text);
    let refusal = async |update| refused(ground.contracts.update(&ground.cx, update).await);
    assert_eq!(refusal(update(&ground.other_account(), STORE_V2)).await.0, "contracts.implementation_missing");
    assert_eq!(refusal(update(&new, TOKEN)).await.0, "contracts.implementation_unfit");
    assert_eq!(refusal(Update { hash: old.clone(), ..update(&new, STORE_V2) }).await.0, "contracts.not_updatable");
    assert_eq!(refusal(Update { implementation: None, ..update(&new, STORE_V2) }).await.0, "contracts.artefact_unfit");
    let (slug, said) = refusal(Update { account: ground.other_account(), ..update(&new, STORE_V2) }).await;
    assert_eq!((slug.as_str(), said.contains("upgradeTo")), ("contracts.reverted", true), "{said}");

    let updating = ground.contracts.update(&ground.once("up"), update(&new, STORE_V2)).await.unwrap();
    let sides = (&updating.differences.before.implementation, &updating.differences.after.implementation);
    assert_eq!(sides, (&Some(old), &Some(new.clone())));
    assert!(updating.differences.changes.iter().all(|change| change.weight == Weight::Note));
    let again = ground.contracts.update(&ground.once("up"), update(&new, STORE_V2)).await.unwrap();
    assert_eq!((&again.transaction.id, &again.differences), (&updating.transaction.id, &updating.differences));
    let found = ground.updated(&proxy).await;
    assert_eq!(found.update.unwrap().request, updating.transaction.id);
    assert_eq!(found.live.unwrap().implementation, Some(new));
    assert_eq!(ground.ask(&proxy, "version", &[]).await.unwrap().stack, [json!("2")]);
    ground.invoke(&proxy, "append", &[json!("k"), json!("w")]).await;
    assert_eq!(
        ground.ask(&proxy, "get", &[json!("k")]).await.unwrap().stack,
        [json!("0x7677")],
        "it kept what it held"
    );
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_recorded_once_and_found_out_by_itself() {
    let ground = Ground::x(None).await;
    // The process had died between handing it to the relay and recording it.
    let made = nsl_api::relay::Call {
        data: serde_json::from_str::<Value>(STORE).unwrap()["bytecode"].as_str().map(str::to_owned),
        ..nsl_api::relay::Call::default()
    };
    let submit =
        Submit { chain: Chain::NeoX, account: ground.account(), call: made, max_fee: None, valid_for_ms: None };
    let handed = ground.relay.submit(&ground.once("contracts one"), submit).await.unwrap();
    let first = ground.contracts.deploy(&ground.once("one"), deploy(&ground, STORE, &[])).await.unwrap();
    assert_eq!(first.transaction.id, handed.id);
    let again = ground.contracts.deploy(&ground.once("one"), deploy(&ground, STORE, &[])).await.unwrap();
    assert_eq!(again.transaction.id, handed.id);
    let mut other = ground.once("one");
    other.once.as_mut().unwrap().fingerprint = "another request".into();
    let (slug, _) = refused(ground.contracts.deploy(&other, deploy(&ground, TOKEN, &[json!(1)])).await);
    assert_eq!(slug, "idempotency.key_reused");

    // It is known as soon as the chain has it, before anything else has looked.
    let hasty = ground.contracts.deploy(&ground.cx, deploy(&ground, TOKEN, &[json!(3)])).await.unwrap();
    ground.sent(Ok(hasty.transaction.clone())).await;
    let hash = ground.by_request(&hasty.transaction.id).await.hash.unwrap();
    assert_eq!(ground.ask(&hash, "totalSupply", &[]).await.unwrap().stack, [json!("3")]);

    let equal = (0..20).map(|_| async {
        ground
            .contracts
            .deploy(&ground.once("equal"), deploy(&ground, ECHO, &[json!("a")]))
            .await
            .unwrap()
            .transaction
            .id
    });
    let equal = futures_util::future::join_all(equal).await;
    assert!(equal.iter().all(|id| *id == equal[0]), "{equal:?}");

    // Nobody asks for it, and the process ends at once.
    let second = ground.contracts.deploy(&ground.cx, deploy(&ground, TOKEN, &[json!(7)])).await.unwrap();
    let ground = ground.restart().await;
    let all = until("the list is right by itself", async || {
        let all = ground.list(&ground.cx).await;
        all.iter().all(|one| one.state != Standing::Deploying).then_some(all)
    })
    .await;
    let requests: Vec<_> = all.iter().map(|one| one.request.clone().unwrap()).collect();
    let want = [second.transaction.id, equal[0].clone(), hasty.transaction.id, handed.id];
    assert_eq!(requests, want, "newest first, each once");
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let list = ListContracts { chain: Chain::NeoX, limit: 1, after };
        let page = ground.contracts.list(&ground.cx, list).await.unwrap();
        paged.extend(page.items.into_iter().map(|one| one.request.unwrap()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, want, "page by page");
    assert!(all.iter().all(|one| one.state == Standing::Deployed && one.hash.is_some()), "{all:?}");
    let list = ListTransactions { chain: Chain::NeoX, limit: 100, after: None };
    let Page { items, .. } = ground.relay.list(&ground.cx, list).await.unwrap();
    assert_eq!(items.len(), 4);
    let supply = ground.ask(all[0].hash.as_ref().unwrap(), "totalSupply", &[]).await.unwrap();
    assert_eq!(supply.stack, [json!("7")]);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_and_results_keep_their_types() {
    let ground = Ground::x(None).await;
    let paid = Deploy { value: Some("5".into()), ..deploy(&ground, ECHO, &[json!("hello")]) };
    let begun = ground.contracts.deploy(&ground.cx, paid).await.unwrap();
    let hash = ground.decided(&begun.transaction.id).await.hash.unwrap();
    let shape = json!({"name": "box", "corners": [{"x": "-1", "y": "2"}], "tag": "0x01020304"});
    let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let list = json!([["-3", "4"]]);
    for (method, args, stack) in [
        ("boolean", vec![json!(true)], vec![json!(true)]),
        (
            "integers",
            vec![json!(most), json!("-5"), json!(255), json!(-7)],
            vec![json!(most), json!("-5"), json!("255"), json!("-7")],
        ),
        ("text", vec![json!("grüße")], vec![json!("grüße")]),
        ("blob", vec![json!("text")], vec![json!("0x74657874")]),
        ("account", vec![json!(ground.account())], vec![json!(ground.account())]),
        ("grid", vec![list.clone()], vec![list.clone()]),
        ("grid", vec![json!(list.to_string())], vec![list]),
        ("shape", vec![shape.clone()], vec![shape]),
        ("twice(uint256)", vec![json!(4)], vec![json!("8")]),
        ("twice(string)", vec![json!("4")], vec![json!("44")]),
    ] {
        assert_eq!(ground.ask(&hash, method, &args).await.unwrap().stack, stack, "{method}");
    }
    for (method, args, slug) in [
        ("twice", vec![json!(4)], "chain.method_ambiguous"),
        ("gone", vec![], "chain.method_unknown"),
        ("boolean", vec![], "chain.argument_count"),
        ("boolean", vec![json!(3)], "chain.argument_invalid"),
        ("integers", vec![json!("-1"), json!(0), json!(0), json!(0)], "chain.argument_invalid"),
        ("integers", vec![json!(0), json!(0), json!(256), json!(0)], "chain.argument_invalid"),
        ("account", vec![json!("0x12")], "chain.argument_invalid"),
    ] {
        assert_eq!(refused(ground.ask(&hash, method, &args).await).0, slug, "{method}");
        let invocation = ground.invocation(&hash, method, &args);
        assert_eq!(refused(ground.contracts.invoke(&ground.cx, invocation).await).0, slug, "{method}");
    }
    let paid = nsl_api::contracts::Invoke { value: Some("9".into()), ..ground.invocation(&hash, "paid", &[]) };
    let trial = ground.contracts.simulate(&ground.cx, paid).await.unwrap();
    assert_eq!(trial.stack, Some(vec![json!("9")]));
    ground.end().await;
}
