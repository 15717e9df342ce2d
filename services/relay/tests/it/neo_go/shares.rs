//! Calls that share a transaction.

use neo::{stack::Param, tx::Scopes};
use nsl_api::relay::{State, Transaction};

use super::{FAULTY, STORE, fees, hashes, many, put};
use crate::{
    n3_ground::{N3Ground, invoke, script, shared},
    proxy::Gate,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_a_transaction_and_those_that_throw_are_left_out() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let faulty = ground.deploy(FAULTY.0, FAULTY.1, Param::Null).await;
    ground.pause();
    let ids = many(&ground, 20, "shared", |number| match number {
        7 => shared(invoke(faulty, "throw", &["the seventh".into()])),
        13 => shared(invoke(faulty, "abortWith", &["the thirteenth".into()])),
        number => shared(put(store, &format!("key {number}"), "value")),
    })
    .await;
    ground.unpause();
    let done = ground.settled(&ids).await;
    for (number, one) in done.iter().enumerate() {
        let wanted = if [7, 13].contains(&number) { State::Failed } else { State::Final };
        assert_eq!(one.state, wanted, "{number}: {one:?}");
    }
    assert!(done[7].reason.as_deref().unwrap().contains("the seventh"), "{:?}", done[7]);
    assert!(done[13].reason.as_deref().unwrap().contains("the thirteenth"), "{:?}", done[13]);
    let good: Vec<Transaction> = done.iter().filter(|one| one.state == State::Final).cloned().collect();
    assert_eq!(hashes(&good).len(), 1, "{:?}", hashes(&good));
    let sent = ground.transaction(&hashes(&good)[0]).await;
    let mut asked = sent.clone();
    asked.network_fee = 0;
    assert_eq!(ground.chain.network_fee(&asked).await.unwrap(), sent.network_fee);
    let paid: i64 = good.iter().map(|one| one.fee.as_deref().unwrap().parse::<i64>().unwrap()).sum();
    assert_eq!(paid.to_string(), fees(&sent), "shares add up");
    assert_eq!(sent.signers[0].scopes, Scopes::NONE);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_shared_a_transaction_that_faults_on_the_chain_goes_alone() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    // To overwrite costs less than to write: what is tried out as the one is too little for the other.
    let fill = |value: &str| put(store, "the key", value);
    assert_eq!(ground.done("before", fill(&"long ".repeat(50))).await.state, State::Final);
    ground.pause();
    let ids = many(&ground, 8, "shared", |number| match number {
        0 => shared(fill(&"long ".repeat(50))),
        number => shared(put(store, &format!("key {number}"), "value")),
    })
    .await;
    ground.gate.set(Gate::NoSends);
    ground.unpause();
    for id in &ids {
        ground.until(id, |now| now.state == State::Sent).await;
    }
    let key = neo::PrivateKey::from_wif(&ground.node.accounts[1].key).unwrap();
    let gone = script(store, "delete", &[Param::ByteArray("the key".into())]);
    ground.send_past(&key, key.public().verification_script(), gone).await;
    ground.gate.set(Gate::Open);
    let done = ground.settled(&ids).await;
    assert!(done.iter().all(|one| one.state == State::Final), "{done:?}");
    assert_eq!(hashes(&done).len(), 8, "each in one of its own");
    for id in &ids {
        let passed = ground.passed(id).await;
        let told = passed.iter().filter_map(|step| step.reason.as_deref()).any(|why| why.contains("goes alone"));
        assert!(told, "{passed:?}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_those_that_share_is_known_or_called_unknown() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    // Where it can't be read at all, nobody is told that it went well.
    ground.pause();
    let ids = many(&ground, 4, "never", |number| shared(put(store, &format!("key {number}"), "value"))).await;
    ground.gate.set(Gate::Unshown);
    ground.unpause();
    let done = ground.settled(&ids).await;
    ground.gate.set(Gate::Open);
    assert_eq!(hashes(&done).len(), 1, "{done:?}");
    for one in &done {
        assert!(one.state == State::Failed && one.height.is_some() && one.fee.is_some(), "{one:?}");
        assert!(one.reason.as_deref().unwrap().contains("outcome cannot be read"), "{one:?}");
    }
    // Alone, it did what it was tried out to do.
    ground.gate.set(Gate::Unshown);
    let done = ground.done("alone", put(store, "alone", "value")).await;
    assert_eq!(done.state, State::Final, "{done:?}");
    assert!(done.reason.as_deref().unwrap().contains("cannot be read"), "{done:?}");
    ground.gate.set(Gate::Open);
    ground.end().await;
}
