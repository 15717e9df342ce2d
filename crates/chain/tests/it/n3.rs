//! Neo N3, on neo-go.

use std::{path::Path, sync::Arc, time::Duration};

use neo::{
    PrivateKey, native,
    nef::contract_hash,
    script::{Builder, CallFlags, Opcode},
    stack::{Param, StackItem},
    tx::{Signer, Transaction, Witness},
    wire::Wire,
};
use nsl_chain::{
    Body, Call, Chain, ChainKind, Cursor, Event, Executed, Filter, Item, N3Config, Output, Receipt, SharedChain, Watch,
    n3::{self, NeoN3, VmState},
};
use nsl_devnet::{N3, N3Options};
use serde_json::json;

use crate::{proxy::Proxy, x::executed};

const STORE: (&[u8], &str) = (
    include_bytes!("../../../../contracts/n3/store.nef"),
    include_str!("../../../../contracts/n3/store.manifest.json"),
);
const FAULTY: (&[u8], &str) = (
    include_bytes!("../../../../contracts/n3/faulty.nef"),
    include_str!("../../../../contracts/n3/faulty.manifest.json"),
);

fn config(node: &N3, urls: &[&str]) -> N3Config {
    let mut config = N3Config::of(node.magic, urls);
    config.pool.poll_ms = 20;
    config
}

async fn neo_go(dir: &Path) -> N3 {
    N3::start(dir, N3Options::default()).await.unwrap()
}

fn key(node: &N3, place: usize) -> PrivateKey {
    PrivateKey::from_wif(&node.accounts[place].key).unwrap()
}

struct Sender<'a> {
    chain: &'a NeoN3,
    key: PrivateKey,
}

impl Sender<'_> {
    fn call(&self, script: Vec<u8>) -> n3::Call {
        n3::Call { script, signers: vec![Signer::called_by_entry(self.key.public().script_hash())] }
    }

    /// A signed transaction; with so much system fee, or what a test run takes.
    async fn made(&self, script: Vec<u8>, system_fee: Option<i64>) -> Transaction {
        let call = self.call(script);
        let system_fee = match system_fee {
            Some(fee) => fee,
            None => {
                let trial = self.chain.simulate(&Call::N3(call.clone())).await.unwrap();
                trial.output.unwrap();
                trial.gas as i64
            }
        };
        let height = self.chain.height().await.unwrap();
        let mut transaction = Transaction {
            nonce: rand(),
            system_fee,
            valid_until_block: height as u32 + 100,
            signers: call.signers,
            script: call.script,
            witnesses: vec![Witness { invocation: Vec::new(), verification: self.key.public().verification_script() }],
            ..Transaction::default()
        };
        transaction.network_fee = self.chain.network_fee(&transaction).await.unwrap();
        transaction.sign(self.chain.magic(), &self.key).unwrap();
        transaction
    }

    async fn send(&self, script: Vec<u8>, system_fee: Option<i64>) -> Executed {
        let transaction = self.made(script, system_fee).await;
        let id = self.chain.send(&transaction.to_bytes()).await.unwrap();
        assert_eq!(id.as_str(), transaction.hash().to_string());
        executed(self.chain, &id).await
    }

    async fn deploy(&self, (nef, manifest): (&[u8], &str)) -> (neo::Hash160, neo::manifest::Manifest) {
        let args = [Param::ByteArray(nef.to_vec()), Param::String(manifest.to_owned())];
        let script = script_of(&native::CONTRACT_MANAGEMENT, "deploy", &args);
        assert_eq!(self.send(script, None).await.fault, None);
        let manifest = neo::manifest::Manifest::from_json(manifest.as_bytes()).unwrap();
        let nef = neo::nef::Nef::from_bytes(nef).unwrap();
        let hash = contract_hash(self.key.public().script_hash(), nef.checksum(), &manifest.name);
        let found = self.chain.contract(hash).await.unwrap().expect("it stands where it was expected");
        assert_eq!(found.manifest.name, manifest.name);
        (hash, manifest)
    }
}

// Equal transactions are one: each needs a number of its own.
fn rand() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn script_of(contract: &neo::Hash160, method: &str, args: &[Param]) -> Vec<u8> {
    let mut script = Builder::new();
    script.call(contract, method, CallFlags::ALL, args);
    script.finish().unwrap()
}

fn transfer(from: &PrivateKey, to: &PrivateKey, amount: u64) -> Vec<u8> {
    let account = |key: &PrivateKey| Param::Hash160(key.public().script_hash());
    let mut script = Builder::new();
    let args = [account(from), account(to), Param::Integer(amount.into()), Param::Null];
    script.call(&native::GAS, "transfer", CallFlags::ALL, &args).op(Opcode::ASSERT);
    script.finish().unwrap()
}

