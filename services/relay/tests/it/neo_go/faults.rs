//! Calls that fault, when they are tried out and on the chain.

use neo::{native, stack::Param};
use nsl_api::{
    Chain as Name,
    relay::{Call, State, Submit},
};
use nsl_devnet::N3Options;
use nsl_relay::Config;
use nsl_sandbox::Database;

use super::{FAULTY, STORE, TOKEN, account, fees, many, put, transfer};
use crate::{
    n3_ground::{N3Ground, config, invoke, script, shared},
    proxy::Gate,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_fault_fails_with_the_reason_and_costs_nothing() {
    let ground = N3Ground::fresh(None).await;
    let faulty = ground.deploy(FAULTY.0, FAULTY.1, Param::Null).await;
    let before = ground.gas_of(ground.account(0)).await;
    for (call, reason) in [
        (invoke(faulty, "throw", &["so it is".into()]), "so it is"),
        (invoke(faulty, "assertWith", &[false.into(), "it does not hold".into()]), "it does not hold"),
        (invoke(faulty, "abort", &[]), "ABORT"),
        (invoke(faulty, "noSuch", &[]), "noSuch"),
        (invoke(account(0x77), "any", &[]), "not found"),
        (shared(invoke(faulty, "throw", &["shared".into()])), "shared"),
    ] {
        let done = ground.done(reason, call).await;
        assert_eq!((done.state, &done.tx, &done.fee), (State::Failed, &None, &None), "{done:?}");
        assert!(done.reason.as_deref().unwrap().contains(reason), "{done:?}");
    }
    assert_eq!(ground.gas_of(ground.account(0)).await, before);
    ground.end().await;
}

/// What a contract throws is its own choice, and no lane stops for it.
async fn any_bytes_may_be_thrown(ground: N3Ground) {
    let faulty = ground.deploy(FAULTY.0, FAULTY.1, Param::Null).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let thrown = [b"odd \0 \x1b[2J \xff ".as_slice(), &[0x61; 900]].concat();
    let throw = || invoke(faulty, "throw", &[Param::ByteArray(thrown.clone())]);
    ground.pause();
    let ids = many(&ground, 5, "shared", |number| match number {
        2 => shared(throw()),
        4 => throw(),
        number => shared(put(store, &format!("key {number}"), "value")),
    })
    .await;
    ground.unpause();
    for (number, one) in ground.settled(&ids).await.into_iter().enumerate() {
        let wanted = if [2, 4].contains(&number) { State::Failed } else { State::Final };
        assert_eq!(one.state, wanted, "{number}: {one:?}");
        let Some(reason) = one.reason else { continue };
        assert!(reason.contains("odd") && reason.chars().count() <= 400, "{reason}");
        assert!(!reason.chars().any(char::is_control), "{reason:?}");
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_throws_any_bytes_stops_no_lane() {
    any_bytes_may_be_thrown(N3Ground::fresh(None).await).await;
    any_bytes_may_be_thrown(N3Ground::fresh(Some(Database::fresh().unwrap())).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_on_the_chain_is_decoded_and_paid() {
    let ground = N3Ground::fresh(None).await;
    let me = ground.account(0);
    // Both are good when they are tried out; the second that a block takes overdraws the account.
    let token = ground.deploy(TOKEN.0, TOKEN.1, Param::Null).await;
    let all = ground.number(token, "balanceOf", &[me.into()]).await;
    let mut script = neo::script::Builder::new();
    let args = [me.into(), account(0x21).into(), Param::from(all), Param::Null];
    let script = script.call(&token, "transfer", neo::script::CallFlags::ALL, &args).op(neo::script::Opcode::ASSERT);
    let data = Some(format!("0x{}", hex::encode(script.finish().unwrap())));
    ground.gate.set(Gate::NoSends);
    let ids = many(&ground, 2, "overdrawn", |_| Call { data: data.clone(), ..Call::default() }).await;
    for id in &ids {
        ground.until(id, |now| now.state == State::Sent).await;
    }
    ground.gate.set(Gate::Open);
    let done = ground.settled(&ids).await;
    let (good, bad): (Vec<_>, Vec<_>) = done.iter().partition(|one| one.state == State::Final);
    assert_eq!((good.len(), bad.len()), (1, 1), "{done:?}");
    let bad = bad[0];
    assert!(bad.state == State::Failed && bad.height.is_some(), "{bad:?}");
    let reason = bad.reason.as_deref().unwrap();
    assert!(reason.contains("ASSERT") && reason.contains("at "), "{reason}");
    assert_eq!(bad.fee, Some(fees(&ground.transaction(bad.tx.as_deref().unwrap()).await)));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_more_gas_by_then_is_tried_again_within_its_bound() {
    let ground = N3Ground::fresh(None).await;
    let store = ground.deploy(STORE.0, STORE.1, Param::Null).await;
    let fill = |key: &str| put(store, key, &"long ".repeat(50));
    let dear = ground.done("to write", fill("another")).await.fee.unwrap();
    for key in ["free", "held"] {
        assert_eq!(ground.done(key, fill(key)).await.state, State::Final);
    }
    let cheap = ground.done("to overwrite", fill("free")).await.fee.unwrap();
    ground.gate.set(Gate::NoSends);
    let submit = |key: &str, max_fee: Option<String>| Submit {
        chain: Name::NeoN3,
        account: ground.account(0).to_string(),
        call: fill(key),
        max_fee,
        valid_for_ms: None,
    };
    let free = ground.submit_with("free again", submit("free", None)).await.unwrap().id;
    let bound = ground.submit_with("bound again", submit("held", Some(dear.clone()))).await.unwrap().id;
    for id in [&free, &bound] {
        ground.until(id, |now| now.state == State::Sent).await;
    }
    let key = neo::PrivateKey::from_wif(&ground.node.accounts[1].key).unwrap();
    for gone in ["free", "held"] {
        let gone = script(store, "delete", &[Param::ByteArray(gone.into())]);
        ground.send_past(&key, key.public().verification_script(), gone).await;
    }
    ground.gate.set(Gate::Open);
    let done = ground.settled(&[free, bound]).await;
    let number = |fee: &String| fee.parse::<i64>().unwrap();
    assert_eq!((done[0].state, done[1].state), (State::Final, State::Failed), "{done:?}");
    let paid = number(done[0].fee.as_ref().unwrap());
    assert!(paid > number(&dear) && paid <= number(&dear) + number(&cheap) + 100_000, "{paid} of {cheap} and {dear}");
    assert!(done[1].reason.as_deref().unwrap().contains("max_fee"), "{:?}", done[1]);
    assert_eq!(done[1].fee.as_ref(), Some(&cheap), "the chain took it although it came to nothing");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_network_forbids_fails_with_the_reason() {
    // It ends when its last block has passed.
    let config = Config { n3_valid_blocks: 20, ..config() };
    let ground = N3Ground::on(None, N3Options::default(), config).await;
    let (me, to) = (ground.account(2), account(0x35));
    let key = neo::PrivateKey::from_wif(&ground.node.committee.key).unwrap();
    let committee = neo::account::multi(1, &[key.public()]).unwrap();
    ground.send_past(&key, committee, script(native::POLICY, "blockAccount", &[me.into()])).await;
    let mut ids = Vec::new();
    for share in [false, true, true] {
        let call = Call { share, ..transfer(me, to, 1) };
        let submit = Submit { chain: Name::NeoN3, account: me.to_string(), call, max_fee: None, valid_for_ms: None };
        ids.push(ground.submit_with(&format!("{}", ids.len()), submit).await.unwrap().id);
    }
    for done in ground.settled(&ids).await {
        assert_eq!((done.state, done.height), (State::Failed, None), "{done:?}");
        let reason = done.reason.unwrap().to_lowercase();
        assert!(reason.contains("block") || reason.contains("policy"), "{reason}");
    }
    ground.end().await;
}
