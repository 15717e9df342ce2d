//! An endpoint that makes blocks up, before a real node.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    Hash160, Hash256, PrivateKey, account as accounts,
    block::{Block, Header},
    tx::Witness,
    wire::Wire,
};
use nsl_api::relay::{Cancel, State};
use nsl_chain::Chain;
use nsl_devnet::N3Options;
use nsl_relay::Config;
use serde_json::{Value, json};

use super::{account, transfer};
use crate::{
    n3_ground::{N3Ground, config},
    proxy::Gate,
};

async fn header(ground: &N3Ground, height: u32) -> Header {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "getblockheader", "params": [height, 0] });
    let answer: Value =
        reqwest::Client::new().post(&ground.node.rpc).json(&body).send().await.unwrap().json().await.unwrap();
    Header::from_bytes(&STANDARD.decode(answer["result"].as_str().unwrap()).unwrap()).unwrap()
}

async fn head(ground: &N3Ground) -> Header {
    header(ground, ground.chain.height().await.unwrap() as u32).await
}

/// An empty block that a key signs, and is to sign the next one.
fn made_up(ground: &N3Ground, key: &PrivateKey, index: u32, before: Hash256, timestamp: u64) -> Block {
    let script = accounts::multi(1, &[key.public()]).unwrap();
    let mut header = Header {
        version: 0,
        previous: before,
        merkle_root: Hash256::ZERO,
        timestamp,
        nonce: 1,
        index,
        primary: 0,
        next_consensus: Hash160::of_script(&script),
        witness: Witness::default(),
    };
    let message = header.message(ground.node.magic);
    header.witness = Witness::multi(&script, &[(key.public(), key.sign(&message))]).unwrap();
    Block { header, transactions: Vec::new() }
}

/// So many blocks after this one.
fn made_up_after(ground: &N3Ground, key: &PrivateKey, last: &Header, count: u32) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for _ in 0..count {
        let before = blocks.last().map_or(last, |block| &block.header);
        let (index, timestamp) = (before.index + 1, before.timestamp + 1);
        blocks.push(made_up(ground, key, index, before.hash(), timestamp));
    }
    blocks
}

/// Two blocks far ahead, so that one bears out the other.
fn far_ahead(ground: &N3Ground, key: &PrivateKey, last: &Header, blocks: u32) -> Vec<Block> {
    let (index, timestamp) = (last.index + blocks, last.timestamp + 1);
    let first = made_up(ground, key, index, last.hash(), timestamp);
    let second = made_up(ground, key, index + 1, first.hash(), timestamp + 1);
    vec![first, second]
}

fn stranger() -> PrivateKey {
    PrivateKey::from_bytes(&[9; 32]).unwrap()
}

fn consensus(ground: &N3Ground) -> PrivateKey {
    PrivateKey::from_wif(&ground.node.committee.key).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_leave_a_transaction_out_make_no_second_one() {
    let ground = N3Ground::on(None, N3Options::default(), Config { n3_valid_blocks: 20, ..config() }).await;
    let (me, to) = (ground.account(0), account(0x71));
    assert_eq!(ground.done("before", transfer(me, to, 1)).await.state, State::Final);
    let last = head(&ground).await;
    let lie = made_up_after(&ground, &stranger(), &last, 60);
    ground.gate.show(lie[..1].to_vec());
    ground.gate.set(Gate::MadeUp);
    let id = ground.submit("left out", transfer(me, to, 2)).await.unwrap().id;
    ground.blocks(15).await;
    // By now the chain may have it, and what is shown does not, beyond the last block that may.
    ground.gate.show(lie);
    ground.blocks(15).await;
    ground.gate.set(Gate::Open);
    let done = ground.settled(&[id]).await.remove(0);
    assert_eq!(done.state, State::Final, "{done:?}");
    ground.blocks(10).await;
    assert_eq!(ground.gas_of(to).await, 3, "each once");
    ground.evidence_is_whole().await;
    ground.end().await;
}

/// What is signed while the chain seems to be that high, nodes don't take for a long time.
async fn a_height_far_beyond(key: impl Fn(&N3Ground) -> PrivateKey, is_restarted: bool) {
    let mut ground = N3Ground::fresh(None).await;
    let (me, to, never) = (ground.account(0), account(0x72), account(0x73));
    let rules = ground.chain.rules().await.unwrap();
    assert_eq!(ground.done("before", transfer(me, to, 1)).await.state, State::Final);
    ground.gate.set(Gate::NoSends);
    let under_way = ground.submit("under way", transfer(me, to, 2)).await.unwrap().id;
    ground.until(&under_way, |now| now.state == State::Sent).await;
    ground.gate.set(Gate::Open);
    assert_eq!(ground.settled(&[under_way]).await[0].state, State::Final, "the lane is idle again");
    let last = head(&ground).await;
    ground.gate.show(far_ahead(&ground, &key(&ground), &last, 4 * rules.most_valid_blocks));
    ground.gate.set(Gate::MadeUp);
    // What the relay heard of the height before is good for a moment.
    ground.blocks(5).await;
    let lied_to = ground.submit("lied to", transfer(me, to, 4)).await.unwrap().id;
    let taken_back = ground.submit("taken back", transfer(me, never, 8)).await.unwrap().id;
    ground.blocks(15).await;
    let cancel = Cancel { chain: nsl_api::Chain::NeoN3, id: taken_back.clone() };
    ground.relay.cancel(&ground.cx, cancel).await.unwrap();
    ground.blocks(15).await;
    if is_restarted {
        ground.down().await;
    }
    ground.gate.set(Gate::Open);
    if is_restarted {
        ground.restart().await;
    }
    let later = ground.submit("later", transfer(me, to, 16)).await.unwrap().id;
    let done = ground.settled(&[lied_to, taken_back, later]).await;
    let states: Vec<State> = done.iter().map(|one| one.state).collect();
    assert_eq!(states, [State::Final, State::Replaced, State::Final], "{done:?}");
    let sent = ground.transaction(done[0].tx.as_deref().unwrap()).await;
    assert!(sent.valid_until_block < last.index + rules.most_valid_blocks, "{}", sent.valid_until_block);
    ground.blocks(10).await;
    assert_eq!((ground.gas_of(to).await, ground.gas_of(never).await), (23, 0), "each once");
    ground.evidence_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_height_that_a_stranger_signed_is_not_gone_by() {
    a_height_far_beyond(|_| stranger(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_height_that_the_consensus_nodes_signed_and_left_again_holds_nothing_up() {
    a_height_far_beyond(consensus, false).await;
    a_height_far_beyond(consensus, true).await;
}
