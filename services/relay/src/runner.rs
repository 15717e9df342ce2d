//! The holder of a lane at work: looks at blocks, gives nonces, sends, and sends again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use nsl_core::{Clock, Cx, Entry, Error, Result, Timestamp};
use nsl_sql::Db;

use crate::{
    node::{Node, Ready, Signed, Verdict},
    nonces::{Id, Lane, Settled},
    store::{Became, Held, LaneKey, NewTry, Step, intents, load, raws},
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
}

const BLOCKS: u64 = 64;

pub(crate) struct Runner<N> {
    db: Db,
    clock: Arc<dyn Clock>,
    node: N,
    key: LaneKey,
    fence: i64,
    looked: u64,
    lane: Lane,
    pace: Pace,
    raws: BTreeMap<(u64, usize), Vec<u8>>,
    ready: HashMap<Id, Ready>,
    /// When each nonce was last sent, and last raised.
    sent: HashMap<u64, (Timestamp, Timestamp)>,
    /// Nonces whose transaction no node will ever take, and why.
    doomed: HashMap<u64, String>,
    /// States to write with the next step.
    became: Vec<Became>,
    /// What was last written of each request: sending again and again is told once.
    known: HashMap<Id, (&'static str, Option<String>)>,
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
        let (fence, mut looked) = (held.fence, held.looked as u64);
        if lane.slots.is_empty() {
            // Nothing is under way, so no block behind has news. The height is asked first: what is counted
            // afterwards lies before or is looked at.
            looked = looked.max(node.head().await?);
            lane.skip_to(node.count().await?);
        }
        let (ready, sent, doomed, became, known) = Default::default();
        Ok(Self { db, clock, node, key, fence, looked, lane, pace, raws, ready, sent, doomed, became, known })
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.lane.slots.is_empty() && self.lane.waiting.is_empty() && self.became.is_empty()
    }

    pub(crate) fn accept(&mut self, id: Id) {
        if !self.lane.waiting.contains(&id) {
            self.lane.accept(id);
        }
    }

    /// One round: what blocks say, then what waits, then what takes long.
    pub(crate) async fn round(&mut self) -> Result<()> {
        self.look().await?;
        self.give().await?;
        self.nudge().await
    }

    async fn look(&mut self) -> Result<()> {
        let head = self.node.head().await?;
        while self.looked < head {
            let to = head.min(self.looked + BLOCKS);
            let spent = self.node.spent(self.looked + 1, to).await?;
            let mut lane = self.lane.clone();
            let mut became = Vec::new();
            for one in &spent {
                let Some(settled) = lane.spent(one.nonce, one.hash) else { continue };
                became.push(match settled {
                    Settled::Included { request, hash } => {
                        let state = if one.reverted.is_some() { "failed" } else { "final" };
                        told(request, state, one.reverted.clone()).at(&hash, one.height)
                    }
                    Settled::Void { request, why } => told(request, "failed", Some(why)),
                    Settled::Displaced { request } => {
                        told(request, "accepted", Some("another transaction took its nonce".into()))
                    }
                });
            }
            let spent: Vec<u64> = spent.iter().map(|one| one.nonce).collect();
            self.write(lane, to, Vec::new(), spent.clone(), became).await?;
            self.looked = to;
            for nonce in spent {
                self.doomed.remove(&nonce);
                self.sent.remove(&nonce);
                self.raws.retain(|(place, _), _| *place != nonce);
            }
        }
        Ok(())
    }

