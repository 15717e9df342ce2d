//! Parcels of Neo N3, where no nonce orders transactions: what carries which requests, and what the chain made of it.
//!
//! A parcel carries one request, or several that share a transaction. Its tries are transactions that are valid up to
//! a block of their own.
//!
//! Promises:
//! - A request is on the chain at most once. A further try names in its Conflicts attributes every earlier one of its
//!   parcel that may still be included, so that a block has one of them at most, and the chain none after it. A request
//!   leaves its parcel only when a block has decided it, or when no block can have any of its tries any more.
//! - Height is that of the last block which was read whole, never what an endpoint says of itself.
//! - Every step is a function of what is stored, so a process that is killed between two steps goes on from there.

use std::collections::{BTreeMap, HashSet, VecDeque};

use crate::nonces::{Hash, Id};

/// A signed transaction that was stored before it was first sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    pub hash: Hash,
    /// The last block that may have it.
    pub valid_until: u32,
    /// What it offers to the consensus nodes, in 10⁻⁸ GAS.
    pub network_fee: i64,
    /// It carries no request, and only keeps the others of its parcel out.
    pub is_void: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tries(pub Vec<Try>);

/// The node takes at most 16 attributes and signers together.
pub const MOST_CONFLICTS: usize = 8;

impl Tries {
    /// The tries that a block after this height may still have: a further one has to name them all.
    pub fn alive(&self, height: u32) -> impl Iterator<Item = &Try> {
        self.0.iter().filter(move |one| one.valid_until > height)
    }

    /// The last block that may have any of them.
    pub fn last(&self) -> u32 {
        self.0.iter().map(|one| one.valid_until).max().unwrap_or_default()
    }

    /// The last block that may have any of those that nodes take at this height: what is valid beyond `reach` they
    /// don't take yet.
    pub fn longest(&self, height: u32, reach: u32) -> Option<u32> {
        self.alive(height).map(|one| one.valid_until).filter(|last| *last <= reach).max()
    }

    /// Whether a further try is of use: nodes take none that is alive, or the longest-lived is about to end. One place
    /// is left for what makes the parcel void.
    pub fn wants_another(&self, height: u32, blocks_left: u32, reach: u32) -> bool {
        let longest = self.longest(height, reach);
        longest.is_none_or(|last| last - height <= blocks_left) && self.alive(height).count() < MOST_CONFLICTS - 1
    }

    /// What a further try has to offer more than: nodes ask for more than all together that it is to replace.
    pub fn offered(&self, height: u32) -> i64 {
        self.alive(height).fold(0, |sum, one| sum.saturating_add(one.network_fee))
    }

    /// Whether nothing of it can reach the chain any more.
    pub fn is_over(&self, height: u32) -> bool {
        self.alive(height).next().is_none()
    }

    /// Whether one was made that keeps the others out.
    pub fn is_void(&self) -> bool {
        self.0.iter().any(|one| one.is_void)
    }

    /// Whether nodes take one that keeps the others out.
    pub fn is_kept_out(&self, reach: u32) -> bool {
        self.0.iter().any(|one| one.is_void && one.valid_until <= reach)
    }
}

/// Requests that travel together, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    pub requests: Vec<Id>,
    pub tries: Tries,
}

/// How the script of a try ended in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// For each request, in order, why it alone was undone.
    Halted(Vec<Option<String>>),
    /// All of it was undone.
    Faulted(String),
    /// All of it was undone, since it took more GAS than when it was tried out.
    Starved(String),
}

/// What a block made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Done,
    Undone(String),
    /// Its transaction was undone as a whole, and not for a reason of its own: it waits, to go alone.
    Alone(String),
    /// What makes its parcel void is in the block: nothing of the request is, or ever will be.
    Void,
}

/// All that is stored of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lane {
    /// The number of the next parcel.
    pub next: u64,
    pub parcels: BTreeMap<u64, Parcel>,
    /// Requests that are in no parcel.
    pub waiting: VecDeque<Id>,
}

impl Lane {
    pub fn accept(&mut self, request: Id) {
        self.waiting.push_back(request);
    }

    /// Takes requests that left their parcel: they have waited longest.
    pub fn take_back(&mut self, requests: impl DoubleEndedIterator<Item = Id>) {
        requests.rev().for_each(|request| self.waiting.push_front(request));
    }

    /// Puts waiting requests into a parcel, with its first try.
    pub fn give(&mut self, requests: Vec<Id>, first: Try) -> u64 {
        let taken: HashSet<&Id> = requests.iter().collect();
        self.waiting.retain(|request| !taken.contains(request));
        let number = self.next;
        self.next += 1;
        self.parcels.insert(number, Parcel { requests, tries: Tries(vec![first]) });
        number
    }

    /// Adds a try to a parcel. It names all of them that are alive.
    pub fn further(&mut self, number: u64, another: Try) {
        if let Some(parcel) = self.parcels.get_mut(&number) {
            parcel.tries.0.push(another);
        }
    }

    /// A block has this try. Blocks are told in their order.
    pub fn included(&mut self, hash: &Hash, outcome: &Outcome) -> Option<(u64, Vec<(Id, Fate)>)> {
        let number = self.parcel_of(hash)?;
        let Parcel { requests, tries } = self.parcels.remove(&number)?;
        let is_void = tries.0.iter().any(|one| one.hash == *hash && one.is_void);
        let is_shared = requests.len() > 1;
        let fate = |(place, request): (usize, Id)| {
            let fate = match outcome {
                _ if is_void => Fate::Void,
                Outcome::Halted(undone) => match undone.get(place).cloned().flatten() {
                    Some(why) => Fate::Undone(why),
                    None => Fate::Done,
                },
                Outcome::Starved(why) => Fate::Alone(why.clone()),
                Outcome::Faulted(why) if is_shared => Fate::Alone(why.clone()),
                Outcome::Faulted(why) => Fate::Undone(why.clone()),
            };
            (request, fate)
        };
        let fates: Vec<(Id, Fate)> = requests.into_iter().enumerate().map(fate).collect();
        let alone = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Alone(_))).map(|(request, _)| request.clone());
        self.take_back(alone.collect::<Vec<_>>().into_iter());
        Some((number, fates))
    }

    /// Takes out the parcels of which no block after this height can have anything.
    pub fn over(&mut self, height: u32) -> Vec<(u64, Parcel)> {
        let over: Vec<u64> =
            self.parcels.iter().filter(|(_, parcel)| parcel.tries.is_over(height)).map(|(number, _)| *number).collect();
        over.into_iter().filter_map(|number| Some((number, self.parcels.remove(&number)?))).collect()
    }

    /// Whether this try carries no request.
    pub fn is_void(&self, hash: &Hash) -> bool {
        self.parcels.values().flat_map(|parcel| &parcel.tries.0).any(|one| one.hash == *hash && one.is_void)
    }

    pub fn parcel_of(&self, hash: &Hash) -> Option<u64> {
        let has = |parcel: &Parcel| parcel.tries.0.iter().any(|one| one.hash == *hash);
        self.parcels.iter().find(|(_, parcel)| has(parcel)).map(|(number, _)| *number)
    }
}

#[cfg(test)]
#[path = "validity_model.rs"]
mod model;
