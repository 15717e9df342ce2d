//! The nonces of one Neo X account: to whom each is given, and what the chain made of it.
//!
//! Promises:
//! - A request is on the chain at most once. It gets another nonce only after a block has shown that its own was
//!   spent by something else. That an endpoint does not know a transaction proves nothing.
//! - No nonce is left behind: each that was given out is tried until a block spends it, by its request or, when that
//!   can't be sent any more, by a transaction that does nothing. So is one that was passed over below it.
//! - Every step is a function of what is stored, so a process that is killed between two steps goes on from there.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub type Id = Arc<str>;
pub type Hash = [u8; 32];

/// A signed transaction that was stored before it was first sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// `None` for one that does nothing but spend the nonce.
    pub request: Option<Id>,
    pub hash: Hash,
    /// Wei for a unit of gas, at most.
    pub price: u128,
}

/// A nonce that no block has spent yet. Its tries exclude each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    pub tries: Vec<Try>,
    /// Why its request was given up, once it was.
    pub given_up: Option<String>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The chain has it; `hash` says which of its tries.
    Included { request: Id, hash: Hash },
    /// It was given up, and nothing of it can reach the chain any more.
    Void { request: Id, why: String },
    /// Something else took its nonce: it waits for another.
    Displaced { request: Id },
}

/// All that is stored of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// The lowest nonce that was neither given out nor seen spent.
    pub next: u64,
    pub slots: BTreeMap<u64, Slot>,
    /// Requests that have no nonce.
    pub waiting: VecDeque<Id>,
}

/// A pool takes another transaction in the place of one only for this much more, in percent.
pub const REPLACE_PERCENT: u128 = 10;

impl Lane {
    pub fn accept(&mut self, request: Id) {
        self.waiting.push_back(request);
    }

    /// The request whose turn it is and the nonce that it gets, unless so many are under way already.
    pub fn turn(&self, most: usize) -> Option<(&Id, u64)> {
        if self.slots.len() >= most { None } else { self.waiting.front().map(|request| (request, self.next)) }
    }

    /// Gives the next nonce to the request whose turn it is.
    pub fn give(&mut self, hash: Hash, price: u128) -> Option<u64> {
        let request = self.waiting.pop_front()?;
        let nonce = self.next;
        self.next = self.next.saturating_add(1);
        self.slots.entry(nonce).or_default().tries.push(Try { request: Some(request), hash, price });
        Some(nonce)
    }

    /// What a further try for this nonce has to offer.
    pub fn price_of_next(&self, nonce: u64) -> Option<u128> {
        let most = self.slots.get(&nonce)?.tries.iter().map(|one| one.price).max()?;
        Some(most.saturating_add(most.saturating_mul(REPLACE_PERCENT).div_ceil(100)))
    }

    /// Adds the same request again, at a higher price.
    pub fn raise(&mut self, nonce: u64, hash: Hash, price: u128) {
        if let Some(slot) = self.slots.get_mut(&nonce) {
            let request = slot.tries.iter().rev().find_map(|one| one.request.clone());
            let request = request.filter(|_| slot.given_up.is_none());
            slot.tries.push(Try { request, hash, price });
        }
    }

    /// Gives a request up: from now on the nonce is spent by what does nothing. It may still be the request that
    /// the chain takes.
    pub fn give_up(&mut self, nonce: u64, why: String, hash: Hash, price: u128) {
        if let Some(slot) = self.slots.get_mut(&nonce) {
            slot.given_up.get_or_insert(why);
            slot.tries.push(Try { request: None, hash, price });
        }
    }

    /// A block has a transaction of this account with this nonce. Blocks are told in their order.
    pub fn spent(&mut self, nonce: u64, hash: Hash) -> Option<Settled> {
        self.next = self.next.max(nonce.saturating_add(1));
        let slot = self.slots.remove(&nonce)?;
        let request = slot.tries.iter().find_map(|one| one.request.clone())?;
        let ours = slot.tries.iter().find(|one| one.hash == hash);
        if ours.is_some_and(|one| one.request.is_some()) {
            return Some(Settled::Included { request, hash });
        }
        if let Some(why) = slot.given_up {
            return Some(Settled::Void { request, why });
        }
        // First in line again: it has waited longest.
        self.waiting.push_front(request.clone());
        Some(Settled::Displaced { request })
    }

    /// What an account has sent according to the chain: while nothing is under way that is the next nonce, whoever used
    /// the key elsewhere, and whatever somebody made believe before.
    pub fn go_on_at(&mut self, count: u64) {
        if self.slots.is_empty() {
            self.next = count;
        }
    }

    /// Spends a nonce that nothing was given and that no block has spent, so that those above it can go on.
    pub fn fill(&mut self, nonce: u64, why: String, hash: Hash, price: u128) {
        let slot = self.slots.entry(nonce).or_default();
        slot.given_up.get_or_insert(why);
        slot.tries.push(Try { request: None, hash, price });
        self.next = self.next.max(nonce.saturating_add(1));
    }
}

#[cfg(test)]
#[path = "nonces_model.rs"]
mod model;
