//! Whose turn it is: tried out, within its bounds, signed, stored and sent.

use std::time::Duration;

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, join},
    stream,
};
use neo::Hash160;
use nsl_api::relay::Scope;
use nsl_chain::is_too_slow;
use nsl_core::{Error, Result};
use tokio::time::Instant;

use super::{
    as_shown,
    ask::Ask,
    prepare::{Asked, Bench, Loaded, Preparing, TOO_LATE},
    runner::{News, Runner},
};
use crate::{
    node::Refusal,
    nonces::Id,
    runner::told,
    store::{Became, Cost, NewParcelTry, Revoked, waiting, wanted},
};

/// Requests that are looked at in one round.
pub(super) const TURN: usize = 512;
/// Requests whose first runs go to a node together: as many as the largest answers to them fit into one.
const AT_ONCE: usize = 8;
const LATER: Duration = Duration::from_secs(2);
/// How often a request may be too much for a node before it is refused.
const MOST_SLOW: u32 = 4;
/// What it means that no node came to the end of it, and what to do.
const TOO_MUCH: &str = "its test run never came to an end in the time that a node is given: it is endless, or too much \
                        for one transaction; do less in a call, or several calls of a part each";

/// Requests that go together where they share both: who pays, and how far the signature reaches.
type Group = (Option<(Option<Hash160>, Scope)>, Vec<Asked>);

impl Runner {
    pub(super) async fn give(&mut self) -> Result<()> {
        self.has_more = false;
        self.drop_revoked().await?;
        let room = self.pace.most.saturating_sub(self.lane.parcels.len());
        if room == 0 || self.lane.waiting.is_empty() {
            return Ok(());
        }
        // What came meanwhile may share with what is there.
        if self.wants_more() {
            self.accept(waiting(&self.db, &self.key).await?);
        }
        let (groups, mut failed) = self.groups(room).await?;
        let bench = self.bench().await?;
        let prepared = prepare(&bench, groups, self.together).await;
        let (mut loaded, mut late) = (Vec::new(), Vec::new());
        for (ids, one) in prepared {
            match one {
                Ok(mut one) => {
                    loaded.append(&mut one.loaded);
                    failed.append(&mut one.failed);
                    self.alone.extend(one.alone);
                    late.append(&mut one.late);
                }
                Err(error) => failed.extend(self.put_off(ids, &error)),
            }
        }
        self.hand_out(loaded, failed, late).await
    }

    /// An endpoint that does not answer decides nothing. What it does not answer to waits, and holds nobody up.
    /// What is too much for a node again and again, by itself, is refused.
    fn put_off(&mut self, mut ids: Vec<Id>, error: &Error) -> Vec<(Id, Refusal)> {
        let mut refused = Vec::new();
        match &ids[..] {
            [id] if is_too_slow(error) => {
                let times = self.slow.entry(id.clone()).or_default();
                *times += 1;
                if *times > MOST_SLOW {
                    refused.push((id.clone(), TOO_MUCH.to_owned().into()));
                    ids.clear();
                }
            }
            // One of them may be what takes so long.
            _ if is_too_slow(error) => self.alone.extend(ids.iter().cloned()),
            _ => {}
        }
        let until = Instant::now() + LATER;
        for id in ids {
            self.later.insert(id.clone(), until);
            self.tell(told(id, "accepted", Some(error.message.clone())));
        }
        refused
    }

    /// What was taken back or is too late before it was ever sent.
    async fn drop_revoked(&mut self) -> Result<()> {
        if self.revoked.is_empty() {
            return Ok(());
        }
        let mut lane = self.lane.clone();
        let mut became = Vec::new();
        let ids: Vec<Id> = lane.waiting.iter().filter(|id| self.revoked.contains_key(*id)).cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.paid_before(&ids).await?;
        lane.waiting.retain(|id| match self.revoked.get(id) {
            Some(revoked) => {
                let end = Revoked::end_of(revoked.why());
                became.push(told(id.clone(), end, Some(revoked.why().to_owned())));
                false
            }
            None => true,
        });
        self.write(lane, self.looked, News { became, ..News::default() }).await.map(drop)
    }

