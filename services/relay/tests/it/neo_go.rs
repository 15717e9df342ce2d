//! Neo N3, on neo-go with a block each 100 ms.

mod back;
mod ends;
mod faults;
mod lies;
mod once;
mod payers;
mod scopes;
mod shares;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use neo::{Hash160, native, stack::Param, tx::Scopes};
use nsl_api::relay::{Call, Cancel, State, Transaction};
use nsl_devnet::N3Options;
use nsl_relay::Config;

use crate::{
    n3_ground::{N3Ground, config, invoke, is_end, script},
    proxy::Gate,
};

macro_rules! contract {
    ($name:literal) => {
        (
            include_bytes!(concat!("../../../../contracts/n3/", $name, ".nef")).as_slice(),
            include_str!(concat!("../../../../contracts/n3/", $name, ".manifest.json")),
        )
    };
}

const STORE: (&[u8], &str) = contract!("store");
const TOKEN: (&[u8], &str) = contract!("token");
const FAULTY: (&[u8], &str) = contract!("faulty");

fn account(number: u8) -> Hash160 {
    Hash160::from_le([number; 20])
}

fn transfer(from: Hash160, to: Hash160, amount: i64) -> Call {
    invoke(native::GAS, "transfer", &[from.into(), to.into(), amount.into(), Param::Null])
}

fn put(store: Hash160, key: &str, value: &str) -> Call {
    invoke(store, "put", &[Param::ByteArray(key.into()), Param::ByteArray(value.into())])
}

fn states(passed: &[nsl_api::relay::Passed]) -> Vec<State> {
    let mut states: Vec<State> = passed.iter().map(|step| step.state).collect();
    states.dedup();
    states
}

fn fees(transaction: &neo::tx::Transaction) -> String {
    (transaction.system_fee + transaction.network_fee).to_string()
}

async fn many(ground: &N3Ground, count: usize, name: &str, call: impl Fn(usize) -> Call) -> Vec<String> {
    let all = (0..count).map(|number| {
        let (once, call) = (format!("{name} {number}"), call(number));
        async move { ground.submit(&once, call).await.unwrap().id }
    });
    join_all(all).await
}

fn hashes(done: &[Transaction]) -> Vec<String> {
    let mut hashes: Vec<String> = done.iter().map(|one| one.tx.clone().unwrap()).collect();
    hashes.sort();
    hashes.dedup();
    hashes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_becomes_final_and_pays_exactly() {
    let ground = N3Ground::fresh(None).await;
    let (from, to) = (ground.account(0), account(0x11));
    let before = ground.gas_of(from).await;
    let done = ground.done("one", transfer(from, to, 500)).await;
    assert_eq!((done.state, done.reason.as_deref()), (State::Final, None), "{done:?}");
    let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
    assert_eq!(done.fee, Some(fees(&sent)));
    assert_eq!(ground.gas_of(to).await, 500);
    assert_eq!(ground.gas_of(from).await, before - 500 - sent.system_fee - sent.network_fee);
    // What the node asks, to the datoshi, and what the run took.
    let mut asked = sent.clone();
    asked.network_fee = 0;
    assert_eq!(ground.chain.network_fee(&asked).await.unwrap(), sent.network_fee);
    assert_eq!(sent.signers[0].scopes, Scopes::CALLED_BY_ENTRY);
    let passed = states(&ground.passed(&done.id).await);
    assert_eq!(passed, [State::Accepted, State::Simulated, State::Signed, State::Sent, State::Final], "{passed:?}");
    // A script of one's own.
    let script = script(native::GAS, "transfer", &[from.into(), to.into(), 7.into(), Param::Null]);
    let call = Call { data: Some(format!("0x{}", hex::encode(script))), ..Call::default() };
    let done = ground.done("script", call).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    assert_eq!(ground.gas_of(to).await, 507);
    ground.evidence_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    // Valid for so long that nothing ends by itself.
    let ground = N3Ground::on(None, N3Options::default(), Config { n3_valid_blocks: 5_000, ..config() }).await;
    let (me, to, never) = (ground.account(0), account(0x74), account(0x75));
    ground.gate.set(Gate::NoSends);
    let lost = ground.submit("lost", transfer(me, to, 1)).await.unwrap().id;
    let taken_back = ground.submit("taken back", transfer(me, never, 1)).await.unwrap().id;
    for id in [&lost, &taken_back] {
        ground.until(id, |now| now.state == State::Sent).await;
    }
    ground.processes[0].clock.by(Duration::from_secs(3_600));
    let cancel = Cancel { chain: nsl_api::Chain::NeoN3, id: taken_back.clone() };
    ground.relay.cancel(&ground.cx, cancel).await.unwrap();
    // Not before it was heeded: what is to be taken back is at no node.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ground.gate.set(Gate::Open);
    let done = ground.settled(&[lost, taken_back]).await;
    assert_eq!([done[0].state, done[1].state], [State::Final, State::Replaced], "{done:?}");
    assert_eq!((ground.gas_of(to).await, ground.gas_of(never).await), (1, 0));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_open_while_something_works_with_them() {
    let ground = N3Ground::fresh(None).await;
    let keys = || ground.processes[0].accounts.keys_open();
    assert_eq!(keys(), 0);
    ground.gate.set(Gate::NoSends);
    let id = ground.submit("sent", transfer(ground.account(0), account(0x76), 1)).await.unwrap().id;
    ground.until(&id, |now| now.state == State::Sent).await;
    assert_eq!(keys(), 1);
    ground.gate.set(Gate::Open);
    assert_eq!(ground.settled(&[id]).await[0].state, State::Final);
    let closed = async {
        while keys() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed).await.expect("the lane rests and its key is closed");
    assert_eq!(ground.done("again", transfer(ground.account(0), account(0x76), 1)).await.state, State::Final);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo nextest run -p nsl-relay --run-ignored only"]
async fn sustained_rate_on_neo_n3() {
    for (name, share) in [("alone", false), ("shared", true)] {
        let ground = N3Ground::fresh(None).await;
        let (me, to) = (ground.account(0), account(0x44));
        let start = Instant::now();
        let ids = many(&ground, 1_000, name, |_| Call { share, ..transfer(me, to, 1) }).await;
        let submitted = start.elapsed().as_secs_f64();
        let done = ground.settled(&ids).await;
        assert!(done.iter().all(|one| is_end(one.state)));
        let (took, transactions) = (start.elapsed().as_secs_f64(), hashes(&done).len());
        println!(
            "{name}: {:.0} requests a second in {transactions} transactions; all taken on after {submitted:.1} s",
            1_000.0 / took
        );
        assert_eq!(ground.gas_of(to).await, 1_000);
        ground.end().await;
    }
}