// The value that a `Put` tells.
fn put_value(event: &Event) -> Vec<u8> {
    let Body::Notification { name, state } = &event.body else { panic!("a notification") };
    assert_eq!(name, "Put");
    state.as_ref().unwrap()[1].as_bytes().unwrap()
}

#[tokio::test]
async fn a_transaction_goes_from_its_bytes_to_its_block() {
    let dir = tempfile::tempdir().unwrap();
    let node = neo_go(dir.path()).await;
    let chain = NeoN3::open(config(&node, &[&node.rpc])).unwrap();
    let (sender, to) = (Sender { chain: &chain, key: key(&node, 0) }, key(&node, 1));
    let transaction = sender.made(transfer(&sender.key, &to, 12_345), None).await;
    let bytes = transaction.to_bytes();
    let id = transaction.hash().to_string().parse().unwrap();
    assert!(matches!(chain.receipt(&id).await.unwrap(), Receipt::Unknown));
    assert_eq!(chain.send(&bytes).await.unwrap(), id);
    assert_eq!(chain.send(&bytes).await.unwrap(), id, "a second time, waiting or in a block");
    let done = executed(&chain, &id).await;
    assert_eq!(chain.send(&bytes).await.unwrap(), id, "a third time, in a block");
    assert_eq!((&done.fault, done.is_final, done.index), (&None, true, 0));
    assert_eq!(done.fee, (transaction.system_fee + transaction.network_fee) as u128);
    assert_eq!(done.gas as i64, transaction.system_fee, "the test run was exact");
    let names: Vec<_> = done.events.iter().map(|event| &event.body).collect();
    assert!(matches!(names[..], [Body::Notification { name, .. }] if name == "Transfer"), "{names:?}");
    assert_eq!((done.events[0].contract.as_str(), done.events[0].at.tx), (native::GAS.to_string().as_str(), 1));
}

#[tokio::test]
async fn what_the_node_refuses_has_its_slug() {
    let dir = tempfile::tempdir().unwrap();
    let node = neo_go(dir.path()).await;
    let chain = NeoN3::open(config(&node, &[&node.rpc])).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let sound = sender.made(transfer(&sender.key, &key(&node, 1), 1), None).await;
    let changed = |change: &dyn Fn(&mut Transaction)| {
        let mut changed = sound.clone();
        change(&mut changed);
        changed.sign(chain.magic(), &sender.key).unwrap();
        changed
    };
    let mut unsigned = sound.clone();
    unsigned.witnesses[0].invocation[5] ^= 1;
    let mut nobody = sound.clone();
    nobody.witnesses.clear();
    for (transaction, slug) in [
        (changed(&|tx| tx.network_fee -= 1), "chain.underpriced"),
        (changed(&|tx| tx.network_fee = 1), "chain.underpriced"),
        (changed(&|tx| tx.valid_until_block = 1), "chain.tx_expired"),
        (changed(&|tx| tx.system_fee = 1_000_000 * 100_000_000), "chain.policy_refused"),
        (changed(&|tx| tx.network_fee = 1_000_000 * 100_000_000), "chain.insufficient_funds"),
        (unsigned, "chain.signature_invalid"),
        (nobody, "chain.tx_malformed"),
    ] {
        let error = chain.send(&transaction.to_bytes()).await.unwrap_err();
        assert_eq!(error.slug, slug, "{error} {:?}", error.cause());
    }
    assert_eq!(chain.send(&[1, 2, 3]).await.unwrap_err().slug, "chain.tx_malformed");
    let x_call = Call::X(nsl_chain::x::Call::default());
    assert_eq!(chain.read(&x_call, None).await.unwrap_err().slug, "chain.wrong_chain");
}

