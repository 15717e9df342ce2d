use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::{
    chain::{Bytes, Call, Chain, Output, Receipt, Trial, TxId},
    event::Body,
    pool::EndpointStatus,
};

/// A chain of blocks with a name each, of which every second one tells `events` events.
struct Fake {
    blocks: Mutex<Vec<String>>,
    events: u32,
    memory: usize,
}

impl Fake {
    fn of(names: &str) -> Arc<Self> {
        let blocks = names.chars().map(String::from).collect();
        Arc::new(Self { blocks: Mutex::new(blocks), events: 3, memory: 4 })
    }

    /// From `height` on the chain is another one.
    fn replace(&self, height: usize, names: &str) {
        let mut blocks = self.blocks.lock();
        blocks.truncate(height);
        blocks.extend(names.chars().map(String::from));
    }

    fn block(&self, height: u64) -> Option<BlockRef> {
        let hash = self.blocks.lock().get(usize::try_from(height).unwrap())?.clone();
        Some(BlockRef { height, hash })
    }
}

#[async_trait]
impl Chain for Fake {
    fn kind(&self) -> ChainKind {
        ChainKind::NeoX
    }

    fn network(&self) -> u64 {
        1
    }

    async fn height(&self) -> Result<u64> {
        Ok(self.blocks.lock().len() as u64 - 1)
    }

    async fn read(&self, _: &Call, _: Option<u64>) -> Result<Output> {
        unreachable!("a watcher runs nothing")
    }

    async fn simulate(&self, _: &Call) -> Result<Trial> {
        unreachable!("a watcher runs nothing")
    }

    async fn send(&self, _: &[u8]) -> Result<TxId> {
        unreachable!("a watcher sends nothing")
    }

    async fn receipt(&self, _: &TxId) -> Result<Receipt> {
        unreachable!("a watcher asks for no receipt")
    }

    async fn stretch(&self, from: u64, most: u32, _: &Filter) -> Result<Option<Stretch>> {
        let blocks: Vec<BlockRef> = (from..from + u64::from(most)).map_while(|height| self.block(height)).collect();
        if blocks.is_empty() {
            return Ok(None);
        }
        let event = |block: &BlockRef, index: u32| Event {
            chain: ChainKind::NeoX,
            block: block.clone(),
            at: Position { height: block.height, tx: index / 2, index },
            tx: None,
            contract: "0x".into(),
            body: Body::Log { topics: Vec::new(), data: Bytes::default() },
        };
        let telling = blocks.iter().filter(|block| block.height % 2 == 0);
        let events = telling.flat_map(|block| (0..self.events).map(move |index| event(block, index))).collect();
        Ok(Some(Stretch { before: from.checked_sub(1).and_then(|height| self.block(height)), blocks, events }))
    }

    fn poll(&self) -> Duration {
        Duration::from_millis(500)
    }

    fn memory(&self) -> usize {
        self.memory
    }

    fn endpoints(&self) -> Vec<EndpointStatus> {
        Vec::new()
    }

    async fn tend(&self) {}
}

fn watch(chain: &Arc<Fake>, cursor: Cursor) -> Watch {
    Watch::new(chain.clone(), cursor, Filter::default()).unwrap()
}

// Each item in short: block name and index, removed blocks with a minus and how many events they had.
fn short(items: &[Item]) -> Vec<String> {
    items
        .iter()
        .map(|item| match item {
            Item::Event(event) => format!("{}{}", event.block.hash, event.at.index),
            Item::Removed { block, events } => format!("-{}{}", block.hash, events.len()),
        })
        .collect()
}

async fn all(watch: &mut Watch) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(batch) = watch.step().await.unwrap() {
        told.extend(short(&batch.items));
    }
    told
}

#[tokio::test(start_paused = true)]
async fn events_come_in_order_from_where_the_cursor_stands() {
    let chain = Fake::of("abcde");
    assert_eq!(
        all(&mut watch(&chain, Cursor::before(ChainKind::NeoX, 0))).await.join(" "),
        "a0 a1 a2 c0 c1 c2 e0 e1 e2"
    );
    assert_eq!(all(&mut watch(&chain, Cursor::before(ChainKind::NeoX, 2))).await.join(" "), "c0 c1 c2 e0 e1 e2");
    assert_eq!(all(&mut watch(&chain, Cursor::after(ChainKind::NeoX, 2))).await.join(" "), "e0 e1 e2");
    assert!(Watch::new(chain, Cursor::after(ChainKind::NeoN3, 2), Filter::default()).is_err());
}

