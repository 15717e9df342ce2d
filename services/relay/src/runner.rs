//! The holder of a lane at work: looks at blocks, gives nonces, sends, and sends again.

mod begin;
mod gap;
mod give;
mod look;
mod press;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use nsl_core::{Clock, Cx, Error, Result, Timestamp};
use nsl_sql::Db;

use begin::begin;

use crate::{
    n3::N3Pace,
    node::{Node, Ready},
    nonces::{Hash, Id, Lane},
    steady::Steady,
    store::{Became, Cost, Held, LaneKey, NewTry, Over, Revoked, Step, last_states, load, raws, step},
};

/// How a lane behaves. All of it may change while running.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Transactions under way at once.
    pub most: usize,
    /// Requests tried out at once.
    pub together: usize,
    /// After how long what was not included is sent again.
    pub resend: Duration,
    /// After how long it is sent at a higher price.
    pub raise: Duration,
    /// The most that is offered for a unit of gas, in wei.
    pub most_price: u128,
    /// On Neo N3.
    pub n3: N3Pace,
}

const BLOCKS: u64 = 64;

pub(crate) struct Runner<N> {
    db: Db,
    clock: Arc<dyn Clock>,
    /// What is paced goes by this.
    steady: Steady,
    node: N,
    key: LaneKey,
    fence: i64,
    looked: u64,
    /// The hash of that block, which the next one has to follow; none where it is not known.
    at: Option<Hash>,
    lane: Lane,
    pace: Pace,
    raws: BTreeMap<(u64, usize), Vec<u8>>,
    /// What was tried out, and the most that it may cost.
    ready: HashMap<Id, (Ready, Option<u128>)>,
    /// What no endpoint would try out, until when it is left alone, and how often that was so.
    later: HashMap<Id, (Timestamp, u32)>,
    /// When each nonce was last sent, and last raised.
    sent: HashMap<u64, (Timestamp, Timestamp)>,
    /// Nonces whose transaction no node will ever take, and why.
    doomed: HashMap<u64, String>,
    /// Requests that are given up at someone's wish.
    revoked: HashMap<Id, Revoked>,
    heeded: Timestamp,
    /// The last block, as of when it was looked at, and what blocks that are not final yet have.
    tip: (u64, Timestamp),
    seen: HashMap<Id, (Hash, u64)>,
    passing: HashSet<u64>,
    /// Nonces whose transaction no node takes for now.
    refused: HashSet<u64>,
    /// Nonces whose transaction is refused in words that are not known: since when, and how often.
    unclear: HashMap<u64, (Timestamp, u32)>,
    /// Nonces that a node calls spent, and no block that was looked at.
    missed: BTreeSet<u64>,
    /// How far back blocks are read again for such a nonce.
    depth: u64,
    /// Since when the chain is shorter than what was looked at.
    short: Option<Timestamp>,
    /// When it was last looked whether nonces were passed over.
    counted: Timestamp,
    /// States to write with the next step.
    became: Vec<Became>,
    /// What was last written of each request: sending again and again is told once.
    known: HashMap<Id, (&'static str, Option<String>)>,
}

/// What one step changes, besides the lane itself.
#[derive(Default)]
struct News {
    tries: Vec<NewTry>,
    spent: Vec<u64>,
    became: Vec<Became>,
    costs: Vec<Cost>,
}

impl<N: Node> Runner<N> {
    /// Goes on where the last holder stopped.
    pub(crate) async fn take_up(
        db: Db,
        clock: Arc<dyn Clock>,
        node: N,
        key: LaneKey,
        held: Held,
        pace: Pace,
    ) -> Result<Self> {
        let mut lane = load(&db, &key, &held).await?;
        let raws = raws(&db, &key).await?;
        let (fence, mut looked, mut at) = (held.fence, held.looked as u64, held.at);
        if lane.slots.is_empty() {
            let began = begin(&node, &db, &key, &held, clock.now()).await?;
            (looked, at) = (began.looked, began.at);
            lane.go_on_at(began.next);
        }
        let left = last_states(&db, &key).await?;
        let known = left.into_iter().filter_map(|(id, state, reason)| Some((id, (one_of(&state)?, reason)))).collect();
        let (ready, later, sent, doomed, became, revoked, seen, passing, refused) = Default::default();
        let (unclear, missed, short) = Default::default();
        let (heeded, tip) = (Timestamp(0), (0, Timestamp(0)));
        let steady = Steady::of(Arc::clone(&clock));
        let counted = steady.now();
        Ok(Self {
            db,
            clock,
            steady,
            node,
            key,
            fence,
            looked,
            at,
            lane,
            pace,
            raws,
            ready,
            later,
            sent,
            doomed,
            revoked,
            heeded,
            tip,
            seen,
            passing,
            refused,
            unclear,
            missed,
            depth: BLOCKS,
            short,
            counted,
            became,
            known,
        })
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.lane.slots.is_empty() && self.lane.waiting.is_empty() && self.became.is_empty()
    }