#[tokio::test]
async fn contracts_are_asked_and_their_faults_told() {
    let dir = tempfile::tempdir().unwrap();
    let node = neo_go(dir.path()).await;
    let chain = NeoN3::open(config(&node, &[&node.rpc])).unwrap();
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let (store, manifest) = sender.deploy(STORE).await;
    let script = |contract, manifest: &_, name: &str, args: &[serde_json::Value]| {
        let method = n3::method(manifest, name, args.len()).unwrap();
        script_of(contract, name, &n3::arguments(method, args).unwrap())
    };
    let put = sender.send(script(&store, &manifest, "put", &[json!("key"), json!("0x01ff")]), None).await;
    assert_eq!(put_value(&put.events[0]), [1, 0xff]);
    let get = Call::N3(sender.call(script(&store, &manifest, "get", &[json!("key")])));
    let Output::N3(stack) = chain.read(&get, None).await.unwrap() else { panic!("a stack") };
    assert_eq!(stack, [StackItem::ByteString(vec![1, 0xff])]);
    let Output::N3(before) = chain.read(&get, Some(put.block.height - 1)).await.unwrap() else { panic!("a stack") };
    assert!(before[0].as_bytes().is_err() || before[0].as_bytes().unwrap().is_empty(), "{before:?}");

    let (faulty, manifest) = sender.deploy(FAULTY).await;
    for (name, args, reason) in [
        ("throw", vec![json!("too late")], "too late"),
        ("abortWith", vec![json!("gone")], "gone"),
        ("assertWith", vec![json!(false), json!("not yours")], "not yours"),
        ("divide", vec![json!(1), json!(0)], "zero"),
    ] {
        let script = script(&faulty, &manifest, name, &args);
        let error = chain.read(&Call::N3(sender.call(script)), None).await.unwrap_err();
        assert_eq!(error.slug, "chain.reverted");
        assert!(error.message.to_lowercase().contains(reason), "{name}: {error}");
    }
    // A script that runs for longer than a node is given is no fault of the node.
    let mut hasty = config(&node, &[&node.rpc]);
    (hasty.pool.timeout_ms, hasty.pool.eject_after) = (200, 1);
    let hasty = NeoN3::open(hasty).unwrap();
    hasty.height().await.unwrap();
    let endless = Call::N3(sender.call(script(&faulty, &manifest, "loop", &[])));
    assert_eq!(hasty.read(&endless, None).await.unwrap_err().slug, "chain.too_slow");
    assert_eq!(hasty.endpoints()[0].standing, "up");

    // In a block: nothing that it told happened, and the fee is spent.
    let args = [json!("key"), json!("0x02"), json!("after all not")];
    let done = sender.send(script(&faulty, &manifest, "putThenThrow", &args), Some(10_000_000)).await;
    assert!(done.fault.unwrap().reason.contains("after all not"));
    assert!(done.events.is_empty() && done.fee > 10_000_000);
}

#[tokio::test]
async fn events_of_every_run_come_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let node = neo_go(dir.path()).await;
    let old = Proxy::before(&node.rpc).await;
    old.hide("getblocknotifications");
    let chain = Arc::new(NeoN3::open(config(&node, &[&node.rpc])).unwrap());
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    let (store, _) = sender.deploy(STORE).await;
    let start = Cursor::before(ChainKind::NeoN3, 0);
    let filter = Filter { contracts: vec![store.to_string()], names: vec!["Put".into()] };
    let shared: SharedChain = chain.clone();
    let mut watch = Watch::new(shared.clone(), start.clone(), filter.clone()).unwrap();

    // Sent at once, so that many share a block.
    let mut sent = Vec::new();
    for value in 0..30u8 {
        let args = [Param::ByteArray(b"key".to_vec()), Param::ByteArray(vec![value])];
        sent.push(sender.made(script_of(&store, "put", &args), None).await.to_bytes());
    }
    for bytes in &sent {
        chain.send(bytes).await.unwrap();
    }
    let mut told = Vec::new();
    while told.len() < sent.len() {
        let batch = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("in time").unwrap();
        for item in batch.items {
            let Item::Event(event) = item else { panic!("nothing is taken back") };
            told.push(event);
        }
    }
    assert!(told.is_sorted_by(|one, other| one.at < other.at));
    let mut values: Vec<_> = told.iter().flat_map(put_value).collect();
    values.sort_unstable();
    assert_eq!(values, (0..30).collect::<Vec<u8>>());
    for event in &told {
        let Receipt::Executed(done) = chain.receipt(event.tx.as_ref().unwrap()).await.unwrap() else { panic!("done") };
        assert!(done.events.contains(event), "a receipt tells the same at the same place");
    }

    // Everything, from the first block on: what blocks run on their own too, and the same by way of the logs.
    let end = watch.cursor().at.height;
    let logs = Arc::new(NeoN3::open(config(&node, &[&old.url])).unwrap());
    let mut whole = Vec::new();
    for chain in [shared, logs] {
        let mut all = Vec::new();
        let mut watch = Watch::new(chain, start.clone(), Filter::default()).unwrap();
        while watch.cursor().at.height < end {
            all.extend(watch.next().await.unwrap().items);
        }
        let events: Vec<Event> = all
            .into_iter()
            .map(|item| match item {
                Item::Event(event) => event,
                Item::Removed { .. } => panic!("nothing is taken back"),
            })
            .filter(|event| event.block.height <= end)
            .collect();
        assert!(events.is_sorted_by(|one, other| one.at < other.at));
        whole.push(events);
    }
    assert!(whole[0].len() > 30 + end as usize, "each block pays its maker");
    assert_eq!(whole[0], whole[1]);
}

