//! What changes between preparing, completing and the block.

use std::{sync::atomic::Ordering, time::Duration};

use neo::native;
use nsl_api::{
    Chain as Name,
    relay::{Cancel, State},
};
use nsl_chain::Chain;

use super::fees;
use crate::{
    proxy::Gate,
    sponsor_ground::{GAS, Ground, hash, script, signature, transfer_args, wallet},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_since_it_was_prepared_is_not_paid_for() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(100), hash(&wallet(101)));
    ground.give(hash(&user), 10).await;
    ground.put(ground.policy(&["transfer"])).await;
    // Two that each would take all: the second fails by now, and the sponsor keeps its GAS.
    let one = ground.prepare(ground.transfer(hash(&user), to, 10)).await.unwrap();
    let two = ground.prepare(ground.transfer(hash(&user), to, 10)).await.unwrap();
    // While all sending is stopped nothing is signed either, and nothing is lost by it.
    ground.paused.store(true, Ordering::Relaxed);
    assert_eq!(ground.complete(&one.id, signature(&user, &one)).await.unwrap_err(), "sponsored.paused");
    ground.paused.store(false, Ordering::Relaxed);
    let kept = ground.complete(&one.id, signature(&user, &one)).await.unwrap();
    assert_eq!(ground.settled(&kept.id).await.state, State::Final);
    assert_eq!(ground.complete(&two.id, signature(&user, &two)).await.unwrap_err(), "sponsored.would_fail");
    // One whose time passes is good for nothing more, and its money is free again.
    ground.give(hash(&user), 10).await;
    let mut short = ground.transfer(hash(&user), to, 1);
    short.valid_for_ms = Some(500);
    let short = ground.prepare(short).await.unwrap();
    while ground.chain.height().await.unwrap() < short.valid_until_block.into() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ground.complete(&short.id, signature(&user, &short)).await.unwrap_err(), "sponsored.expired");
    // A sponsor whose GAS is gone.
    let sponsor = hash(&ground.sponsor);
    let three = ground.prepare(ground.transfer(hash(&user), to, 1)).await.unwrap();
    // What the transfer itself costs comes from the rest.
    let left = ground.gas(sponsor).await - 3 * GAS / 10;
    let away = script(&native::GAS, "transfer", &transfer_args(sponsor, to, left as u64));
    assert_eq!(ground.alone(&ground.sponsor, away).await.fault, None);
    let rest = ground.gas(sponsor).await;
    assert!(rest < 3 * GAS / 10, "{rest}");
    let away = script(&native::GAS, "transfer", &transfer_args(sponsor, to, 1));
    while ground.gas(sponsor).await >= fees(&three) {
        assert_eq!(ground.alone(&ground.sponsor, away.clone()).await.fault, None);
    }
    assert_eq!(ground.complete(&three.id, signature(&user, &three)).await.unwrap_err(), "sponsor.out_of_gas");
    assert_eq!(ground.prepare(ground.transfer(hash(&user), to, 1)).await.unwrap_err(), "sponsor.out_of_gas");
    ground.end().await;
}

/// Completed, and never seen by a block: it can't be made anew without its user, so it ends, and costs nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_block_takes_in_time_expires() {
    let ground = Ground::fresh(None).await;
    let (user, to) = (wallet(105), hash(&wallet(106)));
    ground.give(hash(&user), 10).await;
    ground.put(ground.policy(&["transfer"])).await;
    ground.proxy.set(Gate::NoSends);
    let mut short = ground.transfer(hash(&user), to, 1);
    short.valid_for_ms = Some(3_000);
    let short = ground.prepare(short).await.unwrap();
    let kept = ground.complete(&short.id, signature(&user, &short)).await.unwrap();
    assert_eq!(ground.spent().await, fees(&short));
    let done = ground.settled(&kept.id).await;
    assert_eq!((done.state, done.height, done.fee.as_deref()), (State::Expired, None, None), "{done:?}");
    assert!(ground.chain.height().await.unwrap() >= short.valid_until_block.into(), "not before its last block");
    assert_eq!((ground.tokens(to).await, ground.spent().await), (0, 0));
    assert_eq!(ground.complete(&short.id, signature(&user, &short)).await.unwrap_err(), "sponsored.used");
    // Taken back before a block has it: what excludes it costs the sponsor its fee, and nothing of it is done.
    let back = ground.prepare(ground.transfer(hash(&user), to, 3)).await.unwrap();
    let kept = ground.complete(&back.id, signature(&user, &back)).await.unwrap();
    let before = ground.gas(hash(&ground.sponsor)).await;
    ground.relay.cancel(&ground.cx, Cancel { chain: Name::NeoN3, id: kept.id.clone() }).await.unwrap();
    blocks(&ground, 10).await;
    ground.proxy.set(Gate::Open);
    let done = ground.settled(&kept.id).await;
    let cost = before - ground.gas(hash(&ground.sponsor)).await;
    // Whichever of the two a block takes first: one of them, and counted.
    let moved = ground.tokens(to).await;
    assert!(matches!((done.state, moved), (State::Replaced, 0) | (State::Final, 3)), "{moved} {done:?}");
    assert_eq!(ground.spent().await, cost);
    // What is held back for a while only is sent again until a block has it.
    ground.proxy.set(Gate::NoSends);
    let late = ground.prepare(ground.transfer(hash(&user), to, 2)).await.unwrap();
    let kept = ground.complete(&late.id, signature(&user, &late)).await.unwrap();
    blocks(&ground, 5).await;
    ground.proxy.set(Gate::Open);
    let done = ground.settled(&kept.id).await;
    assert_eq!((done.state, done.tx), (State::Final, Some(late.hash)));
    assert_eq!(ground.tokens(to).await, moved + 2);
    ground.end().await;
}

async fn blocks(ground: &Ground, count: u64) {
    let height = ground.chain.height().await.unwrap();
    while ground.chain.height().await.unwrap() < height + count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
