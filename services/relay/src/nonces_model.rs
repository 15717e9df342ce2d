//! The lane against a model of a chain that loses, delays, is used by others, and outlives a process that dies
//! between any two steps.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use super::*;

/// A chain with a pool. It knows of a transaction its nonce, its price and whose it is.
#[derive(Default)]
struct Chain {
    count: u64,
    pool: BTreeMap<u64, (Hash, u128)>,
    blocks: Vec<Vec<(u64, Hash)>>,
}

impl Chain {
    fn send(&mut self, nonce: u64, hash: Hash, price: u128) {
        let replaces = self.pool.get(&nonce).is_none_or(|(_, known)| price >= known + known * REPLACE_PERCENT / 100);
        if nonce >= self.count && replaces {
            self.pool.insert(nonce, (hash, price));
        }
    }

    fn mine(&mut self) {
        let mut block = Vec::new();
        while let Some((hash, _)) = self.pool.remove(&self.count) {
            block.push((self.count, hash));
            self.count += 1;
        }
        self.blocks.push(block);
    }
}

/// A process: what it has stored, and how many blocks it has looked at.
#[derive(Clone, Default)]
struct Stored {
    lane: Lane,
    looked: usize,
    settled: Vec<Settled>,
}

#[derive(Default)]
struct World {
    chain: Chain,
    stored: Stored,
    made: u64,
    /// Whose each hash is.
    whose: HashMap<Hash, Option<Id>>,
    accepted: Vec<Id>,
}

#[derive(Clone, Debug)]
enum Step {
    Accept,
    /// Gives a nonce, stores, and then sends or dies before it does.
    Give {
        sent: bool,
    },
    /// Sends some stored try again.
    Resend {
        which: usize,
    },
    Raise {
        which: usize,
        sent: bool,
    },
    GiveUp {
        which: usize,
        sent: bool,
    },
    Mine,
    /// Looks at one more block.
    Look,
    /// Another client spends the next nonce, or one ahead.
    Foreign {
        ahead: u64,
    },
    DropPool,
    /// Somebody counts wrongly for an account of which nothing is under way: so many too many, or too few.
    Lied {
        by: i64,
    },
    /// Spends what was passed over, as far as blocks are looked at.
    Fill {
        sent: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Accept),
        6 => any::<bool>().prop_map(|sent| Step::Give { sent }),
        3 => any::<usize>().prop_map(|which| Step::Resend { which }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, sent)| Step::Raise { which, sent }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, sent)| Step::GiveUp { which, sent }),
        4 => Just(Step::Mine),
        4 => Just(Step::Look),
        2 => (0..4u64).prop_map(|ahead| Step::Foreign { ahead }),
        1 => Just(Step::DropPool),
        1 => (-4..5i64).prop_map(|by| Step::Lied { by }),
        1 => any::<bool>().prop_map(|sent| Step::Fill { sent }),
    ]
}