    async fn give(&mut self) -> Result<()> {
        let room = self.pace.most.saturating_sub(self.lane.slots.len());
        let turn: Vec<Id> = self.lane.waiting.iter().take(room).cloned().collect();
        if turn.is_empty() {
            return Ok(());
        }
        let price = self.node.price().await?;
        let wanted: Vec<Id> = turn.iter().filter(|id| !self.ready.contains_key(*id)).cloned().collect();
        let intents = intents(&self.db, &self.key.tenant, &wanted).await?;
        let node = &self.node;
        let mut trials: Vec<BoxFuture<'_, _>> = Vec::with_capacity(wanted.len());
        for (id, intent) in wanted.into_iter().zip(intents) {
            trials.push(async move { (node.try_out(&id, &intent).await, id) }.boxed());
        }
        let tried: Vec<_> = stream::iter(trials).buffered(self.pace.together).collect().await;
        let mut lane = self.lane.clone();
        let mut became = Vec::new();
        for (outcome, id) in tried {
            // An endpoint that does not answer decides nothing: the request waits.
            match outcome? {
                Ok(ready) => drop(self.ready.insert(id, ready)),
                Err(why) => {
                    lane.waiting.retain(|other| *other != id);
                    became.push(told(id, "failed", Some(why)));
                }
            }
        }
        let mut tries = Vec::new();
        while let Some((id, nonce)) = lane.turn(self.pace.most).map(|(id, nonce)| (id.clone(), nonce)) {
            let Some(ready) = self.ready.get(&id) else { break };
            let Signed { hash, raw } = self.node.sign(Some(ready), nonce, price).await?;
            lane.give(hash, price);
            became.push(told(id.clone(), "signed", None).hashed(&hash));
            tries.push(NewTry { place: nonce, number: 0, hash, request: Some(id), given_up: None, price, raw });
        }
        let nonces: Vec<u64> = tries.iter().map(|one| one.place).collect();
        self.write(lane, self.looked, tries, Vec::new(), became).await?;
        self.send(&nonces).await
    }

    async fn nudge(&mut self) -> Result<()> {
        let now = self.clock.now();
        let late = |at: Option<&(Timestamp, Timestamp)>, raised: bool, wait: Duration| {
            at.is_none_or(|at| now >= (if raised { at.1 } else { at.0 }).plus(wait))
        };
        let again: Vec<u64> = self
            .lane
            .slots
            .keys()
            .filter(|nonce| late(self.sent.get(nonce), false, self.pace.resend))
            .copied()
            .collect();
        if !again.is_empty() {
            self.send(&again).await?;
        }
        for (nonce, why) in std::mem::take(&mut self.doomed) {
            self.give_up(nonce, why).await?;
        }
        // Only the first can hold the others up.
        let first = self.lane.slots.keys().next().copied();
        if let Some(nonce) = first.filter(|nonce| late(self.sent.get(nonce), true, self.pace.raise)) {
            self.raise(nonce).await?;
        }
        if self.became.is_empty() {
            Ok(())
        } else {
            self.write(self.lane.clone(), self.looked, Vec::new(), Vec::new(), Vec::new()).await
        }
    }

    // Its nonce is spent by what does nothing, so that those behind it can go on.
    async fn give_up(&mut self, nonce: u64, why: String) -> Result<()> {
        let Some(slot) = self.lane.slots.get_mut(&nonce) else { return Ok(()) };
        if slot.given_up.is_some() {
            return Ok(());
        }
        slot.given_up = Some(why);
        self.raise(nonce).await
    }

    async fn raise(&mut self, nonce: u64) -> Result<()> {
        let price = self.lane.price_of_next(nonce).unwrap_or_default();
        if price > self.pace.most_price {
            return Ok(());
        }
        let Some(slot) = self.lane.slots.get(&nonce) else { return Ok(()) };
        let request = slot.tries.iter().rev().find_map(|one| one.request.clone()).filter(|_| slot.given_up.is_none());
        if let Some(id) = request.as_ref().filter(|id| !self.ready.contains_key(*id)) {
            let intents = intents(&self.db, &self.key.tenant, std::slice::from_ref(id)).await?;
            // It passed when it was first given a nonce; what it does now, the chain will say.
            if let Some(Ok(ready)) = match intents.first() {
                Some(intent) => Some(self.node.try_out(id, intent).await?),
                None => None,
            } {
                self.ready.insert(id.clone(), ready);
            }
        }
        let ready = request.as_ref().and_then(|id| self.ready.get(id));
        let (request, given_up) = match ready {
            Some(_) => (request.clone(), None),
            None => (None, Some(slot.given_up.clone().unwrap_or_else(|| "it would be undone by now".into()))),
        };
        let number = slot.tries.len();
        let Signed { hash, raw } = self.node.sign(ready, nonce, price).await?;
        let mut lane = self.lane.clone();
        match &given_up {
            None => lane.raise(nonce, hash, price),
            Some(why) => lane.give_up(nonce, why.clone(), hash, price),
        }
        let tries = vec![NewTry { place: nonce, number, hash, request, given_up, price, raw }];
        self.write(lane, self.looked, tries, Vec::new(), Vec::new()).await?;
        let now = self.clock.now();
        self.sent.insert(nonce, (now, now));
        self.send(&[nonce]).await
    }

