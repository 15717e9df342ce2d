//! Neo X, with anvil in its place.

use std::{path::Path, sync::Arc, time::Duration};

use nsl_chain::{
    Body, Call, Chain, ChainKind, Cursor, Executed, Filter, Item, Output, Receipt, SharedChain, TxId, Watch, XConfig,
    x::{self, Abi, Address, Artefact, As, Draft, Fees, Key, NeoX, U256},
};
use nsl_core::Secret;
use nsl_devnet::{X, XOptions};
use serde_json::{Value, json};

const FAULTY: &str = include_str!("../../../../contracts/x/Faulty.json");
const STORE: &str = include_str!("../../../../contracts/x/Store.json");
const ECHO: &str = include_str!("../../../../contracts/x/Echo.json");

pub(crate) fn config(node: &X, urls: &[&str]) -> XConfig {
    let mut config = XConfig::of(node.chain_id, urls);
    config.pool.poll_ms = 50;
    config
}

pub(crate) async fn anvil(dir: &Path, block_time: Option<u64>) -> X {
    X::start(dir, XOptions { block_time, ..XOptions::default() }).await.unwrap()
}

pub(crate) fn key(node: &X, place: usize) -> Key {
    let hex = node.accounts[place].key.strip_prefix("0x").unwrap();
    Key::from_secret(&Secret::new(hex::decode(hex).unwrap())).unwrap()
}

// A method of the node's own, for what a real network can't be told to do.
pub(crate) async fn tell(node: &X, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = reqwest::Client::new().post(&node.rpc).json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer["result"].clone()
}

/// One account of a chain.
pub(crate) struct Sender<'a> {
    pub(crate) chain: &'a NeoX,
    pub(crate) key: Key,
}

impl Sender<'_> {
    pub(crate) async fn draft(&self, to: Option<Address>, data: Vec<u8>, value: u64, gas_limit: u64) -> Draft {
        Draft {
            chain_id: self.chain.chain_id(),
            nonce: self.chain.nonce(self.key.address(), As::Pending).await.unwrap(),
            to,
            value: U256::from(value),
            data,
            gas_limit,
            fees: self.chain.quote().await.unwrap(),
        }
    }

    pub(crate) async fn send(&self, draft: Draft) -> Executed {
        let signed = draft.signed_by(&self.key).unwrap();
        let id = self.chain.send(&signed.raw).await.unwrap();
        assert_eq!(id, signed.id);
        executed(self.chain, &id).await
    }

    async fn deploy(&self, artefact: &Artefact, args: &[Value]) -> Address {
        let code = artefact.deployment(args).unwrap();
        let made = self.send(self.draft(None, code, 0, 3_000_000).await).await;
        assert_eq!(made.fault, None);
        let contract = x::address(made.contract.as_deref().unwrap()).unwrap();
        assert!(!self.chain.code(contract).await.unwrap().is_empty());
        contract
    }
}

pub(crate) async fn executed(chain: &dyn Chain, id: &TxId) -> Executed {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Receipt::Executed(done) = chain.receipt(id).await.unwrap() {
                return *done;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("a block takes it")
}

fn artefact(text: &str) -> Artefact {
    Artefact::read(&serde_json::from_str(text).unwrap()).unwrap()
}

fn call(to: Address, data: Vec<u8>) -> x::Call {
    x::Call { to: Some(to), data, ..x::Call::default() }
}

async fn ask(chain: &NeoX, abi: &Abi, to: Address, method: &str, args: &[Value]) -> Result<Vec<Value>, String> {
    let call = Call::X(call(to, abi.call(method, args).unwrap()));
    match chain.read(&call, None).await {
        Ok(Output::X(data)) => Ok(abi.outputs(method, args.len(), &data.0).unwrap()),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert_eq!(error.slug, "chain.reverted", "{method}: {error}");
            let trial = chain.simulate(&call).await.unwrap();
            Err(abi.explain(&trial.output.unwrap_err()))
        }
    }
}

