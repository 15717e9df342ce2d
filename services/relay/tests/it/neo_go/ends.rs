//! Transactions that no block has in time, and those that are taken back.

use std::time::Duration;

use nsl_api::{
    Chain as Name,
    relay::{Call, Cancel, State, Submit},
};
use nsl_devnet::N3Options;
use nsl_relay::Config;

use super::{account, transfer};
use crate::{
    n3_ground::{N3Ground, config},
    proxy::Gate,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_try_that_ends_is_followed_by_one_that_excludes_it() {
    let config = Config { n3_valid_blocks: 60, ..config() };
    let ground = N3Ground::on(None, N3Options::default(), config).await;
    ground.gate.set(Gate::NoSends);
    let to = account(0x31);
    let id = ground.submit("one", transfer(ground.account(0), to, 3)).await.unwrap().id;
    let first = ground.until(&id, |now| now.state == State::Sent).await.tx.unwrap();
    let second = ground.until(&id, |now| now.tx.as_ref() != Some(&first)).await.tx.unwrap();
    ground.gate.set(Gate::Open);
    let done = ground.settled(&[id]).await.remove(0);
    assert_eq!(done.state, State::Final, "{done:?}");
    let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
    // A slow machine may have made a third.
    if done.tx.as_ref() == Some(&second) {
        let wanted = [neo::tx::Attribute::Conflicts(first.parse().unwrap())];
        assert_eq!(sent.attributes, wanted, "{:?}", ground.passed(&done.id).await);
        let mut asked = sent.clone();
        asked.network_fee = 0;
        assert!(ground.chain.network_fee(&asked).await.unwrap() <= sent.network_fee);
    }
    assert_eq!(ground.gas_of(to).await, 3);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_block_has_in_time_expires() {
    let ground = N3Ground::fresh(None).await;
    ground.gate.set(Gate::NoSends);
    let (me, to) = (ground.account(0), account(0x32));
    let submit = |share: bool| Submit {
        chain: Name::NeoN3,
        account: me.to_string(),
        call: Call { share, ..transfer(me, to, 4) },
        max_fee: None,
        valid_for_ms: Some(1_500),
    };
    let mut ids = vec![ground.submit_with("alone", submit(false)).await.unwrap().id];
    for number in 0..3 {
        ids.push(ground.submit_with(&format!("shared {number}"), submit(true)).await.unwrap().id);
    }
    let done = ground.settled(&ids).await;
    assert!(done.iter().all(|one| one.state == State::Expired && one.height.is_none()), "{done:?}");
    ground.gate.set(Gate::Open);
    // Another one shows that the lane goes on, and nothing of the first came late.
    assert_eq!(ground.done("after", transfer(me, to, 1)).await.state, State::Final);
    ground.blocks(5).await;
    assert_eq!(ground.gas_of(to).await, 1);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_replaced_or_was_faster() {
    let options = N3Options { block_time: Duration::from_secs(2), ..N3Options::default() };
    let ground = N3Ground::on(None, options, config()).await;
    let (me, to) = (ground.account(0), account(0x33));
    let cancel = async |id: &str| ground.relay.cancel(&ground.cx, Cancel { chain: Name::NeoN3, id: id.into() }).await;
    let (mut replaced, mut done) = (0, 0);
    // The pool has the first when the second comes to take its place, unless a block was faster.
    for attempt in 0..20 {
        let id = ground.submit(&format!("attempt {attempt}"), transfer(me, to, 1)).await.unwrap().id;
        ground.until(&id, |now| matches!(now.state, State::Sent | State::Final)).await;
        let _ = cancel(&id).await;
        let ended = ground.settled(&[id]).await.remove(0);
        match ended.state {
            State::Replaced => replaced += 1,
            State::Final => done += 1,
            _ => panic!("{ended:?}"),
        }
        assert_eq!(ground.gas_of(to).await, done, "{ended:?}");
        if replaced > 0 {
            break;
        }
    }
    assert!(replaced > 0, "the pool never took what replaces");
    // Before it was ever sent.
    ground.pause();
    let id = ground.submit("never sent", transfer(me, to, 1)).await.unwrap().id;
    cancel(&id).await.unwrap();
    ground.unpause();
    let ended = ground.settled(&[id]).await.remove(0);
    assert_eq!((ended.state, &ended.fee), (State::Replaced, &None), "{:?}", ground.passed(&ended.id).await);
    ground.blocks(1).await;
    assert_eq!(ground.gas_of(to).await, done);
    ground.end().await;
}
