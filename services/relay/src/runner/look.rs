//! What blocks say, and what callers and time take back.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use nsl_core::Result;

use super::{BLOCKS, News, Runner, told};
use crate::{
    node::{IDLE_GAS, Node, Spent, Stretch},
    nonces::{Id, Lane, Settled},
    store::{Became, Revoked, revoked},
};

/// How often what was taken back is asked for, and blocks that may still be replaced are read again.
const HEED: Duration = Duration::from_millis(250);
/// Who is so many blocks behind what was looked at was lied to, or is lying.
const FAR: u64 = 100;
const PEEK: Duration = Duration::from_secs(1);

impl<N: Node> Runner<N> {
    /// Learns what is taken back or over by now. What has no nonce yet ends at once, whether a node answers or not.
    pub(super) async fn heed(&mut self) -> Result<()> {
        let now = self.steady.now();
        if now < self.heeded.plus(HEED) {
            return Ok(());
        }
        self.revoked = revoked(&self.db, &self.key, self.clock.now()).await?;
        self.heeded = now;
        self.drop_revoked().await
    }

    pub(super) async fn drop_revoked(&mut self) -> Result<()> {
        let mut lane = self.lane.clone();
        let mut became = Vec::new();
        lane.waiting.retain(|id| match self.revoked.get(id) {
            None => true,
            Some(why) => {
                let why = why.why();
                became.push(told(id.clone(), Revoked::end_of(why), Some(why.to_owned())));
                false
            }
        });
        if !became.is_empty() {
            self.write(lane, self.looked, News { became, ..News::default() }).await?;
        }
        Ok(())
    }

    pub(super) async fn look(&mut self) -> Result<()> {
        let (head, _) = self.node.head().await?;
        if head.saturating_add(FAR) < self.looked || self.stays_short(head) {
            self.step_back(head, BLOCKS).await?;
        }
        self.find_missed(head).await?;
        while self.looked < head {
            let to = head.min(self.looked.saturating_add(BLOCKS));
            let Stretch { before, last, spent } = self.node.spent(self.looked + 1, to).await?;
            if self.at.is_some_and(|at| at != before) {
                self.step_back(head, BLOCKS).await?;
                continue;
            }
            let mut lane = self.lane.clone();
            let became = spent.iter().filter_map(|one| settle(&mut lane, one)).collect();
            let spent: Vec<u64> = spent.iter().map(|one| one.nonce).collect();
            let known: HashSet<u64> = self.lane.slots.keys().copied().collect();
            let before = self.at.replace(last);
            let written = self.write(lane, to, News { spent: spent.clone(), became, ..News::default() }).await;
            if let Err(error) = written {
                self.at = before;
                return Err(error);
            }
            self.looked = to;
            if spent.iter().any(|nonce| known.contains(nonce)) {
                self.depth = BLOCKS;
            }
            for nonce in spent {
                self.missed.remove(&nonce);
                self.unclear.remove(&nonce);
                self.doomed.remove(&nonce);
                self.sent.remove(&nonce);
                self.passing.remove(&nonce);
                self.refused.remove(&nonce);
                self.raws.retain(|(place, _), _| *place != nonce);
            }
        }
        Ok(())
    }

    /// Whether the chain has been shorter than what was looked at for so long that no endpoint only lags behind.
    fn stays_short(&mut self, head: u64) -> bool {
        if head >= self.looked {
            self.short = None;
            return false;
        }
        let now = self.steady.now();
        let is_over = now >= self.short.get_or_insert(now).plus(self.pace.raise);
        if is_over {
            self.short = None;
        }
        is_over
    }

