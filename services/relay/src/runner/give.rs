//! Whose turn it is: tried out, within its bounds, signed, stored and sent.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use nsl_chain::is_too_slow;
use nsl_core::{Error, Result};
use tokio::time::Instant;

use super::{News, Runner, told};
use crate::{
    amounts::beyond_bound,
    node::{Node, Offer, Signed},
    nonces::{Id, Lane},
    store::{Became, Cost, NewTry, Order, Purse, budget, day, orders},
    x::is_unclear,
};

/// So many parts of what is tried out go to the node at once.
const SIDE_BY_SIDE: usize = 4;
/// So long a round begins to try out more.
const TRIALS: Duration = Duration::from_secs(1);
/// What no endpoint would try out is left alone for so long at first.
const LATER: Duration = Duration::from_secs(2);
/// How often a request may be too much for a node, or not understood, before it is refused.
const MOST_SLOW: u32 = 4;

impl<N: Node> Runner<N> {
    pub(super) async fn give(&mut self) -> Result<()> {
        self.drop_revoked().await?;
        let room = self.pace.most.saturating_sub(self.lane.slots.len());
        let now = self.steady.now();
        let is_late = |id: &Id| self.later.get(id).is_some_and(|(until, _)| now < *until);
        // What no endpoint would try out holds nobody up.
        self.lane.waiting.make_contiguous().sort_by_key(is_late);
        let due = self.lane.waiting.iter().filter(|id| !is_late(id));
        let turn: Vec<Id> = due.take(room).cloned().collect();
        if turn.is_empty() {
            return Ok(());
        }
        let price = self.node.price().await?;
        if price > self.most_price() {
            return self.wait_for_a_price(&turn).await;
        }
        let orders = orders(&self.db, &self.key.tenant, &turn).await?;
        let mut became = self.try_out(&turn, &orders).await?;
        let refused = self.bound(&turn, &orders, price).await?;
        became.extend(refused.into_iter().map(|(id, why)| told(id, "failed", Some(why))));
        let mut lane = self.lane.clone();
        lane.waiting.retain(|id| !became.iter().any(|one| one.is_end() && one.request == *id));
        let (mut tries, mut costs) = (Vec::new(), Vec::new());
        while let Some((id, nonce)) = lane.turn(self.pace.most).map(|(id, nonce)| (id.clone(), nonce)) {
            let Some((ready, _)) = self.ready.get(&id).filter(|_| turn.contains(&id)) else { break };
            let Signed { hash, raw } = self.node.sign(Some(ready), nonce, Offer { most: price, first: price }).await?;
            lane.give(hash, price);
            became.push(told(id.clone(), "signed", None).hashed(&hash));
            costs.push(Cost { request: id.clone(), amount: ready.cost(price), must: false });
            tries.push(NewTry { place: nonce, number: 0, hash, request: Some(id), given_up: None, price, raw });
        }
        let nonces: Vec<u64> = tries.iter().map(|one| one.place).collect();
        let over = self.write(lane, self.looked, News { tries, became, costs, ..News::default() }).await?;
        if over.is_empty() {
            return self.send(&nonces).await;
        }
        // Another lane of the tenant was faster. What was signed here was stored and sent nowhere, and the others have
        // their turn again: what is told of a request before it has a nonce is its end.
        let mut lane = self.lane.clone();
        lane.waiting.retain(|id| !over.iter().any(|(other, _)| other == id));
        let became = over.into_iter().map(|(id, why)| told(id, "failed", Some(why))).collect();
        self.write(lane, self.looked, News { became, ..News::default() }).await.map(drop)
    }

    /// Nothing is tried out while a unit of gas costs more than is offered.
    async fn wait_for_a_price(&mut self, turn: &[Id]) -> Result<()> {
        let most = self.most_price();
        let why = format!("a unit of gas costs more than {most} wei now, which is the most that is offered");
        let until = self.steady.now().plus(LATER);
        for id in turn {
            let times = self.later.get(id).map_or(0, |(_, times)| *times);
            self.later.insert(id.clone(), (until, times));
            self.tell(told(id.clone(), "accepted", Some(why.clone())));
        }
        self.write(self.lane.clone(), self.looked, News::default()).await.map(drop)
    }

