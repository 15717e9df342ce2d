//! Who signs blocks: the proof that the consensus nodes made a block which an endpoint shows.
//!
//! Each block names the account that signs the next one. From one block that is known to be good, every later one is
//! proven by its signatures; no endpoint by itself can invent one, or leave a transaction out of one. The first block
//! that this process hears of is taken from whoever shows it, unless as many others show another one, or the caller
//! knows a block from before.

use std::{collections::BTreeMap, sync::Arc};

use neo::{Hash160, block::Header};
use parking_lot::Mutex;

use super::{Head, NeoN3, Node};
use crate::error::Trouble;

/// How often who signs may have changed between two blocks that are looked at.
const MOST_CHANGES: usize = 64;

/// Who signs what comes after the block of this height, until the next entry says another one.
#[derive(Default)]
pub(super) struct Signers(Mutex<BTreeMap<u32, Hash160>>);

impl Signers {
    /// Those that are known for blocks below this one, the nearest first.
    fn below(&self, height: u32) -> Vec<(u32, Hash160)> {
        self.0.lock().range(..height).rev().map(|(at, who)| (*at, *who)).collect()
    }

    /// Keeps what a block says that is known to be good.
    fn learn(&self, header: &Header) {
        let (at, who) = (header.index, header.next_consensus);
        let mut known = self.0.lock();
        if known.range(..=at).next_back().is_some_and(|(_, before)| *before == who) {
            return;
        }
        let next = known.range(at + 1..).next().filter(|(_, after)| **after == who).map(|(next, _)| *next);
        if let Some(next) = next {
            known.remove(&next);
        }
        known.insert(at, who);
    }
}

impl NeoN3 {
    /// A block that is known to be good: later ones are proven from it, also in a process that has read none yet.
    pub async fn trust(&self, known: Head) {
        let Some(above) = known.height.checked_add(1) else { return };
        if !self.signers.below(above).is_empty() {
            return;
        }
        let headers = self.pool.everywhere(|node| async move { header(&node, known.height).await }).await;
        if let Some(good) = headers.into_iter().flatten().find(|header| header.hash() == known.hash) {
            self.signers.learn(&good);
        }
    }

    /// Proves that the consensus nodes signed a block, or says that the endpoint made it up.
    pub(super) async fn prove(&self, node: &Arc<Node>, shown: &Header) -> Result<(), Trouble> {
        let below = self.signers.below(shown.index);
        let signed = |who: &Hash160| shown.verify(self.magic(), who).is_ok();
        if !below.iter().any(|(_, who)| signed(who)) {
            match below.first() {
                Some((from, who)) => self.follow(node, *from, *who, shown).await?,
                None => self.first(node, shown).await?,
            }
        }
        self.signers.learn(shown);
        Ok(())
    }

    /// Finds the blocks between by which others came to sign.
    async fn follow(&self, node: &Arc<Node>, from: u32, who: Hash160, shown: &Header) -> Result<(), Trouble> {
        let (mut low, mut who) = (from, who);
        for _ in 0..MOST_CHANGES {
            let (mut high, mut next) = (shown.index, None);
            while next.is_none() && high - low > 1 {
                let middle = low + (high - low) / 2;
                let between = header(node, middle).await?;
                if between.verify(self.magic(), &who).is_ok() {
                    self.signers.learn(&between);
                    low = middle;
                    next = Some(between.next_consensus).filter(|next| *next != who);
                } else {
                    high = middle;
                }
            }
            let Some(next) = next else { break };
            if shown.verify(self.magic(), &next).is_ok() {
                return Ok(());
            }
            who = next;
        }
        // What was taken for the first block may have been made up.
        match self.votes(shown).await {
            (same, other) if same > 1 && same > other => Ok(()),
            _ => Err(unsigned(shown)),
        }
    }

    async fn first(&self, node: &Arc<Node>, shown: &Header) -> Result<(), Trouble> {
        if let Some(before) = shown.index.checked_sub(1) {
            let before = header(node, before).await?;
            shown.follows(self.magic(), &before).map_err(|_| unsigned(shown))?;
        }
        match self.votes(shown).await {
            (same, other) if other > 0 && same <= other => {
                Err(Trouble::Garbled(format!("other endpoints show another block {}", shown.index)))
            }
            _ => Ok(()),
        }
    }

    /// How many endpoints show this block, and how many another one of its height.
    async fn votes(&self, shown: &Header) -> (usize, usize) {
        let headers = self.pool.everywhere(|node| async move { header(&node, shown.index).await }).await;
        let said: Vec<bool> = headers.into_iter().flatten().map(|other| other.hash() == shown.hash()).collect();
        let same = said.iter().filter(|same| **same).count();
        (same, said.len() - same)
    }
}

async fn header(node: &Node, height: u32) -> Result<Header, Trouble> {
    let header = node.ask("getblockheader", |rpc| rpc.header(height)).await?;
    match header.index == height {
        true => Ok(header),
        false => Err(Trouble::Garbled(format!("what was given for block {height} is another one"))),
    }
}

fn unsigned(shown: &Header) -> Trouble {
    Trouble::Garbled(format!("block {} is not signed by those whom the blocks before name", shown.index))
}