impl World {
    fn hash(&mut self, whose: Option<Id>) -> Hash {
        self.made += 1;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&self.made.to_le_bytes());
        self.whose.insert(hash, whose);
        hash
    }

    fn pick(&self, which: usize) -> Option<u64> {
        let slots = &self.stored.lane.slots;
        (!slots.is_empty()).then(|| *slots.keys().nth(which % slots.len()).unwrap())
    }

    fn again(&mut self, nonce: u64) {
        for one in self.stored.lane.slots[&nonce].tries.clone() {
            self.chain.send(nonce, one.hash, one.price);
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Accept => {
                let id: Id = format!("r{}", self.accepted.len()).into();
                self.accepted.push(id.clone());
                self.stored.lane.accept(id);
            }
            Step::Give { sent } => {
                let Some((request, nonce)) = self.stored.lane.turn(8).map(|(id, nonce)| (id.clone(), nonce)) else {
                    return;
                };
                let hash = self.hash(Some(request));
                assert_eq!(self.stored.lane.give(hash, 100), Some(nonce));
                if sent {
                    self.chain.send(nonce, hash, 100);
                }
            }
            Step::Resend { which } => {
                if let Some(nonce) = self.pick(which) {
                    self.again(nonce);
                }
            }
            Step::Raise { which, sent } => {
                let Some(nonce) = self.pick(which) else { return };
                let slot = &self.stored.lane.slots[&nonce];
                let whose = slot.tries[0].request.clone().filter(|_| slot.given_up.is_none());
                let (hash, price) = (self.hash(whose), self.stored.lane.price_of_next(nonce).unwrap());
                self.stored.lane.raise(nonce, hash, price);
                if sent {
                    self.chain.send(nonce, hash, price);
                }
            }
            Step::GiveUp { which, sent } => {
                let Some(nonce) = self.pick(which) else { return };
                let (hash, price) = (self.hash(None), self.stored.lane.price_of_next(nonce).unwrap());
                self.stored.lane.give_up(nonce, "no funds".into(), hash, price);
                if sent {
                    self.chain.send(nonce, hash, price);
                }
            }
            Step::Mine => self.chain.mine(),
            Step::Look => {
                if let Some(block) = self.chain.blocks.get(self.stored.looked) {
                    for (nonce, hash) in block {
                        self.stored.settled.extend(self.stored.lane.spent(*nonce, *hash));
                    }
                    self.stored.looked += 1;
                }
            }
            Step::Foreign { ahead } => {
                let hash = self.hash(None);
                let nonce = self.chain.count + ahead;
                self.chain.pool.entry(nonce).or_insert((hash, 1_000));
            }
            Step::DropPool => self.chain.pool.clear(),
            Step::Lied { by } => {
                let count = self.counted().saturating_add_signed(by);
                self.stored.lane.go_on_at(count);
            }
            Step::Fill { sent } => {
                let first = self.stored.lane.slots.keys().next().copied();
                for nonce in self.counted()..first.unwrap_or_default() {
                    let hash = self.hash(None);
                    self.stored.lane.fill(nonce, "passed over".into(), hash, 100);
                    if sent {
                        self.chain.send(nonce, hash, 100);
                    }
                }
            }
        }
    }

    /// How much the account has sent as of the last block that was looked at.
    fn counted(&self) -> u64 {
        self.chain.blocks[..self.stored.looked].iter().map(|block| block.len() as u64).sum()
    }

    /// How often each request is on the chain.
    fn included(&self) -> HashMap<Id, usize> {
        let mut times = HashMap::new();
        for (_, hash) in self.chain.blocks.iter().flatten() {
            if let Some(Some(id)) = self.whose.get(hash) {
                *times.entry(id.clone()).or_default() += 1;
            }
        }
        times
    }

    /// Faults are over: give, send, mine, look, until nothing is left to do.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 200, "stuck: {:?}", self.stored.lane);
            while self.stored.lane.turn(8).is_some() {
                self.run(Step::Give { sent: true });
            }
            for nonce in self.stored.lane.slots.keys().copied().collect::<Vec<_>>() {
                self.again(nonce);
                // What others left in the pool at a higher price is outbid.
                if round > 3 && self.chain.pool.get(&nonce).is_some_and(|(hash, _)| !self.whose.contains_key(hash)) {
                    self.run(Step::Raise { which: 0, sent: true });
                }
            }
            self.run(Step::Mine);
            while self.stored.looked < self.chain.blocks.len() {
                self.run(Step::Look);
            }
            // What a node calls spent, and no block that was looked at, is in one that was passed over.
            if self.stored.lane.slots.keys().any(|nonce| *nonce < self.chain.count) {
                self.stored.looked = 0;
            }
            self.run(Step::Fill { sent: true });
            if self.stored.lane.slots.is_empty() && self.stored.lane.waiting.is_empty() {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_request_is_on_the_chain_once_or_void_whatever_happens(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::default();
        for step in steps {
            world.run(step);
            prop_assert!(world.included().values().all(|times| *times == 1));
        }
        world.settle();
        let included = world.included();
        prop_assert!(included.values().all(|times| *times == 1));
        let mut told = HashSet::new();
        for settled in &world.stored.settled {
            match settled {
                Settled::Included { request, hash } => {
                    prop_assert!(told.insert(request.clone()), "told twice: {request}");
                    prop_assert!(included.contains_key(request) && world.whose[hash].as_ref() == Some(request));
                }
                Settled::Void { request, .. } => {
                    prop_assert!(told.insert(request.clone()), "told twice: {request}");
                    prop_assert!(!included.contains_key(request), "void, and on the chain: {request}");
                }
                Settled::Displaced { .. } => {}
            }
        }
        prop_assert_eq!(told.len(), world.accepted.len(), "each request learns its end");
    }
}
