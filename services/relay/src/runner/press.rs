//! What takes long: sent again, offered more, or its nonce spent by what does nothing.

use std::time::Duration;

use nsl_core::{Result, Timestamp};

use super::{News, Runner, told};
use crate::{
    node::{IDLE_GAS, Node, Offer, Signed, Verdict},
    nonces::Id,
    store::{Cost, NewTry, orders},
};

/// How often at least a transaction is refused in words that are not known before it is given up.
const LEAST_UNCLEAR: u32 = 3;

impl<N: Node> Runner<N> {
    pub(super) async fn nudge(&mut self) -> Result<()> {
        let now = self.steady.now();
        let late = |at: Option<&(Timestamp, Timestamp)>, raised: bool, wait: Duration| {
            at.is_none_or(|at| now >= (if raised { at.1 } else { at.0 }).plus(wait))
        };
        // What a block has that is not final yet only waits.
        let open = |nonce: &&u64| !self.passing.contains(nonce);
        let again = self.lane.slots.keys().filter(open);
        let again = again.filter(|nonce| late(self.sent.get(nonce), false, self.pace.resend)).copied();
        let again: Vec<u64> = again.collect();
        if !again.is_empty() {
            self.send(&again).await?;
        }
        for (nonce, why) in std::mem::take(&mut self.doomed) {
            self.give_up(nonce, why).await?;
        }
        self.take_back().await?;
        self.close_gap().await?;
        // Only the first can hold the others up; a higher price is of no use to what no node takes for want of money.
        let first = self.lane.slots.keys().next().copied();
        let first = first.filter(|nonce| !self.passing.contains(nonce) && !self.refused.contains(nonce));
        if let Some(nonce) = first.filter(|nonce| late(self.sent.get(nonce), true, self.pace.raise)) {
            self.raise(nonce).await?;
        }
        if !self.became.is_empty() {
            self.write(self.lane.clone(), self.looked, News::default()).await?;
        }
        Ok(())
    }

    async fn take_back(&mut self) -> Result<()> {
        if self.revoked.is_empty() {
            return Ok(());
        }
        let open =
            self.lane.slots.iter().filter(|(nonce, slot)| slot.given_up.is_none() && !self.passing.contains(nonce));
        let of = |nonce: u64| self.revoked.get(&Self::request_at(&self.lane, nonce)?);
        let back: Vec<_> = open.filter_map(|(nonce, _)| Some((*nonce, of(*nonce)?.why().to_owned()))).collect();
        for (nonce, why) in back {
            self.give_up(nonce, why).await?;
        }
        Ok(())
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
        let Some(slot) = self.lane.slots.get(&nonce) else { return Ok(()) };
        // What gives a request up is offered once whatever the bound: else the request itself would be sent on.
        let gives_up = slot.given_up.is_some() && slot.tries.iter().all(|one| one.request.is_some());
        if price > self.most_price() && !gives_up {
            return Ok(());
        }
        let owner = Self::request_at(&self.lane, nonce);
        let wanted = owner.clone().filter(|_| slot.given_up.is_none());
        if let Some(id) = &wanted {
            self.ready_again(nonce, id).await?;
        }
        let ready = wanted.as_ref().and_then(|id| self.ready.get(id));
        if wanted.is_some() && ready.is_none() {
            // The tries that it has are sent on.
            self.raised(nonce);
            return Ok(());
        }
        let cost = ready.map_or(price.saturating_mul(IDLE_GAS.into()), |(ready, _)| ready.cost(price));
        if ready.is_some_and(|(_, most)| most.is_some_and(|most| cost > most)) {
            self.raised(nonce);
            return Ok(());
        }
        let (request, given_up) = match ready {
            Some(_) => (wanted.clone(), None),
            None => {
                let why = self.lane.slots.get(&nonce).and_then(|slot| slot.given_up.clone());
                (None, Some(why.unwrap_or_else(|| "it would be undone by now".into())))
            }
        };
        let tries = self.lane.slots.get(&nonce).map(|slot| slot.tries.as_slice()).unwrap_or_default();
        let (number, first) = (tries.len(), tries.first().map_or(price, |one| one.price));
        let offer = Offer { most: price, first };
        let Signed { hash, raw } = self.node.sign(ready.map(|(ready, _)| ready), nonce, offer).await?;
        let mut lane = self.lane.clone();
        match &given_up {
            None => lane.raise(nonce, hash, price),
            Some(why) => lane.give_up(nonce, why.clone(), hash, price),
        }
        let must = given_up.is_some();
        let costs = owner.clone().map(|request| Cost { request, amount: cost, must }).into_iter().collect();
        let offered = format!("offered again, at {price} wei for a unit of gas");
        let became = match (&given_up, &request) {
            (None, Some(id)) => Some(told(id.clone(), "signed", Some(offered)).hashed(&hash)),
            // What does nothing is no try of the request, whose hash stays what it was.
            (Some(why), _) => {
                let why = format!("{why}: what does nothing is offered in its place");
                owner.clone().map(|id| told(id, "signed", Some(why)))
            }
            (None, None) => None,
        };
        let became = became.into_iter().collect();
        let tries = vec![NewTry { place: nonce, number, hash, request, given_up, price, raw }];
        let over = self.write(lane, self.looked, News { tries, became, costs, ..News::default() }).await?;
        self.raised(nonce);
        if over.is_empty() { self.send(&[nonce]).await } else { Ok(()) }
    }

