//! Each request once, whatever happens meanwhile.

use futures_util::future::join_all;
use nsl_api::{
    Chain as Name,
    relay::{Call, State, Submit},
};
use nsl_devnet::{Database as Kept, N3Options};
use nsl_relay::Config;
use nsl_sandbox::Database;

use super::{account, many, transfer};
use crate::{
    n3_ground::{N3Ground, config, submit_to},
    proxy::Gate,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_refuses_after_it_took_it_is_done_once() {
    let ground = N3Ground::fresh(None).await;
    let (me, to) = (ground.account(0), account(0x36));
    ground.gate.set(Gate::Denied);
    let ids = many(&ground, 6, "denied", |number| Call { share: number % 2 == 0, ..transfer(me, to, 1) }).await;
    let done = ground.settled(&ids).await;
    ground.gate.set(Gate::Open);
    assert!(done.iter().all(|one| one.state == State::Final && one.height.is_some()), "{done:?}");
    ground.blocks(2).await;
    assert_eq!(ground.gas_of(to).await, 6);
    ground.end().await;
}

async fn hundred_equal_requests_give_one_transaction(ground: N3Ground) {
    let to = account(0x41);
    let call = transfer(ground.account(0), to, 5);
    let same = join_all((0..100).map(|_| ground.submit("the same", call.clone()))).await;
    let ids: Vec<String> = same.into_iter().map(|answer| answer.unwrap().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(ground.settled(&ids[..1]).await[0].state, State::Final);
    assert_eq!(ground.gas_of(to).await, 5);
    ground.evidence_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_done_once_however_often_it_is_asked_for() {
    hundred_equal_requests_give_one_transaction(N3Ground::fresh(None).await).await;
    hundred_equal_requests_give_one_transaction(N3Ground::fresh(Some(Database::fresh().unwrap())).await).await;
}

/// Answers are lost, the node lies, is stopped and forgets its pool, the relay ends and is started again, all while requests come.
async fn trouble(database: Option<Database>) {
    let options = N3Options { database: Kept::LevelDb, ..N3Options::default() };
    let mut ground = N3Ground::on(database, options, Config { n3_valid_blocks: 20, ..config() }).await;
    let to = account(0x42);
    let mut ids = Vec::new();
    for wave in 0..8 {
        let me = ground.account(0);
        let call = |number: usize| Call { share: number.is_multiple_of(2), ..transfer(me, to, 1) };
        ids.extend(many(&ground, 30, &format!("wave {wave}"), call).await);
        match wave % 4 {
            0 => ground.gate.set(Gate::Flaky),
            1 => ground.node.restart().await.unwrap(),
            2 => ground.gate.set(Gate::NoSends),
            _ => ground.restart().await,
        }
    }
    ground.gate.set(Gate::Open);
    let done = ground.settled(&ids).await;
    assert!(done.iter().all(|one| one.state == State::Final), "{done:?}");
    assert_eq!(ground.gas_of(to).await, ids.len() as i64, "each once");
    ground.evidence_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stuck_or_doubled_on_sqlite() {
    trouble(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stuck_or_doubled_on_postgres() {
    trouble(Some(Database::fresh().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_send_each_request_once() {
    let mut ground = N3Ground::fresh(Some(Database::fresh().unwrap())).await;
    let second = ground.second().await;
    let (me, to) = (ground.account(0), account(0x43));
    let mut ids = Vec::new();
    for number in 0..60 {
        let call = Call { share: number % 3 == 0, ..transfer(me, to, 1) };
        let submit = Submit { chain: Name::NeoN3, account: me.to_string(), call, max_fee: None, valid_for_ms: None };
        let relay = if number % 2 == 0 { &ground.relay } else { &second };
        ids.push(submit_to(&**relay, &ground.cx, &format!("{number}"), submit).await.unwrap().id);
    }
    let done = ground.settled(&ids).await;
    assert!(done.iter().all(|one| one.state == State::Final), "{done:?}");
    assert_eq!(ground.gas_of(to).await, 60);
    ground.end().await;
}
