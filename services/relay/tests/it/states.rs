//! What becomes of requests on the way: seen and taken back, cancelled, expired, paid for.

use std::time::Duration;

use nsl_api::relay::State;
use nsl_chain::x::{Address, U256};
use nsl_relay::Config;
use nsl_sandbox::Database;
use serde_json::json;

use crate::ground::{Ground, Terms};

fn to(number: u8) -> Address {
    Address::from([number; 20])
}

async fn each(test: impl AsyncFn(Option<Database>)) {
    test(None).await;
    test(Some(Database::fresh().unwrap())).await;
}

/// Nothing is mined until it is asked for.
async fn still(database: Option<Database>, config: Config) -> Ground {
    let ground = Ground::on(database, Terms { config, ..Terms::default() }).await;
    ground.order_with("evm_setAutomine", json!([false])).await;
    ground
}

fn config() -> Config {
    Terms::default().config
}

/// Mines until a request is at its end.
async fn mined(ground: &Ground, id: &str) -> nsl_api::relay::Transaction {
    let ids = [id.to_owned()];
    let settled = ground.settled(&ids, Duration::from_secs(60));
    let mine = async {
        loop {
            ground.order("evm_mine").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        done = settled => done.into_iter().next().unwrap(),
        () = mine => unreachable!(),
    }
}

/// Waits until a node has what does nothing in the place of a request.
async fn outbid(ground: &Ground, id: &str) {
    let wait = async {
        loop {
            let passed = ground.passed(id).await;
            let offered = |reason: &Option<String>| reason.as_deref().is_some_and(|why| why.contains("in its place"));
            let place = passed.iter().position(|step| step.state == State::Signed && offered(&step.reason));
            if place.is_some_and(|place| passed[place..].iter().any(|step| step.state == State::Sent)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it is outbid in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_state_is_told_and_the_fee_is_what_the_chain_took() {
    each(async |database| {
        let ground = Ground::fresh(database, None).await;
        let sender: Address = ground.account().parse().unwrap();
        let before = ground.balance(sender).await;
        let id = ground.send(ground.transfer(0, to(0x51), 7)).await.unwrap().id;
        let done = ground.settled(std::slice::from_ref(&id), Duration::from_secs(60)).await.remove(0);
        assert_eq!(done.state, State::Final, "{done:?}");
        let fee: U256 = done.fee.unwrap().parse().unwrap();
        assert_eq!(ground.balance(sender).await, before - fee - U256::from(7));
        let states = ground.states(&id).await;
        assert_eq!(states[..3], [State::Accepted, State::Simulated, State::Signed]);
        assert_eq!(states.last(), Some(&State::Final));
        let numbers: Vec<i64> = ground.passed(&id).await.iter().map(|passed| passed.number).collect();
        assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
        ground.chain_is_whole().await;
        ground.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_block_has_that_is_not_final_is_seen_and_taken_back_with_it() {
    let ground = Ground::on(None, Terms { finality: 4, ..Terms::default() }).await;
    ground.order_with("anvil_mine", json!(["0x5"])).await;
    let id = ground.send(ground.transfer(0, to(0x52), 3)).await.unwrap().id;
    let seen = ground.until(&id, State::Seen).await;
    assert!(seen.height.is_some() && seen.fee.is_none(), "{seen:?}");
    // The block goes, and what it had with it; the relay sends it again, into a block that stays.
    ground.order_with("anvil_reorg", json!([1, []])).await;
    let mut states = Vec::new();
    for _ in 0..600 {
        states = ground.states(&id).await;
        if states.iter().filter(|state| **state == State::Seen).count() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(states.iter().filter(|state| **state == State::Seen).count(), 2, "{states:?}");
    ground.order_with("anvil_mine", json!(["0x4"])).await;
    let done = ground.settled(std::slice::from_ref(&id), Duration::from_secs(60)).await.remove(0);
    assert_eq!((done.state, ground.balance(to(0x52)).await), (State::Final, U256::from(3)), "{done:?}");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_replaced_also_by_a_process_that_comes_after() {
    each(async |database| {
        let ground = still(database, Config { in_flight: 1, ..config() }).await;
        let first = ground.send(ground.transfer(0, to(0x53), 1)).await.unwrap().id;
        let waiting = ground.send(ground.transfer(0, to(0x54), 1)).await.unwrap().id;
        ground.until(&first, State::Sent).await;
        // What has no nonce yet ends at once: no block comes.
        ground.cancel(&waiting).await.unwrap();
        let replaced = ground.settled(std::slice::from_ref(&waiting), Duration::from_secs(60)).await.remove(0);
        assert_eq!((replaced.state, replaced.tx, replaced.fee), (State::Replaced, None, None));
        assert_eq!(ground.cancel(&waiting).await.unwrap().state, State::Replaced, "asked for again");

        ground.cancel(&first).await.unwrap();
        let ground = ground.kill().await;
        assert!(!crate::ground::is_end(ground.cancel(&first).await.unwrap().state), "asked for again");
        outbid(&ground, &first).await;
        let done = mined(&ground, &first).await;
        assert_eq!(done.state, State::Replaced, "{done:?}");
        assert!(done.fee.is_some(), "what did nothing took a fee: {done:?}");
        assert_eq!((ground.balance(to(0x53)).await, ground.balance(to(0x54)).await), (U256::ZERO, U256::ZERO));
        ground.order_with("evm_setAutomine", json!([true])).await;
        let next = ground.send(ground.transfer(0, to(0x55), 1)).await.unwrap().id;
        let done = ground.settled(std::slice::from_ref(&next), Duration::from_secs(60)).await.remove(0);
        assert_eq!(done.state, State::Final);
        let refused = ground.cancel(&next).await.unwrap_err();
        assert_eq!((&*refused.slug, refused.code.http()), ("relay.request_ended", 409));
        assert_eq!(refused.details["state"], "final");
        assert_eq!(ground.cancel("rel_none").await.unwrap_err().slug, "relay.request_not_found");
        ground.chain_is_whole().await;
        ground.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_in_a_block_in_its_time_expires_and_never_arrives() {
    each(async |database| {
        let ground = still(database, Config { in_flight: 1, ..config() }).await;
        let valid = |number, ms| {
            let mut submit = ground.transfer(0, to(number), 1);
            submit.valid_for_ms = Some(ms);
            submit
        };
        let first = ground.send(valid(0x56, 6_000)).await.unwrap().id;
        ground.until(&first, State::Sent).await;
        let waiting = ground.send(valid(0x57, 300)).await.unwrap().id;
        let long = ground.send(valid(0x58, 600_000)).await.unwrap().id;
        let ended = ground.settled(std::slice::from_ref(&waiting), Duration::from_secs(60)).await.remove(0);
        assert_eq!((ended.state, ended.tx), (State::Expired, None));
        outbid(&ground, &first).await;
        let ended = mined(&ground, &first).await;
        assert_eq!(ended.state, State::Expired, "{ended:?}");
        let done = mined(&ground, &long).await;
        assert_eq!(done.state, State::Final, "{done:?}");
        for (number, wei) in [(0x56, 0), (0x57, 0), (0x58, 1)] {
            assert_eq!(ground.balance(to(number)).await, U256::from(wei));
        }
        ground.end().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_costs_more_than_it_may() {
    let ground = Ground::fresh(None, None).await;
    let estimate = ground.relay.estimate(&ground.cx, ground.transfer(0, to(0x59), 1)).await.unwrap();
    let fee: u128 = estimate.fee.parse().unwrap();
    let gas = u128::from(estimate.gas_limit.unwrap());
    assert_eq!(fee, gas * estimate.max_fee_per_gas.unwrap().parse::<u128>().unwrap());
    let bounded = |most: u128| {
        let mut submit = ground.transfer(0, to(0x59), 1);
        submit.max_fee = Some(most.to_string());
        submit
    };
    let ids = [ground.send(bounded(fee)).await.unwrap().id, ground.send(bounded(fee - 1)).await.unwrap().id];
    let done = ground.settled(&ids, Duration::from_secs(60)).await;
    assert_eq!(done[0].state, State::Final, "{:?}", done[0]);
    assert!(done[0].fee.as_ref().unwrap().parse::<u128>().unwrap() <= fee);
    assert_eq!((done[1].state, &done[1].tx), (State::Failed, &None), "{:?}", done[1]);
    assert!(done[1].reason.as_deref().unwrap().contains(&(fee - 1).to_string()), "{:?}", done[1]);
    ground.end().await;

    // What the operator allows holds for all.
    let config = Config { neo_x_max_fee: (fee - 1) as u64, ..config() };
    let ground = Ground::on(None, Terms { config, ..Terms::default() }).await;
    let id = ground.send(ground.transfer(0, to(0x59), 1)).await.unwrap().id;
    let done = ground.settled(std::slice::from_ref(&id), Duration::from_secs(60)).await.remove(0);
    assert_eq!((done.state, done.tx), (State::Failed, None));
    ground.end().await;
}
