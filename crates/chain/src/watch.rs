//! Following a chain from a cursor.
//!
//! Promises:
//! - Events come in the order of the chain, each exactly once, as long as the caller keeps the cursor of a batch in the
//!   same transaction as what it did with the batch.
//! - When a block that was told of is replaced, it is taken back, the newest first, before anything else is told.
//! - A failure loses nothing: the same call again goes on where it stood.

use std::collections::VecDeque;

use nsl_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    chain::{ChainKind, SharedChain, Stretch},
    event::{BlockRef, Event, Filter, Position},
};

/// How many blocks one batch reads at most, one by one.
const BATCH: u32 = 32;

/// Where a watcher stands. What it has told is everything up to and with `at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub chain: ChainKind,
    pub at: Position,
    /// The first block told of.
    pub since: u64,
    /// The last blocks told of, ascending: by these a replaced block is noticed, also after a restart.
    #[serde(default)]
    pub trail: Vec<BlockRef>,
}

impl Cursor {
    /// Before everything that block `height` tells.
    pub fn before(chain: ChainKind, height: u64) -> Self {
        let at = match height.checked_sub(1) {
            Some(last) => Position::end_of(last),
            // Positions count from (0, 0, 0): the genesis block is taken from a cursor that has told nothing.
            None => Position { height: 0, tx: 0, index: 0 },
        };
        Self { chain, at, since: height, trail: Vec::new() }
    }

    /// After everything that block `height` tells.
    pub fn after(chain: ChainKind, height: u64) -> Self {
        Self { chain, at: Position::end_of(height), since: height + 1, trail: Vec::new() }
    }
}

/// One thing that a watcher tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Event(Event),
    /// The block is no longer of the chain, and what was told from it is void. `events` has what this watcher told of
    /// it, the newest first; it is empty for what was told of before a restart, where the caller knows its
    /// events by the block's hash.
    Removed {
        block: BlockRef,
        events: Vec<Event>,
    },
}

/// What a watcher tells at once, and the cursor after it.
#[derive(Clone, Debug)]
pub struct Batch {
    pub items: Vec<Item>,
    pub cursor: Cursor,
}

/// A reader of a chain's events.
pub struct Watch {
    chain: SharedChain,
    filter: Filter,
    at: Position,
    since: u64,
    trail: VecDeque<Told>,
}

struct Told {
    block: BlockRef,
    events: Vec<Event>,
}

impl Watch {
    /// Goes on from a cursor of the same chain.
    pub fn new(chain: SharedChain, cursor: Cursor, filter: Filter) -> Result<Self> {
        if cursor.chain != chain.kind() {
            return Err(Error::invalid(
                "chain.wrong_chain",
                format!("a cursor of {} can't follow {}", cursor.chain, chain.kind()),
            ));
        }
        let trail = cursor.trail.into_iter().map(|block| Told { block, events: Vec::new() }).collect();
        Ok(Self { chain, filter, at: cursor.at, since: cursor.since, trail })
    }

    /// Where the watcher stands.
    pub fn cursor(&self) -> Cursor {
        let trail = self.trail.iter().map(|told| told.block.clone()).collect();
        Cursor { chain: self.chain.kind(), at: self.at, since: self.since, trail }
    }

    /// Waits until there is something to tell, or a whole batch of blocks told nothing and only the cursor moved.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Batch> {
        loop {
            if let Some(batch) = self.step().await? {
                return Ok(batch);
            }
            tokio::time::sleep(self.chain.poll()).await;
        }
    }

    /// Reads on once; none when there is no new block.
    pub async fn step(&mut self) -> Result<Option<Batch>> {
        // A block of which only a part was told is read again, by itself.
        let partial = !self.at.is_end();
        let (from, most) = if partial { (self.at.height, 1) } else { (self.at.height + 1, BATCH) };
        let Some(stretch) = self.chain.stretch(from, most, &self.filter).await? else { return Ok(None) };
        let last_told = self.trail.back().map(|told| &told.block);
        let is_replaced = match (last_told, &stretch.before) {
            (Some(told), Some(before)) if told.height == before.height => told.hash != before.hash,
            (Some(told), _) if told.height == from => !stretch.blocks.contains(told),
            _ => false,
        };
        if is_replaced {
            return self.take_back().map(Some);
        }
        self.tell(stretch).map(Some)
    }

    fn take_back(&mut self) -> Result<Batch> {
        let is_last = self.trail.len() == 1;
        let replaced = self.trail.back().map_or(0, |told| told.block.height);
        // Without the block below nobody can say whether that one still stands; below the first one nothing was told.
        let Some(below) = replaced.checked_sub(1).filter(|_| !is_last || replaced <= self.since) else {
            return Err(self.too_deep());
        };
        let Told { block, mut events } = self.trail.pop_back().expect("what was replaced is the last of the trail");
        events.reverse();
        self.at = Position::end_of(below);
        tracing::warn!(
            chain = self.chain.kind().name(),
            height = block.height,
            hash = block.hash,
            "block was replaced"
        );
        Ok(Batch { items: vec![Item::Removed { block, events }], cursor: self.cursor() })
    }

    fn too_deep(&self) -> Error {
        Error::new(
            Code::Conflict,
            "chain.replaced_too_deep",
            format!(
                "{} has replaced more blocks than the watcher remembers, down to {}: it may be another network",
                self.chain.kind(),
                self.at.height
            ),
        )
    }

    fn tell(&mut self, stretch: Stretch) -> Result<Batch> {
        let Stretch { blocks, events, .. } = stretch;
        let Some(last) = blocks.last() else {
            return Err(Error::internal(anyhow::anyhow!("a stretch without its last block")));
        };
        let end = Position::end_of(last.height);
        let fresh: Vec<Event> = events.into_iter().filter(|event| event.at > self.at || self.is_untold()).collect();
        if !fresh.is_sorted_by(|one, other| one.at < other.at) {
            return Err(Error::internal(anyhow::anyhow!("events of a stretch out of order")));
        }
        for block in blocks {
            let events = fresh.iter().filter(|event| event.block == block).cloned();
            match self.trail.back_mut() {
                Some(told) if told.block == block => told.events.extend(events),
                _ => {
                    let events = events.collect();
                    self.trail.push_back(Told { block, events });
                }
            }
        }
        while self.trail.len() > self.chain.memory().max(1) + 1 {
            self.trail.pop_front();
        }
        self.at = end;
        Ok(Batch { items: fresh.into_iter().map(Item::Event).collect(), cursor: self.cursor() })
    }

    // Whether the watcher stands before the very first event of a chain.
    fn is_untold(&self) -> bool {
        self.trail.is_empty() && self.at == Position { height: 0, tx: 0, index: 0 }
    }
}

impl Batch {
    /// The cursor after one of the items, for a caller that keeps them one by one.
    pub fn cursor_after(&self, place: usize) -> Cursor {
        match self.items.get(place) {
            Some(Item::Event(event)) if place + 1 < self.items.len() => {
                let mut trail: Vec<BlockRef> =
                    self.cursor.trail.iter().filter(|block| block.height < event.block.height).cloned().collect();
                trail.push(event.block.clone());
                Cursor { at: event.at, trail, ..self.cursor.clone() }
            }
            _ => self.cursor.clone(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test waits for what it spawns")]
mod tests;