async fn a_transaction_from_its_bytes_to_its_block(block_time: Option<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), block_time).await;
    let chain = NeoX::open(config(&node, &[&node.rpc])).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let to = key(&node, 1).address();
    let held = chain.balance(to).await.unwrap();

    let draft = sender.draft(Some(to), Vec::new(), 12_345, 21_000).await;
    let signed = draft.signed_by(&sender.key).unwrap();
    assert!(matches!(chain.receipt(&signed.id).await.unwrap(), Receipt::Unknown));
    let id = chain.send(&signed.raw).await.unwrap();
    assert_eq!(chain.send(&signed.raw).await.unwrap(), id, "a second time, waiting or in a block");
    if block_time.is_some() {
        assert!(matches!(chain.receipt(&id).await.unwrap(), Receipt::Pending));
        let found = chain.transaction(&id).await.unwrap().unwrap();
        assert_eq!((found.from, found.nonce, found.height), (sender.key.address(), draft.nonce, None));
        assert_eq!(found.fees, draft.fees);
    }
    let done = executed(&chain, &id).await;
    assert_eq!(chain.send(&signed.raw).await.unwrap(), id, "a third time, in a block");
    assert_eq!((&done.fault, done.gas, done.is_final), (&None, 21_000, true));
    assert!(done.fee >= 21_000 * 20_000_000_000 && done.fee <= 21_000 * 40_000_000_000, "{}", done.fee);
    assert_eq!(chain.balance(to).await.unwrap(), held + U256::from(12_345));
    assert_eq!(chain.height().await.unwrap(), done.block.height);

    let other = Draft { value: U256::from(1), ..draft };
    let error = chain.send(&other.signed_by(&sender.key).unwrap().raw).await.unwrap_err();
    assert_eq!(error.slug, "chain.nonce_used");
}

#[tokio::test]
async fn a_transaction_goes_through_when_each_has_its_block() {
    a_transaction_from_its_bytes_to_its_block(None).await;
}

#[tokio::test]
async fn a_transaction_goes_through_when_blocks_come_by_the_clock() {
    a_transaction_from_its_bytes_to_its_block(Some(1)).await;
}

#[tokio::test]
async fn what_neo_x_would_refuse_is_refused_before_it_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let chain = NeoX::open(config(&node, &[&node.rpc])).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let sound = sender.draft(Some(Address::ZERO), Vec::new(), 1, 21_000).await;
    let gwei = 1_000_000_000;
    let tip = |max_fee, tip| Fees::Dynamic { max_fee, tip };
    for (draft, slug) in [
        (Draft { fees: tip(40 * gwei, 20 * gwei - 1), ..sound.clone() }, "chain.underpriced"),
        (Draft { fees: tip(40 * gwei - 1, 20 * gwei), ..sound.clone() }, "chain.underpriced"),
        (Draft { fees: Fees::Legacy { gas_price: 39 * gwei }, ..sound.clone() }, "chain.underpriced"),
        (Draft { fees: tip(2_000 * gwei, 20 * gwei), ..sound.clone() }, "chain.fee_too_high"),
        (Draft { chain_id: 1, ..sound.clone() }, "chain.wrong_network"),
        // These the node refuses.
        (Draft { gas_limit: 20_000, ..sound.clone() }, "chain.gas_limit_too_low"),
        (Draft { value: U256::from(10).pow(U256::from(30)), ..sound.clone() }, "chain.insufficient_funds"),
    ] {
        let error = chain.send(&draft.signed_by(&sender.key).unwrap().raw).await.unwrap_err();
        assert_eq!(error.slug, slug, "{error}");
    }
    let legacy = Draft { fees: Fees::Legacy { gas_price: 40 * gwei }, ..sound };
    assert_eq!(sender.send(legacy).await.fault, None);
}

