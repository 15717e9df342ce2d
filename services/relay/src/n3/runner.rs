//! The holder of a lane of Neo N3 at work.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use neo::Hash256;
use nsl_chain::n3::Head;
use nsl_core::{Clock, Cx, Entry, Error, Result};
use nsl_sql::Db;
use tokio::time::Instant;

use super::{N3Node, N3Pace, give::TURN, prepare::Bench};
use crate::{
    dispatch::Nodes,
    nonces::{Hash, Id},
    runner::one_of,
    store::{
        Became, Cost, Held, LaneKey, NewParcelTry, Over, Parcels, Revoked, Step, last_states, load_parcels, revoked,
        step,
    },
    validity::Lane,
};

/// How often it is looked what was taken back.
const HEED: Duration = Duration::from_millis(250);
/// A lane that only reads blocks writes down how far it is after so many.
const BLOCKS: u32 = 64;

pub(crate) struct Runner {
    pub(super) db: Db,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) nodes: Arc<dyn Nodes>,
    pub(super) node: Arc<N3Node>,
    pub(super) key: LaneKey,
    fence: i64,
    pub(super) lane: Lane,
    /// The last block that was read whole.
    pub(super) looked: u32,
    /// Its hash, which the next one has to follow; none where it is not known.
    pub(super) at: Option<Hash256>,
    stored: u32,
    pub(super) pace: N3Pace,
    pub(super) together: usize,
    pub(super) raws: HashMap<Hash, Vec<u8>>,
    /// When each parcel was last sent.
    pub(super) sent: HashMap<u64, Instant>,
    /// Parcels that no node takes as they are, and why.
    pub(super) doomed: HashMap<u64, String>,
    /// Parcels that offer too little by now.
    pub(super) too_cheap: HashSet<u64>,
    /// How often it was asked for outcomes that could not be read.
    pub(super) unread: HashMap<Hash, usize>,
    /// At which height a further try of a parcel was thought of last.
    pub(super) thought: HashMap<u64, u32>,
    pub(super) alone: HashSet<Id>,
    /// What the chain took for requests that have not come to their end.
    pub(super) paid: HashMap<Id, u128>,
    /// Requests that no endpoint would try out, and until when they are left alone.
    pub(super) later: HashMap<Id, Instant>,
    /// How often a request was too much for a node.
    pub(super) slow: HashMap<Id, u32>,
    /// Requests that are given up at someone's wish.
    pub(super) revoked: HashMap<Id, Revoked>,
    /// Whether the last round left requests that were too many for one.
    pub(crate) has_more: bool,
    heeded: Option<Instant>,
    became: Vec<Became>,
    known: HashMap<Id, (&'static str, Option<String>)>,
}

/// What one step changes, besides the lane itself.
#[derive(Default)]
pub(super) struct News {
    pub(super) tries: Vec<NewParcelTry>,
    pub(super) gone: Vec<u64>,
    pub(super) became: Vec<Became>,
    pub(super) costs: Vec<Cost>,
}

/// What a lane stands on.
pub(crate) struct Ground {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) node: Arc<N3Node>,
    pub(crate) key: LaneKey,
    pub(crate) pace: N3Pace,
    /// Requests tried out at once.
    pub(crate) together: usize,
}

impl Runner {
    /// Goes on where the last holder stopped.
    pub(crate) async fn take_up(ground: Ground, held: Held) -> Result<Self> {
        let Ground { db, clock, nodes, node, key, pace, together } = ground;
        let (lane, raws) = load_parcels(&db, &key, held.next as u64).await?;
        let (height, hash) = (held.looked.try_into().map_err(Error::internal)?, held.at.map(Hash256::from_le));
        if let Some(hash) = hash {
            node.desk.chain.trust(Head { height, hash }).await;
        }
        let (looked, at) = match lane.parcels.is_empty() {
            // Nothing is under way, so no block behind has news.
            true => {
                let head = node.desk.chain.head().await?;
                (head.height, Some(head.hash))
            }
            false => (height, hash),
        };
        let left = last_states(&db, &key).await?;
        let known = left.into_iter().filter_map(|(id, state, reason)| Some((id, (one_of(&state)?, reason)))).collect();
        let (sent, doomed, too_cheap, unread, thought, alone, paid, later, slow, revoked, became) = Default::default();
        Ok(Self {
            db,
            clock,
            nodes,
            node,
            key,
            fence: held.fence,
            lane,
            looked,
            at,
            stored: looked,
            pace,
            together,
            raws,
            sent,
            doomed,
            too_cheap,
            unread,
            thought,
            alone,
            paid,
            later,
            slow,
            revoked,
            has_more: false,
            heeded: None,
            became,
            known,
        })
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.lane.parcels.is_empty() && self.lane.waiting.is_empty() && self.became.is_empty()
    }

    /// Whether there is less than what one round looks at.
    pub(crate) fn wants_more(&self) -> bool {
        self.lane.waiting.len() < TURN
    }