#[tokio::test]
async fn reads_and_sends_survive_an_endpoint_that_loses_requests() {
    let dir = tempfile::tempdir().unwrap();
    let node = neo_go(dir.path()).await;
    let (faulty, other) = (Proxy::before(&node.rpc).await, Proxy::before(&node.rpc).await);
    faulty.drop_every(10);
    other.drop_every(7);
    let chain = NeoN3::open(config(&node, &[&faulty.url, &other.url])).unwrap();
    for _ in 0..300 {
        chain.height().await.unwrap();
    }
    let sender = Sender { chain: &chain, key: key(&node, 0) };
    for _ in 0..20 {
        assert_eq!(sender.send(transfer(&sender.key, &key(&node, 1), 1), None).await.fault, None);
    }
    assert!(faulty.dropped() + other.dropped() > 30, "{} {}", faulty.dropped(), other.dropped());
    let wrong = NeoN3::open(N3Config::of(860_833_102, &[&node.rpc])).unwrap();
    assert_eq!(wrong.height().await.unwrap_err().slug, "chain.wrong_network");
}

#[tokio::test]
async fn a_height_without_a_block_is_no_head() {
    let dir = tempfile::tempdir().unwrap();
    let node = neo_go(dir.path()).await;
    let liar = Proxy::before(&node.rpc).await;
    liar.boast();
    let chain = NeoN3::open(config(&node, &[&liar.url, &node.rpc])).unwrap();
    let honest = NeoN3::open(config(&node, &[&node.rpc])).unwrap();
    let before = honest.height().await.unwrap() as u32;
    for _ in 0..20 {
        let head = chain.head().await.unwrap();
        assert!((before..=honest.height().await.unwrap() as u32).contains(&head.height), "{head:?}");
        assert_eq!(head.hash, honest.hash_of(head.height).await.unwrap());
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    assert!(liar.seen() > 0);
}

#[tokio::test]
async fn many_are_sent_at_once_and_blocks_say_what_became_of_each() {
    let dir = tempfile::tempdir().unwrap();
    let node = neo_go(dir.path()).await;
    let chain = NeoN3::open(config(&node, &[&node.rpc])).unwrap();
    let (sender, to) = (Sender { chain: &chain, key: key(&node, 0) }, key(&node, 1));
    let rules = chain.rules().await.unwrap();
    assert!(rules.ms_per_block == 100 && rules.most_valid_blocks > 100, "{rules:?}");
    let from = chain.height().await.unwrap() as u32 + 1;
    let mut made = Vec::new();
    for amount in 1..=60 {
        made.push(sender.made(transfer(&sender.key, &to, amount), None).await);
    }
    // What the node asks for is what is computed here.
    let way = neo::fee::Verification::key(&sender.key.public());
    assert_eq!(neo::fee::network_fee(&made[0], &[way], &rules.prices).unwrap(), made[0].network_fee);
    let mut starved = made[0].clone();
    (starved.nonce, starved.system_fee) = (rand(), starved.system_fee - 1);
    starved.sign(chain.magic(), &sender.key).unwrap();
    made.push(starved);
    let bytes: Vec<Vec<u8>> = made.iter().map(Wire::to_bytes).collect();
    let mut all: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    all.insert(1, b"no transaction");
    let said = chain.send_all(&all).await;
    assert_eq!(said.iter().filter(|one| one.is_ok()).count(), 61, "{said:?}");
    assert_eq!(said[1].as_ref().unwrap_err().slug, "chain.tx_malformed");
    assert_eq!(*said[61].as_ref().unwrap(), made[60].hash());
    let id = made[60].hash().to_string().parse().unwrap();
    let last = executed(&chain, &id).await.block.height as u32;
    let wanted = made[..59].iter().chain(&made[60..]).map(Transaction::hash).collect();
    let (ran, at) = chain.ran(&wanted, None, from, last).await.unwrap();
    assert_eq!(at, chain.hash_of(last).await.unwrap());
    while chain.head().await.unwrap().height == last {}
    assert_eq!(chain.ran(&wanted, Some(at), last + 1, last + 1).await.unwrap().0, []);
    let error = chain.ran(&wanted, Some(neo::Hash256::ZERO), last + 1, last + 1).await.unwrap_err();
    assert_eq!(error.slug, "chain.unreachable", "it follows another block: {error}");
    assert_eq!(ran.len(), 60);
    for one in &ran {
        let faults = one.sent.hash == made[60].hash();
        assert_eq!((one.run.state == VmState::Halt, one.sent.sender), (!faults, sender.key.public().script_hash()));
        assert!((from..=last).contains(&one.sent.height));
    }
    assert_eq!(chain.sent(from, last).await.unwrap().len(), 61, "and those that nobody asked for");
    assert!(chain.ran(&wanted, None, last, last + 100_000).await.is_err(), "blocks that are not there");
}