#[tokio::test(start_paused = true)]
async fn any_cursor_goes_on_without_a_gap_and_without_a_second_time() {
    let chain = Fake::of("abcdefg");
    let whole = all(&mut watch(&chain, Cursor::before(ChainKind::NeoX, 0))).await;
    let mut first = watch(&chain, Cursor::before(ChainKind::NeoX, 0));
    let mut told = Vec::new();
    while let Some(batch) = first.step().await.unwrap() {
        for place in 0..batch.items.len() {
            told.extend(short(&batch.items[place..=place]));
            let kept = serde_json::to_string(&batch.cursor_after(place)).unwrap();
            let mut second = watch(&chain, serde_json::from_str(&kept).unwrap());
            let rest = all(&mut second).await;
            assert_eq!([told.clone(), rest].concat(), whole, "after {told:?}");
        }
    }
    assert_eq!(told, whole);
}

#[tokio::test(start_paused = true)]
async fn replaced_blocks_are_taken_back_the_newest_first() {
    let chain = Fake::of("abcde");
    let mut watch = watch(&chain, Cursor::before(ChainKind::NeoX, 0));
    all(&mut watch).await;
    chain.replace(3, "DE");
    assert_eq!(all(&mut watch).await, [""; 0], "no longer than before: nothing says yet that it will stay so");
    chain.replace(5, "F");
    assert_eq!(all(&mut watch).await.join(" "), "-e3 -d0 E0 E1 E2");
    chain.replace(6, "GHIJ");
    assert_eq!(all(&mut watch).await.join(" "), "G0 G1 G2 I0 I1 I2");
}

#[tokio::test(start_paused = true)]
async fn what_was_replaced_during_a_restart_is_taken_back_too() {
    let chain = Fake::of("abcde");
    let mut before = watch(&chain, Cursor::before(ChainKind::NeoX, 0));
    all(&mut before).await;
    chain.replace(4, "EFG");
    let mut after = watch(&chain, before.cursor());
    assert_eq!(all(&mut after).await.join(" "), "-e0 E0 E1 E2 G0 G1 G2");
}

#[tokio::test(start_paused = true)]
async fn a_block_replaced_while_half_of_it_was_told_is_taken_back() {
    let chain = Fake::of("abc");
    let mut first = watch(&chain, Cursor::before(ChainKind::NeoX, 1));
    let batch = first.step().await.unwrap().unwrap();
    let half = batch.cursor_after(0);
    assert_eq!(all(&mut watch(&chain, half.clone())).await.join(" "), "c1 c2");
    chain.replace(2, "CD");
    assert_eq!(all(&mut watch(&chain, half)).await.join(" "), "-c0 C0 C1 C2");
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_another_one_altogether_is_an_error() {
    let chain = Fake::of("abcdefghij");
    let mut far = watch(&chain, Cursor::before(ChainKind::NeoX, 0));
    all(&mut far).await;
    chain.replace(0, "ABCDEFGHIJK");
    let mut removed = 0;
    let error = loop {
        match far.step().await {
            Ok(Some(batch)) => removed += batch.items.len(),
            Ok(None) => panic!("it went on"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.slug.as_ref(), removed), ("chain.replaced_too_deep", 4));
    assert!(!crate::is_retryable(&error));

    // Where everything that was told is remembered, all of it can be taken back.
    chain.replace(0, "abcd");
    let mut near = watch(&chain, Cursor::before(ChainKind::NeoX, 2));
    all(&mut near).await;
    chain.replace(0, "ABCDE");
    assert_eq!(all(&mut near).await.join(" "), "-d0 -c3 C0 C1 C2 E0 E1 E2");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_next_block() {
    let chain = Fake::of("ab");
    let mut waiting = watch(&chain, Cursor::after(ChainKind::NeoX, 1));
    let next = tokio::spawn(async move { waiting.next().await.unwrap() });
    tokio::time::sleep(Duration::from_secs(2)).await;
    chain.replace(2, "c");
    assert_eq!(short(&next.await.unwrap().items).join(" "), "c0 c1 c2");
}