#[tokio::test]
async fn a_waiting_transaction_is_replaced_by_one_that_offers_more() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), Some(3_600)).await;
    let chain = NeoX::open(config(&node, &[&node.rpc])).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let first = sender.draft(Some(Address::ZERO), Vec::new(), 1, 21_000).await;
    let lost = chain.send(&first.signed_by(&sender.key).unwrap().raw).await.unwrap();
    let same = Draft { value: U256::from(2), ..first.clone() };
    let error = chain.send(&same.signed_by(&sender.key).unwrap().raw).await.unwrap_err();
    assert_eq!(error.slug, "chain.replacement_underpriced");
    let fees = chain.fee_policy().replace(first.fees, chain.base_fee().await.unwrap()).unwrap();
    let won = chain.send(&Draft { fees, ..same }.signed_by(&sender.key).unwrap().raw).await.unwrap();
    tell(&node, "evm_mine", json!([])).await;
    assert_eq!(executed(&chain, &won).await.fault, None);
    assert!(matches!(chain.receipt(&lost).await.unwrap(), Receipt::Unknown));
}

#[tokio::test]
async fn contracts_are_made_asked_and_followed() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let chain = NeoX::open(config(&node, &[&node.rpc])).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };

    let echo = artefact(ECHO);
    let at = sender.deploy(&echo, &[json!("made with an argument")]).await;
    let max = U256::MAX.to_string();
    let least = "-57896044618658097711785492504343953926634992332820282019728792003956564819968";
    let shape = json!({"name": "grüß", "corners": [{"x": "1", "y": least}], "tag": "0x01020304"});
    for (method, args, gives) in [
        ("boolean", vec![json!(true)], vec![json!(true)]),
        (
            "integers",
            vec![json!(max), json!(least), json!(255), json!("-9223372036854775808")],
            vec![json!(max), json!(least), json!("255"), json!("-9223372036854775808")],
        ),
        ("text", vec![json!("ü")], vec![json!("ü")]),
        ("blob", vec![json!("0x00ff")], vec![json!("0x00ff")]),
        ("blob", vec![json!("text")], vec![json!("0x74657874")]),
        ("array", vec![json!(["1", "2"])], vec![json!(["1", "2"])]),
        ("grid", vec![json!([["1", "-2"], [3, 4]])], vec![json!([["1", "-2"], ["3", "4"]])]),
        ("shape", vec![shape.clone()], vec![shape]),
        ("twice(uint256)", vec![json!("21")], vec![json!("42")]),
        ("twice(string)", vec![json!("21")], vec![json!("2121")]),
    ] {
        assert_eq!(ask(&chain, &echo.abi, at, method, &args).await, Ok(gives), "{method}");
    }

    let store = artefact(STORE);
    let at = sender.deploy(&store, &[]).await;
    let data = store.abi.call("put", &[json!("key"), json!("0x01")]).unwrap();
    let from = Some(sender.key.address());
    let trial = chain.simulate(&Call::X(x::Call { from, ..call(at, data.clone()) })).await.unwrap();
    assert!(trial.output.is_ok());
    let told = trial.events.expect("anvil can say");
    assert_eq!(told.len(), 1);
    let done = sender.send(sender.draft(Some(at), data, 0, trial.gas).await).await;
    assert_eq!((&done.fault, done.events.len()), (&None, 1), "the gas that the test run found is enough");
    let Body::Log { topics, data } = &done.events[0].body else { panic!("a log") };
    assert_eq!(done.events[0].body, told[0].body);
    let named = store.abi.event(topics, data).unwrap();
    assert_eq!(
        (named.name.as_str(), &named.values["key"], &named.values["value"]),
        ("Put", &json!("key"), &json!("0x01"))
    );
    assert_eq!(ask(&chain, &store.abi, at, "get", &[json!("key")]).await, Ok(vec![json!("0x01")]));
    let get = Call::X(call(at, store.abi.call("get", &[json!("key")]).unwrap()));
    let Output::X(before) = chain.read(&get, Some(done.block.height - 1)).await.unwrap() else { panic!("bytes") };
    assert_eq!(store.abi.outputs("get", 1, &before.0).unwrap(), [json!("0x")]);
    let far = chain.read(&Call::X(call(at, Vec::new())), Some(done.block.height + 1_000)).await.unwrap_err();
    assert_eq!(far.slug, "chain.not_there_yet");
}