    /// Requests by the transactions in which they are to go, and those that can't be read.
    async fn groups(&mut self, room: usize) -> Result<(Vec<Vec<Asked>>, Vec<(Id, Refusal)>)> {
        let now = Instant::now();
        self.later.retain(|_, until| now < *until);
        let is_due = |id: &&Id| !self.later.contains_key(*id);
        let turn: Vec<Id> = self.lane.waiting.iter().filter(is_due).take(TURN).cloned().collect();
        self.has_more = turn.len() == TURN;
        let mut found = wanted(&self.db, &self.key.tenant, &turn).await?;
        let mut groups: Vec<Group> = Vec::new();
        let mut failed = Vec::new();
        for id in turn {
            let Some(wanted) = found.remove(&id) else {
                self.lane.waiting.retain(|other| *other != id);
                continue;
            };
            if wanted.paid > 0 {
                self.paid.insert(id.clone(), wanted.paid);
            }
            if wanted.is_cancelled {
                self.revoked.insert(id, Revoked::Cancelled);
                continue;
            }
            let ask = match Ask::read(&wanted.intent) {
                Ok(ask) => ask,
                Err(error) => {
                    failed.push((id, error.message.into()));
                    continue;
                }
            };
            let goes_alone = wanted.goes_alone || self.alone.contains(&id);
            let kind = (ask.may_share && !goes_alone).then_some((ask.sponsor, ask.scope));
            let has_room = groups.len() < room;
            let open = groups
                .iter_mut()
                .find(|(other, group)| kind.is_some() && *other == kind && group.len() < self.pace.share.max(1));
            match open {
                Some((_, group)) => group.push((wanted, ask)),
                None if has_room => groups.push((kind, vec![(wanted, ask)])),
                None => {}
            }
        }
        Ok((groups.into_iter().map(|(_, group)| group).collect(), failed))
    }

    async fn hand_out(&mut self, loaded: Vec<Loaded>, failed: Vec<(Id, Refusal)>, late: Vec<Id>) -> Result<()> {
        let mut lane = self.lane.clone();
        let mut became: Vec<Became> = failed.into_iter().map(|(id, refusal)| undone(id, refusal)).collect();
        became.extend(late.into_iter().map(|id| told(id, "expired", Some(Revoked::Expired.why().to_owned()))));
        lane.waiting.retain(|id| !became.iter().any(|one| one.request == *id));
        let (mut tries, mut costs, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for Loaded { requests, paid, made } in loaded {
            for id in &requests {
                became.push(told(id.clone(), "simulated", None));
                became.push(told(id.clone(), "signed", None).hashed(&as_shown(&made.one.hash)));
            }
            costs.extend(shares(&requests, &paid, made.fee, false));
            let parcel = lane.give(requests.clone(), made.one.clone());
            tries.push(NewParcelTry { parcel, number: 0, requests, made: made.one, raw: made.raw });
            numbers.push(parcel);
        }
        let over = self.write(lane, self.looked, News { tries, became, costs, ..News::default() }).await?;
        if over.is_empty() {
            return self.send(&numbers).await;
        }
        // What was signed here was stored and sent nowhere: the others get another turn.
        let mut lane = self.lane.clone();
        lane.waiting.retain(|id| !over.iter().any(|(other, _)| other == id));
        let became = over.into_iter().map(|(id, why)| told(id, "failed", Some(why))).collect();
        self.write(lane, self.looked, News { became, ..News::default() }).await.map(drop)
    }
}

/// Prepares all groups, so many requests for a node at once.
async fn prepare(bench: &Bench, groups: Vec<Vec<Asked>>, together: usize) -> Vec<Preparing> {
    let (single, shared): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.len() == 1);
    let mut sharing: Vec<BoxFuture<'_, Vec<Preparing>>> = Vec::with_capacity(shared.len());
    for group in shared {
        let ids = group.iter().map(|(wanted, _)| wanted.id.clone()).collect();
        sharing.push(async move { vec![(ids, bench.prepare(group).await)] }.boxed());
    }
    let (at_once, mut single) = (AT_ONCE.min(together.max(1)), single.into_iter().flatten().peekable());
    let mut each: Vec<BoxFuture<'_, Vec<Preparing>>> = Vec::new();
    while single.peek().is_some() {
        each.push(bench.prepare_each(single.by_ref().take(at_once).collect()).boxed());
    }
    let sharing = stream::iter(sharing).buffered(together.max(1)).concat();
    let each = stream::iter(each).buffered((together / at_once).max(1)).concat();
    let (sharing, each) = join(sharing, each).await;
    sharing.into_iter().chain(each).collect()
}

fn undone(id: Id, refusal: Refusal) -> Became {
    let state = if refusal.reason == TOO_LATE { "expired" } else { "failed" };
    let mut became = told(id, state, Some(refusal.reason));
    became.trouble = refusal.trouble;
    became
}

/// The most that each may cost.
pub(super) fn shares(requests: &[Id], paid: &[u128], fee: i64, must: bool) -> Vec<Cost> {
    let part = part(fee, requests.len());
    let cost = |(request, paid): (&Id, &u128)| Cost { request: request.clone(), amount: part + paid, must };
    requests.iter().zip(paid).map(cost).collect()
}

/// The largest share of a fee.
pub(super) fn part(fee: i64, count: usize) -> u128 {
    u128::try_from(fee).unwrap_or_default().div_ceil(count.max(1) as u128)
}