    /// Sends the latest try of each nonce; the earlier ones as well would only be refused as underpriced.
    async fn send(&mut self, nonces: &[u64]) -> Result<()> {
        let latest: Vec<(u64, &[u8])> = nonces
            .iter()
            .filter_map(|nonce| {
                let (_, raw) = self.raws.range((*nonce, 0)..=(*nonce, usize::MAX)).next_back()?;
                Some((*nonce, raw.as_slice()))
            })
            .collect();
        let raw: Vec<&[u8]> = latest.iter().map(|(_, raw)| *raw).collect();
        let verdicts = self.node.send(&raw).await;
        let now = self.clock.now();
        let sent: Vec<u64> = latest.iter().map(|(nonce, _)| *nonce).collect();
        for (nonce, verdict) in sent.into_iter().zip(verdicts) {
            let at = self.sent.entry(nonce).or_insert((now, now));
            at.0 = now;
            let request = self
                .lane
                .slots
                .get(&nonce)
                .and_then(|slot| slot.tries.iter().rev().find_map(|one| one.request.clone()));
            let Some(request) = request else { continue };
            match verdict {
                Verdict::Taken => self.tell(told(request, "sent", None)),
                Verdict::NotNow(why) => self.tell(told(request, "signed", Some(why))),
                Verdict::Never(why) => drop(self.doomed.insert(nonce, why)),
                // Outbid at the next round.
                Verdict::Underpriced => at.1 = Timestamp(0),
                Verdict::Spent | Verdict::Unknown => {}
            }
        }
        Ok(())
    }

    fn tell(&mut self, new: Became) {
        let known = self.known.get(&new.request).is_some_and(|(state, why)| *state == new.state && *why == new.reason);
        if !known {
            self.became.push(new);
        }
    }

    /// Stores a step, and only then goes on from it.
    async fn write(
        &mut self,
        lane: Lane,
        looked: u64,
        tries: Vec<NewTry>,
        spent: Vec<u64>,
        mut became: Vec<Became>,
    ) -> Result<()> {
        // What a step says of a request wins over what was still to be told of it.
        self.became.retain(|old| !became.iter().any(|new| new.request == old.request));
        became.append(&mut self.became);
        if became.is_empty()
            && tries.is_empty()
            && spent.is_empty()
            && looked < self.looked + BLOCKS
            && lane == self.lane
        {
            return Ok(());
        }
        let cx = Cx::system(self.key.tenant.clone(), Duration::from_secs(30));
        let now = self.clock.now();
        let settled = |one: &&Became| one.is_end();
        let entries = became.iter().filter(settled).map(|one| {
            Entry::new(&cx, "relay.request_settled", "relay", "settle", now)
                .request("id", &*one.request)
                .response("state", one.state)
                .response("tx", one.hash.clone())
        });
        let entries = entries.collect();
        for one in &became {
            match one.is_end() {
                true => drop(self.known.remove(&one.request)),
                false => drop(self.known.insert(one.request.clone(), (one.state, one.reason.clone()))),
            }
        }
        let step = Step {
            lane: self.key.clone(),
            fence: self.fence,
            now,
            next: lane.next,
            looked: looked as i64,
            tries: tries.clone(),
            spent,
            became,
            entries,
        };
        self.db.write(&cx, step).await?;
        self.lane = lane;
        for one in tries {
            self.raws.insert((one.place, one.number), one.raw);
        }
        Ok(())
    }
}

fn told(request: Id, state: &'static str, reason: Option<String>) -> Became {
    Became { request, state, reason, hash: None, height: None, fee: None }
}

impl Became {
    fn hashed(mut self, hash: &[u8]) -> Self {
        self.hash = Some(format!("0x{}", hex::encode(hash)));
        self
    }

    fn at(mut self, hash: &[u8], height: u64) -> Self {
        self.height = Some(height as i64);
        self.hashed(hash)
    }
}

/// Whether a lane may go on after this, a moment later.
pub(crate) fn passes(error: &Error) -> bool {
    error.slug != crate::store::LANE_LOST
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