#[tokio::test]
async fn reasons_of_failure_are_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let chain = NeoX::open(config(&node, &[&node.rpc])).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let faulty = artefact(FAULTY);
    let at = sender.deploy(&faulty, &[]).await;
    for (method, args, reason) in [
        ("requireThat", vec![json!(false), json!("not yours")], "not yours"),
        ("requireSilently", vec![json!(false)], "reverted without a reason"),
        ("bareError", vec![], "Bare()"),
        (
            "refuse",
            vec![json!(7), json!("no")],
            r#"Refused(caller: 0x0000000000000000000000000000000000000000, code: 7, reason: "no")"#,
        ),
        ("assertThat", vec![json!(false)], "panic 0x01: an assertion does not hold"),
        ("add", vec![json!(200), json!(100)], "panic 0x11: a sum, difference or product does not fit its type"),
        ("divide", vec![json!(1), json!(0)], "panic 0x12: division or remainder by zero"),
        ("colour", vec![json!(9)], "panic 0x21: a number is no member of the enumeration"),
        ("pop", vec![], "panic 0x31: an element taken from an empty array"),
        ("element", vec![json!([1]), json!(1)], "panic 0x32: an index outside the array"),
        ("invalid", vec![], "invalid opcode"),
        ("loop", vec![], "out of gas"),
    ] {
        let found = ask(&chain, &faulty.abi, at, method, &args).await.unwrap_err();
        assert_eq!(found, reason, "{method}");
    }
    assert_eq!(chain.endpoints()[0].trouble, None);

    let before = chain.height().await.unwrap();

    // The same in blocks, where receipts say only that it failed.
    for (method, args, reason) in [
        ("requireThat", vec![json!(false), json!("not yours")], "not yours"),
        ("refuse", vec![json!(7), json!("no")], r#", code: 7, reason: "no")"#),
        ("pop", vec![], "panic 0x31: an element taken from an empty array"),
        ("loop", vec![], "out of gas"),
    ] {
        let data = faulty.abi.call(method, &args).unwrap();
        let done = sender.send(sender.draft(Some(at), data, 0, 200_000).await).await;
        let found = faulty.abi.explain(&done.fault.unwrap());
        assert!(found.ends_with(reason), "{method}: {found}");
        assert!(done.events.is_empty());
    }
    let blocks = chain.sent_by(sender.key.address(), before, before + 4).await.unwrap();
    let head = chain.head().await.unwrap();
    assert_eq!((head.height, head.hash), (before + 4, blocks.last));
    let sent = blocks.sent;
    assert!(sent.iter().map(|one| one.nonce).eq(0..5), "the deployment and what came after it: {sent:?}");
    assert_eq!(sent[0].fault, None);
    assert_eq!(sent[1].fault.as_deref(), Some("not yours"));
    assert_eq!(sent[4].fault.as_deref(), Some("out of gas"));
}

// What a watcher told: the value of each event, and a minus before what was taken back.
async fn told(watch: &mut Watch, abi: &Abi, want: usize) -> Vec<String> {
    let value = |body: &Body| {
        let Body::Log { topics, data } = body else { panic!("a log") };
        abi.event(topics, data).unwrap().values["value"].as_str().unwrap().to_owned()
    };
    let mut told = Vec::new();
    while told.len() < want {
        let batch = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("something is told");
        for item in batch.unwrap().items {
            match item {
                Item::Event(event) => told.push(value(&event.body)),
                Item::Removed { events, .. } => {
                    told.extend(events.iter().map(|event| format!("-{}", value(&event.body))))
                }
            }
        }
    }
    told
}