    /// Where a node calls a nonce spent that was spent by the last block that was looked at, the block that did it was
    /// passed over. As long as it is not found, it is looked for further back.
    async fn find_missed(&mut self, head: u64) -> Result<()> {
        let missed = std::mem::take(&mut self.missed);
        let Some(nonce) = missed.into_iter().find(|nonce| self.lane.slots.contains_key(nonce)) else { return Ok(()) };
        let counted = self.node.count(self.looked.min(head)).await;
        if counted.is_ok_and(|count| count > nonce) {
            if let Some(id) = Self::request_at(&self.lane, nonce) {
                let why = "its nonce is spent, and no block that was read has what spent it: blocks are read again";
                self.tell(told(id, "signed", Some(why.to_owned())));
            }
            let back = self.depth;
            self.depth = back.saturating_mul(2);
            self.step_back(head, back).await?;
        }
        Ok(())
    }

    /// Goes back to where nothing of what is under way is in a block yet: what was looked at last is not the chain's, so
    /// somebody lied, and blocks were passed over.
    async fn step_back(&mut self, head: u64, mut back: u64) -> Result<()> {
        let from = self.looked;
        let first = self.lane.slots.keys().next().copied();
        self.at = None;
        self.looked = self.looked.min(head);
        loop {
            self.looked = self.looked.saturating_sub(back);
            back = back.saturating_mul(2);
            let Some(first) = first else { break };
            // How much was sent so long ago not every node knows any more.
            if self.looked == 0 || self.node.count(self.looked).await.map_or(true, |count| count <= first) {
                break;
            }
        }
        tracing::warn!(account = %self.key.account, from, to = self.looked, "blocks are read again");
        Ok(())
    }

    /// Looks at the blocks that may still be replaced, where the chain has such.
    pub(super) async fn peek(&mut self) -> Result<()> {
        if self.node.confirmations() == 1 || (self.lane.slots.is_empty() && self.seen.is_empty()) {
            return Ok(());
        }
        let (tip, now) = (self.node.tip().await?.min(self.looked.saturating_add(BLOCKS)), self.steady.now());
        if tip == self.tip.0 && now < self.tip.1.plus(PEEK) {
            return Ok(());
        }
        if tip <= self.looked {
            self.passing.clear();
            return Ok(());
        }
        let found = self.node.spent(self.looked + 1, tip).await?.spent;
        self.tip = (tip, now);
        self.passing = found.iter().map(|one| one.nonce).collect::<HashSet<_>>();
        let ours = found.iter().filter_map(|one| Some((request_of(&self.lane, one)?, (one.hash, one.height))));
        let seen: HashMap<Id, _> = ours.collect();
        let before = std::mem::replace(&mut self.seen, seen.clone());
        for (id, at) in &before {
            if seen.get(id) != Some(at) && self.known.contains_key(id) {
                let why = "the block that had it was replaced";
                self.tell(told(id.clone(), "sent", Some(why.to_owned())).hashed(&at.0));
            }
        }
        for (id, (hash, height)) in seen {
            let gone = self.became.iter().any(|one| one.request == id);
            let new = told(id, "seen", None).at(&hash, height);
            if gone { self.became.push(new) } else { self.tell(new) }
        }
        Ok(())
    }
}

fn request_of(lane: &Lane, one: &Spent) -> Option<Id> {
    let slot = lane.slots.get(&one.nonce)?;
    slot.tries.iter().find(|known| known.hash == one.hash)?.request.clone()
}

fn settle(lane: &mut Lane, one: &Spent) -> Option<Became> {
    let tries = lane.slots.get(&one.nonce).map(|slot| slot.tries.as_slice()).unwrap_or_default();
    let ours = tries.iter().find(|known| known.hash == one.hash).cloned();
    let paid = one.fee.filter(|_| ours.is_some());
    // Where nobody told what it took, what does nothing counts as the most that it may have taken.
    let void = ours.map(|one| one.price.saturating_mul(IDLE_GAS.into()));
    Some(match lane.spent(one.nonce, one.hash)? {
        Settled::Included { request, hash } => {
            let state = if one.reverted.is_some() { "failed" } else { "final" };
            told(request, state, one.reverted.clone()).at(&hash, one.height).paid(paid)
        }
        Settled::Void { request, why } => told(request, Revoked::end_of(&why), Some(why)).paid(paid.or(void)),
        Settled::Displaced { request } => told(request, "accepted", Some("another transaction took its nonce".into())),
    })
}
