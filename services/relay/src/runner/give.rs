//! Whose turn it is: tried out, within its bounds, signed, stored and sent.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use nsl_core::Result;

use super::{News, Runner, told};
use crate::{
    node::{Node, Signed},
    nonces::{Id, Lane},
    store::{Became, Cost, NewTry, Order, Purse, budget, day, orders},
};

/// So many parts of what is tried out go to the node at once.
const SIDE_BY_SIDE: usize = 4;

impl<N: Node> Runner<N> {
    pub(super) async fn give(&mut self) -> Result<()> {
        self.drop_revoked().await?;
        let room = self.pace.most.saturating_sub(self.lane.slots.len());
        let turn: Vec<Id> = self.lane.waiting.iter().take(room).cloned().collect();
        if turn.is_empty() {
            return Ok(());
        }
        let price = self.node.price().await?;
        let orders = orders(&self.db, &self.key.tenant, &turn).await?;
        let mut became = self.try_out(&turn, &orders).await?;
        let refused = self.bound(&turn, &orders, price).await?;
        became.extend(refused.into_iter().map(|(id, why)| told(id, "failed", Some(why))));
        let mut lane = self.lane.clone();
        lane.waiting.retain(|id| !became.iter().any(|one| one.is_end() && one.request == *id));
        let (mut tries, mut costs) = (Vec::new(), Vec::new());
        while let Some((id, nonce)) = lane.turn(self.pace.most).map(|(id, nonce)| (id.clone(), nonce)) {
            let Some((ready, _)) = self.ready.get(&id).filter(|_| turn.contains(&id)) else { break };
            let Signed { hash, raw } = self.node.sign(Some(ready), nonce, price).await?;
            lane.give(hash, price);
            became.push(told(id.clone(), "signed", None).hashed(&hash));
            costs.push(Cost { request: id.clone(), amount: ready.cost(price), must: false });
            tries.push(NewTry { place: nonce, number: 0, hash, request: Some(id), given_up: None, price, raw });
        }
        let nonces: Vec<u64> = tries.iter().map(|one| one.place).collect();
        let simulated: Vec<Became> = became.iter().filter(|one| one.state == "simulated").cloned().collect();
        let over = self.write(lane, self.looked, News { tries, became, costs, ..News::default() }).await?;
        if over.is_empty() {
            return self.send(&nonces).await;
        }
        // Another lane of the tenant was faster. What was signed here was stored and sent nowhere.
        let mut lane = self.lane.clone();
        lane.waiting.retain(|id| !over.iter().any(|(other, _)| other == id));
        let failed = over.into_iter().map(|(id, why)| told(id, "failed", Some(why)));
        let became = simulated.into_iter().chain(failed).collect();
        self.write(lane, self.looked, News { became, ..News::default() }).await.map(drop)
    }

    // Tries out what is not yet; says what passed and what would be undone.
    async fn try_out(&mut self, turn: &[Id], orders: &[Order]) -> Result<Vec<Became>> {
        let fresh = turn.iter().zip(orders).filter(|(id, _)| !self.ready.contains_key(*id));
        let fresh: Vec<(&Id, &Order)> = fresh.collect();
        let wanted: Vec<_> = fresh.iter().map(|(id, order)| ((*id).clone(), Arc::clone(&order.intent))).collect();
        let parts: Vec<_> = wanted.chunks(self.pace.together.max(1)).map(|part| self.node.try_all(part)).collect();
        let tried = stream::iter(parts).buffered(SIDE_BY_SIDE).concat().await;
        let mut became = Vec::new();
        for (outcome, (id, order)) in tried.into_iter().zip(fresh) {
            let max_fee = order.max_fee;
            // An endpoint that does not answer decides nothing: the request waits.
            match outcome? {
                Ok(ready) => {
                    self.ready.insert(id.clone(), (ready, max_fee));
                    became.push(told(id.clone(), "simulated", None));
                }
                Err(refusal) => {
                    let mut failed = told(id.clone(), "failed", Some(refusal.reason));
                    failed.trouble = refusal.trouble;
                    became.push(failed);
                }
            }
        }
        Ok(became)
    }

    // What costs more than it may, by its own bound or the tenant's budget, before anything is signed.
    async fn bound(&self, turn: &[Id], orders: &[Order], price: u128) -> Result<Vec<(Id, String)>> {
        let today = day(self.clock.now());
        let (limits, spent) = budget(&self.db, &self.key.tenant, self.key.chain, today).await?;
        let mut purse = Purse::of(&limits, spent)?;
        let mut refused = Vec::new();
        for (id, order) in turn.iter().zip(orders) {
            let Some((ready, max_fee)) = self.ready.get(id) else { continue };
            let cost = ready.cost(price);
            let why = match max_fee {
                Some(most) if cost > *most => Some(format!("it may cost {cost}, and max_fee is {most}")),
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