#[tokio::test]
async fn events_come_once_and_are_taken_back_when_their_block_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let chain = Arc::new(NeoX::open(config(&node, &[&node.rpc])).unwrap());
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let store = artefact(STORE);
    let at = sender.deploy(&store, &[]).await;
    let other = sender.deploy(&store, &[]).await;
    let put = async |contract: Address, value: &str| {
        let data = store.abi.call("put", &[json!("key"), json!(value)]).unwrap();
        sender.send(sender.draft(Some(contract), data, 0, 200_000).await).await
    };
    let filter =
        Filter { contracts: vec![at.to_string().to_lowercase()], names: vec!["Put(address,string,bytes)".to_owned()] };
    let shared: SharedChain = chain.clone();
    let start = Cursor::before(ChainKind::NeoX, 0);
    let mut watch = Watch::new(shared.clone(), start.clone(), filter.clone()).unwrap();
    put(at, "0x01").await;
    put(other, "0xee").await;
    put(at, "0x02").await;
    let data = store.abi.call("putAll", &[json!([["a", "0x03"], ["b", "0x04"]])]).unwrap();
    sender.send(sender.draft(Some(at), data, 0, 400_000).await).await;
    assert_eq!(told(&mut watch, &store.abi, 4).await, ["0x01", "0x02", "0x03", "0x04"]);

    // The last two blocks give way to two others without the transactions of the old ones.
    let kept = serde_json::to_string(&watch.cursor()).unwrap();
    tell(&node, "anvil_reorg", json!([2, []])).await;
    put(at, "0x05").await;
    assert_eq!(told(&mut watch, &store.abi, 4).await, ["-0x04", "-0x03", "-0x02", "0x05"]);

    // A watcher that was away meanwhile takes the blocks back by their hashes.
    let mut resumed = Watch::new(shared.clone(), serde_json::from_str(&kept).unwrap(), filter.clone()).unwrap();
    let mut removed = Vec::new();
    let first = loop {
        let batch = resumed.next().await.unwrap();
        match &batch.items[..] {
            [Item::Removed { block, .. }] => removed.push(block.height),
            [] => {}
            items => break items.to_vec(),
        }
    };
    assert!(removed.len() == 2 && removed[0] == removed[1] + 1, "{removed:?}");
    assert_eq!(first.len(), 1);

    // A state taken back, and another future.
    let snapshot = tell(&node, "evm_snapshot", json!([])).await;
    put(at, "0x06").await;
    assert_eq!(told(&mut watch, &store.abi, 1).await, ["0x06"]);
    tell(&node, "evm_revert", json!([snapshot])).await;
    assert!(watch.step().await.unwrap().is_none(), "a shorter chain alone takes nothing back");
    put(at, "0x07").await;
    put(at, "0x08").await;
    assert_eq!(told(&mut watch, &store.abi, 3).await, ["-0x06", "0x07", "0x08"]);

    let mut anew = Watch::new(shared, start, filter).unwrap();
    assert_eq!(told(&mut anew, &store.abi, 4).await, ["0x01", "0x05", "0x07", "0x08"]);
}

#[tokio::test]
async fn a_watcher_far_behind_catches_up_in_strides() {
    let dir = tempfile::tempdir().unwrap();
    let node = anvil(dir.path(), None).await;
    let mut settings = config(&node, &[&node.rpc]);
    settings.reorg_blocks = 8;
    let chain = Arc::new(NeoX::open(settings).unwrap());
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let store = artefact(STORE);
    let at = sender.deploy(&store, &[]).await;
    let mut values = Vec::new();
    for number in 0..6u8 {
        let value = format!("0x{number:02x}");
        let data = store.abi.call("put", &[json!("key"), json!(value)]).unwrap();
        sender.send(sender.draft(Some(at), data, 0, 200_000).await).await;
        values.push(value);
        tell(&node, "anvil_mine", json!([250])).await;
    }
    for names in [vec!["Put(address,string,bytes)".to_owned()], Vec::new()] {
        let filter = Filter { contracts: vec![at.to_string()], names };
        let mut watch = Watch::new(chain.clone(), Cursor::before(ChainKind::NeoX, 0), filter).unwrap();
        let mut batches = 0;
        let mut found = Vec::new();
        while let Some(batch) = watch.step().await.unwrap() {
            batches += 1;
            found.extend(batch.items);
        }
        assert_eq!(found.len(), values.len());
        assert!(batches < 6, "{batches} steps for 1,500 blocks");
        assert_eq!(watch.cursor().at.height, chain.height().await.unwrap());
    }
}