    // Tries out what is not yet; says what passed and what would be undone.
    async fn try_out(&mut self, turn: &[Id], orders: &[Order]) -> Result<Vec<Became>> {
        let fresh = turn.iter().zip(orders).filter(|(id, _)| !self.ready.contains_key(*id));
        let fresh: Vec<(&Id, &Order)> = fresh.collect();
        let wanted: Vec<_> = fresh.iter().map(|(id, order)| ((*id).clone(), Arc::clone(&order.intent))).collect();
        let together = self.pace.together.max(1);
        let (began, mut tried) = (Instant::now(), Vec::with_capacity(wanted.len()));
        for some in wanted.chunks(together * SIDE_BY_SIDE) {
            let parts: Vec<_> = some.chunks(together).map(|part| self.node.try_all(part)).collect();
            tried.extend(stream::iter(parts).buffered(SIDE_BY_SIDE).concat().await);
            if began.elapsed() >= TRIALS {
                break;
            }
        }
        let mut became = Vec::new();
        for (outcome, (id, order)) in tried.into_iter().zip(fresh) {
            let max_fee = order.max_fee;
            match outcome {
                Ok(Ok(ready)) => {
                    self.ready.insert(id.clone(), (ready, max_fee));
                    became.push(told(id.clone(), "simulated", None));
                }
                Ok(Err(refusal)) => {
                    let mut failed = told(id.clone(), "failed", Some(refusal.reason));
                    failed.trouble = refusal.trouble;
                    became.push(failed);
                }
                Err(error) => became.extend(self.put_off(id, &error)),
            }
        }
        // What comes after it gets its nonce first.
        self.lane.waiting.make_contiguous().sort_by_key(|id| !self.ready.contains_key(id));
        Ok(became)
    }

    /// An endpoint that does not answer decides nothing: the request waits, longer each time. What is too much for a node
    /// again and again, or refused in words that are not known, is refused.
    fn put_off(&mut self, id: &Id, error: &Error) -> Option<Became> {
        let times = self.later.get(id).map_or(0, |(_, times)| *times);
        if (is_too_slow(error) || is_unclear(error)) && times >= MOST_SLOW {
            return Some(told(id.clone(), "failed", Some(error.message.clone())));
        }
        let wait = LATER * 2u32.pow(times.min(5));
        self.later.insert(id.clone(), (self.steady.now().plus(wait), times + 1));
        let why = Some(error.message.clone());
        let known = self.known.get(id).is_some_and(|(state, known)| *state == "accepted" && *known == why);
        (!known).then(|| told(id.clone(), "accepted", why))
    }

    // What costs more than it may, by its own bound or the tenant's budget, before anything is signed.
    async fn bound(&self, turn: &[Id], orders: &[Order], price: u128) -> Result<Vec<(Id, String)>> {
        let today = day(self.clock.now());
        let (limits, spent) = budget(&self.db, &self.key.tenant, self.key.chain, today).await?;
        let mut purse = Purse::of(self.key.chain, &limits, spent)?;
        let mut refused = Vec::new();
        for (id, order) in turn.iter().zip(orders) {
            let Some((ready, max_fee)) = self.ready.get(id) else { continue };
            let cost = ready.cost(price);
            let why = match max_fee {
                Some(most) if cost > *most => Some(beyond_bound(self.key.chain, cost, *most)),
                // What was reserved on another day is counted there.
                _ if order.reserved.1.is_some_and(|on| on != today) => None,
                _ => purse.take(order.reserved.0, cost),
            };
            refused.extend(why.map(|why| (id.clone(), why)));
        }
        Ok(refused)
    }

    pub(super) fn request_at(lane: &Lane, nonce: u64) -> Option<Id> {
        lane.slots.get(&nonce)?.tries.iter().rev().find_map(|one| one.request.clone())
    }
}