    fn raised(&mut self, nonce: u64) {
        let now = self.steady.now();
        self.sent.entry(nonce).or_insert((now, now)).1 = now;
    }

    // It passed when it was first given a nonce; what it does now, the chain will say. So nothing is tried out again.
    async fn ready_again(&mut self, nonce: u64, id: &Id) -> Result<()> {
        let Some(slot) = self.lane.slots.get(&nonce).filter(|_| !self.ready.contains_key(id)) else { return Ok(()) };
        let own = slot.tries.iter().rposition(|one| one.request.as_ref() == Some(id));
        let Some(raw) = own.and_then(|number| self.raws.get(&(nonce, number))) else { return Ok(()) };
        if let Some(order) = orders(&self.db, &self.key.tenant, std::slice::from_ref(id)).await?.pop() {
            let ready = self.node.tried_out(&order.intent, raw)?;
            self.ready.insert(id.clone(), (ready, order.max_fee));
        }
        Ok(())
    }

    /// Sends the latest try of each nonce; the earlier ones as well would only be refused as underpriced.
    pub(super) async fn send(&mut self, nonces: &[u64]) -> Result<()> {
        let latest: Vec<(u64, &[u8])> = nonces
            .iter()
            .filter_map(|nonce| {
                let (_, raw) = self.raws.range((*nonce, 0)..=(*nonce, usize::MAX)).next_back()?;
                Some((*nonce, raw.as_slice()))
            })
            .collect();
        let raw: Vec<&[u8]> = latest.iter().map(|(_, raw)| *raw).collect();
        let verdicts = self.node.send(&raw).await;
        let now = self.steady.now();
        let sent: Vec<u64> = latest.iter().map(|(nonce, _)| *nonce).collect();
        for (nonce, verdict) in sent.into_iter().zip(verdicts) {
            let at = self.sent.entry(nonce).or_insert((now, now));
            at.0 = now;
            if verdict == Verdict::Underpriced {
                // Outbid at the next round.
                at.1 = Timestamp(0);
            }
            if matches!(verdict, Verdict::NotNow(_)) {
                self.refused.insert(nonce);
            } else {
                self.refused.remove(&nonce);
            }
            if !matches!(verdict, Verdict::Unclear(_) | Verdict::Unknown) {
                self.unclear.remove(&nonce);
            }
            if verdict == Verdict::Spent {
                self.missed.insert(nonce);
            }
            let Some(request) = Self::request_at(&self.lane, nonce) else { continue };
            match verdict {
                Verdict::Taken => self.tell(told(request, "sent", None)),
                Verdict::NotNow(why) => self.tell(told(request, "signed", Some(why))),
                Verdict::Never(why) => drop(self.doomed.insert(nonce, why)),
                Verdict::Unclear(why) if self.is_hopeless(nonce, now) => drop(self.doomed.insert(nonce, why)),
                Verdict::Unclear(why) => self.tell(told(request, "signed", Some(why))),
                Verdict::Underpriced | Verdict::Spent | Verdict::Unknown => {}
            }
        }
        Ok(())
    }

    /// Words that are not known may be those of one endpoint in a bad moment, about what another one has long taken. They
    /// count where they were said again and again, also to a higher price, and where they hold others up.
    fn is_hopeless(&mut self, nonce: u64, now: Timestamp) -> bool {
        let is_first = self.lane.slots.keys().next() == Some(&nonce);
        let (since, times) = self.unclear.entry(nonce).or_insert((now, 0));
        *times += 1;
        is_first && *times >= LEAST_UNCLEAR && now >= since.plus(self.pace.raise * 2)
    }
}
