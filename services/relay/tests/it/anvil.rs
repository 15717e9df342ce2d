use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nsl_api::relay::State;
use nsl_chain::{
    Chain,
    x::{Address, As, Draft, U256},
};
use nsl_sandbox::Database;

use crate::ground::{Ground, key_of};

fn fresh_address(number: u8) -> Address {
    Address::from([number; 20])
}

/// Transfers of one wei each, so that the balance counts them.
async fn many(ground: &Ground, to: Address, count: u32, name: &str) -> Vec<String> {
    let all = (0..count)
        .map(|number| async move { ground.submit(&format!("{name}-{number}"), to, 1, "0x").await.unwrap().id });
    join_all(all).await
}

/// Another client of the same key spends the next nonce behind the relay's back.
async fn foreign(ground: &Ground, to: Address) {
    let key = key_of(&ground.x, 0);
    let nonce = ground.chain.nonce(key.address(), As::Latest).await.unwrap();
    let fees = ground.chain.fee_policy().replace(ground.chain.quote().await.unwrap(), 0).unwrap();
    let draft = Draft {
        chain_id: ground.x.chain_id,
        nonce,
        to: Some(to),
        value: U256::from(1),
        data: Vec::new(),
        gas_limit: 21_000,
        fees,
    };
    let signed = draft.signed(&key.sign_hash(&draft.signing_hash())).unwrap();
    // It may come too late, or offer too little: then it simply is not there.
    let _ = ground.chain.send(&signed.raw).await;
}

async fn hundred_equal_requests_give_one_transaction(ground: Ground) {
    let to = fresh_address(0x11);
    let same = join_all((0..100).map(|_| ground.submit("the same", to, 5, "0x"))).await;
    let ids: Vec<String> = same.into_iter().map(|answer| answer.unwrap().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let done = ground.settled(&ids[..1], Duration::from_secs(20)).await;
    assert_eq!(done[0].state, State::Final, "{:?}", done[0]);
    assert_eq!(ground.balance(to).await, U256::from(5));
    ground.chain_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_done_once_however_often_it_is_asked_for() {
    hundred_equal_requests_give_one_transaction(Ground::fresh(None, None).await).await;
    hundred_equal_requests_give_one_transaction(Ground::fresh(Some(Database::fresh().unwrap()), Some(1)).await).await;
}

/// The pool is emptied, another client uses the key, the relay ends and is started again, all while requests come.
async fn trouble(ground: Ground) {
    let (to, others) = (fresh_address(0x22), fresh_address(0x33));
    let mut ground = ground;
    let mut ids = Vec::new();
    for wave in 0..6 {
        ids.extend(many(&ground, to, 40, &format!("wave {wave}")).await);
        foreign(&ground, others).await;
        if wave % 2 == 0 {
            ground.order("anvil_dropAllTransactions").await;
        }
        ground = ground.restart().await;
    }
    let done = ground.settled(&ids, Duration::from_secs(60)).await;
    assert!(done.iter().all(|one| one.state == State::Final), "{done:?}");
    assert_eq!(ground.balance(to).await, U256::from(ids.len()), "each once");
    let mut hashes: Vec<_> = done.iter().map(|one| one.tx.clone().unwrap()).collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), ids.len());
    ground.chain_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stuck_or_doubled_on_sqlite_with_a_block_for_each() {
    trouble(Ground::fresh(None, None).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stuck_or_doubled_on_postgres_with_a_block_a_second() {
    trouble(Ground::fresh(Some(Database::fresh().unwrap()), Some(1)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_revert_fails_with_the_reason_and_costs_nothing() {
    let ground = Ground::fresh(None, None).await;
    let before = ground.chain.nonce(key_of(&ground.x, 0).address(), As::Latest).await.unwrap();
    // More than the account holds.
    let rich = 10_u64.pow(19);
    let mut call = nsl_api::relay::Call { to: Some(ground.account()), data: Some("0x".into()), ..Default::default() };
    call.value = Some(format!("{rich}00000"));
    let id = ground.send(ground.of(0, call)).await.unwrap().id;
    let done = ground.settled(&[id], Duration::from_secs(20)).await;
    assert_eq!(done[0].state, State::Failed);
    assert!(done[0].reason.as_deref().unwrap_or_default().to_lowercase().contains("fund"), "{:?}", done[0]);
    assert_eq!(ground.chain.nonce(key_of(&ground.x, 0).address(), As::Latest).await.unwrap(), before);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_another_tenant_is_refused_before_anything_is_stored() {
    let ground = Ground::fresh(None, None).await;
    let mut cx = ground.cx.clone();
    cx.tenant = nsl_core::TenantId::fresh();
    let call = nsl_api::relay::Call { data: Some("0x00".into()), ..Default::default() };
    assert_eq!(ground.relay.submit(&cx, ground.of(0, call)).await.unwrap_err().slug, "relay.account_unknown");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo nextest run -p nsl-relay --run-ignored only"]
async fn sustained_rate() {
    let ground = Ground::fresh(None, None).await;
    let start = Instant::now();
    let ids = many(&ground, fresh_address(0x44), 1_000, "rate").await;
    ground.settled(&ids, Duration::from_secs(120)).await;
    println!("{:.0} transactions a second", 1_000.0 / start.elapsed().as_secs_f64());
    ground.end().await;
}