    /// Takes on what is not known yet of these.
    pub(crate) fn accept(&mut self, waiting: Vec<Id>) {
        let known: HashSet<Id> = self.lane.waiting.iter().cloned().collect();
        waiting.into_iter().filter(|id| !known.contains(id)).for_each(|id| self.lane.accept(id));
    }

    /// One round: what is taken back, what blocks say, then what waits, then what takes long.
    pub(crate) async fn round(&mut self) -> Result<()> {
        self.heed().await?;
        self.look().await?;
        self.peek().await?;
        let given = self.give().await;
        if given.as_ref().is_err_and(|error| !passes(error)) {
            return given;
        }
        // Whatever waits, what is under way goes on.
        self.nudge().await?;
        given
    }

    fn tell(&mut self, new: Became) {
        let known = self.known.get(&new.request).is_some_and(|(state, why)| *state == new.state && *why == new.reason);
        if !known {
            self.became.push(new);
        }
    }

    /// Stores a step, and only then goes on from it. What is over the budget is given back, and then nothing is stored.
    async fn write(&mut self, lane: Lane, looked: u64, news: News) -> Result<Vec<Over>> {
        let News { tries, spent, mut became, costs } = news;
        // What a step says of a request wins over what was still to be told of it.
        let untold = self.became.iter().filter(|old| !became.iter().any(|new| new.request == old.request));
        let untold: Vec<Became> = untold.cloned().collect();
        became.extend(untold);
        if became.is_empty()
            && tries.is_empty()
            && spent.is_empty()
            && looked < self.looked.saturating_add(BLOCKS)
            && lane == self.lane
        {
            return Ok(Vec::new());
        }
        let cx = Cx::system(self.key.tenant.clone(), Duration::from_secs(30));
        let now = self.clock.now();
        let settled = |one: &&Became| one.is_end();
        let entries = became.iter().filter(settled).map(|one| one.entry(&cx, now)).collect();
        let told: Vec<_> =
            became.iter().map(|one| (one.request.clone(), one.state, one.reason.clone(), one.is_end())).collect();
        let signed: Vec<_> = tries.iter().map(|one| ((one.place, one.number), one.raw.clone())).collect();
        let empty = Step::nothing(self.key.clone(), self.fence, now, lane.next, looked as i64);
        let new = Step { at: self.at, tries, spent, became, costs, entries, ..empty };
        let over = step(&self.db, &cx, new).await?;
        if !over.is_empty() {
            return Ok(over);
        }
        for (request, state, reason, ended) in told {
            if ended {
                self.forget(&request);
            } else {
                self.known.insert(request, (state, reason));
            }
        }
        self.became.clear();
        self.lane = lane;
        self.raws.extend(signed);
        Ok(over)
    }

    /// The most that is offered for a unit of gas, whoever bounds it.
    fn most_price(&self) -> u128 {
        self.pace.most_price.min(self.node.most_price())
    }

    fn forget(&mut self, request: &Id) {
        self.known.remove(request);
        self.ready.remove(request);
        self.later.remove(request);
        self.revoked.remove(request);
        self.seen.remove(request);
    }
}

pub(crate) fn told(request: Id, state: &'static str, reason: Option<String>) -> Became {
    Became::told(request, state, reason)
}

pub(crate) fn one_of(state: &str) -> Option<&'static str> {
    ["accepted", "simulated", "signed", "sent", "seen"].into_iter().find(|known| *known == state)
}

impl Became {
    pub(crate) fn hashed(mut self, hash: &[u8]) -> Self {
        self.hash = Some(format!("0x{}", hex::encode(hash)));
        self
    }

    pub(crate) fn at(mut self, hash: &[u8], height: u64) -> Self {
        self.height = Some(height as i64);
        self.hashed(hash)
    }

    pub(crate) fn paid(mut self, fee: Option<u128>) -> Self {
        self.fee = fee;
        self
    }
}

/// Whether a lane may go on after this, a moment later.
pub(crate) fn passes(error: &Error) -> bool {
    error.slug != crate::store::LANE_LOST
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