    pub(crate) fn accept(&mut self, ids: Vec<Id>) {
        let has: HashSet<&Id> = self.lane.waiting.iter().collect();
        let new: Vec<Id> = ids.iter().filter(|id| !has.contains(id)).cloned().collect();
        new.into_iter().for_each(|id| self.lane.accept(id));
    }

    /// One round: what is taken back, what blocks say, then what waits, then what takes long.
    pub(crate) async fn round(&mut self) -> Result<()> {
        if self.heeded.is_none_or(|at| at.elapsed() >= HEED) {
            self.heed().await?;
        }
        self.look().await?;
        self.give().await?;
        self.nudge().await?;
        self.write(self.lane.clone(), self.looked, News::default()).await.map(drop)
    }

    pub(super) async fn heed(&mut self) -> Result<()> {
        self.heeded = Some(Instant::now());
        self.revoked = revoked(&self.db, &self.key, self.clock.now()).await?;
        Ok(())
    }

    pub(super) async fn bench(&self) -> Result<Bench> {
        Ok(Bench {
            db: self.db.clone(),
            nodes: Arc::clone(&self.nodes),
            node: Arc::clone(&self.node),
            key: self.key.clone(),
            clock: Arc::clone(&self.clock),
            pace: self.pace.clone(),
            rules: self.node.desk.rules().await?,
            looked: self.looked,
        })
    }

    /// To be told with the next step, unless it was told last.
    pub(super) fn tell(&mut self, new: Became) {
        let known = self.known.get(&new.request).is_some_and(|(state, why)| *state == new.state && *why == new.reason);
        if !known {
            self.became.retain(|old| old.request != new.request);
            self.became.push(new);
        }
    }

    /// Stores a step, and only then goes on from it. What is over the budget is given back, and then nothing is stored.
    pub(super) async fn write(&mut self, lane: Lane, looked: u32, news: News) -> Result<Vec<Over>> {
        self.write_at(lane, looked, self.at, news).await
    }

    /// As `write`, with the hash of the last block that was read.
    pub(super) async fn write_at(
        &mut self,
        lane: Lane,
        looked: u32,
        at: Option<Hash256>,
        news: News,
    ) -> Result<Vec<Over>> {
        let News { tries, gone, mut became, costs } = news;
        // What a step says of a request wins over what was still to be told of it.
        let newer: HashSet<Id> = became.iter().map(|new| new.request.clone()).collect();
        became.extend(self.became.iter().filter(|old| !newer.contains(&old.request)).cloned());
        for end in became.iter_mut().filter(|one| one.is_end() && one.fee.is_none()) {
            end.fee = self.paid.get(&end.request).copied();
        }
        let is_news = !became.is_empty() || !tries.is_empty() || !gone.is_empty();
        if !is_news && (self.stored..self.stored.saturating_add(BLOCKS)).contains(&looked) {
            self.lane = lane;
            (self.looked, self.at) = (looked, at);
            return Ok(Vec::new());
        }
        let cx = Cx::system(self.key.tenant.clone(), Duration::from_secs(30));
        let now = self.clock.now();
        let entries = became.iter().filter(|one| one.is_end()).map(|one| {
            Entry::new(&cx, "relay.request_settled", "relay", "settle", now)
                .request("id", &*one.request)
                .response("state", one.state)
                .response("tx", one.hash.clone())
                .response("fee", one.fee.map(|fee| fee.to_string()))
        });
        let entries = entries.collect();
        let told: Vec<_> =
            became.iter().map(|one| (one.request.clone(), one.state, one.reason.clone(), one.is_end())).collect();
        let signed: Vec<_> = tries.iter().map(|one| (one.made.hash, one.raw.clone())).collect();
        let new = Step {
            lane: self.key.clone(),
            fence: self.fence,
            now,
            next: lane.next,
            looked: looked.into(),
            at: at.map(|at| *at.as_le()),
            tries: Vec::new(),
            spent: Vec::new(),
            parcels: Parcels { tries, gone: gone.clone() },
            became,
            costs,
            entries,
        };
        let over = step(&self.db, &cx, new).await?;
        if !over.is_empty() {
            return Ok(over);
        }
        for (request, state, reason, ended) in told {
            if ended {
                self.known.remove(&request);
                self.alone.remove(&request);
                self.paid.remove(&request);
                self.later.remove(&request);
                self.slow.remove(&request);
                self.revoked.remove(&request);
            } else {
                self.known.insert(request, (state, reason));
            }
        }
        self.became.clear();
        self.raws.extend(signed);
        gone.iter().for_each(|number| self.forget(*number));
        (self.lane, self.looked, self.at, self.stored) = (lane, looked, at, looked);
        Ok(over)
    }

    fn forget(&mut self, number: u64) {
        if let Some(parcel) = self.lane.parcels.get(&number) {
            for one in &parcel.tries.0 {
                self.raws.remove(&one.hash);
                self.unread.remove(&one.hash);
            }
        }
        self.sent.remove(&number);
        self.doomed.remove(&number);
        self.too_cheap.remove(&number);
        self.thought.remove(&number);
    }
}
