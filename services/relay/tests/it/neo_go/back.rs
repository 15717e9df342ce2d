//! A node that steps back: its chain is shorter than what was read, and goes on as another one; or it never was as high
//! as it says.

use nsl_api::relay::{State, Transaction};
use nsl_chain::Chain;
use nsl_devnet::{Database as Kept, N3Options};
use nsl_sandbox::Database;

use super::{account, transfer};
use crate::{
    n3_ground::{N3Ground, config},
    proxy::Gate,
};

/// So many blocks the chain is ahead of its copy: more than pass until what is under way arrives at the node again.
const AHEAD: u64 = 60;

async fn on_disk(database: Option<Database>) -> N3Ground {
    let options = N3Options { database: Kept::LevelDb, ..N3Options::default() };
    N3Ground::on(database, options, config()).await
}

/// Which transactions the chain has of those that a request was signed as: one of them, in the block that is told.
async fn is_there(ground: &N3Ground, done: &Transaction) {
    assert_eq!(done.state, State::Final, "{done:?}");
    let sent = ground.transaction(done.tx.as_deref().unwrap()).await;
    let had = ground.chain.sent(done.height.unwrap() as u32, done.height.unwrap() as u32).await.unwrap();
    assert!(had.iter().any(|one| one.hash == sent.hash()), "{done:?}");
}

/// One request is done before the node steps back, and one is under way.
async fn a_node_steps_back(database: Option<Database>, is_restarted: bool) {
    let mut ground = on_disk(database).await;
    let (me, before, under_way, after) = (ground.account(0), account(0x61), account(0x62), account(0x63));
    let kept = ground.chain.height().await.unwrap() as i64;
    ground.keep_chain().await;
    ground.blocks(AHEAD).await;
    let first = ground.done("done before", transfer(me, before, 3)).await;
    is_there(&ground, &first).await;
    ground.gate.set(Gate::NoSends);
    let second = ground.submit("under way", transfer(me, under_way, 5)).await.unwrap().id;
    ground.until(&second, |now| now.state == State::Sent).await;
    // All up to here was read, or the first would not have come to its end.
    let height = first.height.unwrap();
    if is_restarted {
        ground.down().await;
    }
    ground.set_back().await;
    ground.gate.set(Gate::Open);
    if is_restarted {
        ground.restart().await;
    }
    ground.node.restart().await.unwrap();
    let done = ground.settled(&[second]).await.remove(0);
    is_there(&ground, &done).await;
    // It was found in a block below those that had been read: their hash told that they are the chain's no more.
    let at = done.height.unwrap();
    assert!(kept < at && at < height, "{at} is not between {kept} and {height}");
    // What came to its end is not begun again, and the lane goes on.
    is_there(&ground, &ground.done("after", transfer(me, after, 7)).await).await;
    ground.blocks(5).await;
    assert_eq!(ground.find(&first.id).await.state, State::Final);
    let held = [ground.gas_of(before).await, ground.gas_of(under_way).await, ground.gas_of(after).await];
    assert_eq!(held, [0, 5, 7], "each once at most, and once what the chain does not say of the first");
    ground.evidence_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_steps_back_makes_the_lane_read_again() {
    a_node_steps_back(None, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_steps_back_while_the_relay_is_down_is_noticed_by_what_is_stored() {
    a_node_steps_back(None, true).await;
    a_node_steps_back(Some(Database::fresh().unwrap()), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_steps_back_under_an_idle_lane_holds_nothing_up() {
    let mut ground = on_disk(None).await;
    let (me, to) = (ground.account(0), account(0x64));
    ground.keep_chain().await;
    ground.blocks(AHEAD).await;
    is_there(&ground, &ground.done("before", transfer(me, account(0x65), 1)).await).await;
    let height = ground.chain.height().await.unwrap() as i64;
    ground.set_back().await;
    ground.node.restart().await.unwrap();
    let done = ground.done("after", transfer(me, to, 2)).await;
    is_there(&ground, &done).await;
    assert!(done.height.unwrap() < height, "it waited until the chain was as high as before: {done:?}");
    ground.blocks(3).await;
    assert_eq!((ground.gas_of(account(0x65)).await, ground.gas_of(to).await), (0, 2));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lies_about_the_height_makes_nobody_pass_blocks_over() {
    let ground = N3Ground::fresh(None).await;
    let (me, to) = (ground.account(0), account(0x66));
    is_there(&ground, &ground.done("before", transfer(me, to, 1)).await).await;
    // The lane is idle, and nothing that is under way keeps it from going on from what it is told.
    ground.gate.set(Gate::Ahead);
    // What was heard a moment before is passed on for a moment.
    ground.blocks(3).await;
    let lied_to = ground.submit("lied to", transfer(me, to, 2)).await.unwrap().id;
    ground.blocks(10).await;
    assert_eq!(ground.find(&lied_to).await.state, State::Accepted, "nothing is signed on what no block bears out");
    ground.gate.set(Gate::Open);
    is_there(&ground, &ground.settled(&[lied_to]).await.remove(0)).await;
    // Lied to while a transaction is under way.
    ground.gate.set(Gate::NoSends);
    let under_way = ground.submit("under way", transfer(me, to, 4)).await.unwrap().id;
    ground.until(&under_way, |now| now.state == State::Sent).await;
    ground.gate.set(Gate::Ahead);
    ground.blocks(10).await;
    ground.gate.set(Gate::Open);
    is_there(&ground, &ground.settled(&[under_way]).await.remove(0)).await;
    ground.blocks(3).await;
    assert_eq!(ground.gas_of(to).await, 7, "each once");
    ground.end().await;
}
