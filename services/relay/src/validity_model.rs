//! Parcels against a chain that keeps the rules of validity and conflicts, whatever order transactions come in, while
//! the pool forgets, blocks are read late, some tries are signed for a height that somebody lied about, and the process
//! dies between storing and sending.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// How far ahead the last block of a transaction may lie.
const REACH: u32 = 6;

#[derive(Clone, Debug)]
struct Sent {
    valid_until: u32,
    conflicts: Vec<Hash>,
    /// None for a void one.
    requests: Vec<Id>,
}

#[derive(Default)]
struct Chain {
    height: u32,
    pool: HashMap<Hash, Sent>,
    /// With the block that has it, and whether it faulted.
    included: HashMap<Hash, (u32, bool, Sent)>,
}

impl Chain {
    fn fits(&self, hash: &Hash, sent: &Sent) -> bool {
        sent.valid_until > self.height
            && sent.valid_until <= self.height + REACH
            && !self.included.contains_key(hash)
            && !sent.conflicts.iter().any(|other| self.included.contains_key(other))
            && !self.included.values().any(|(_, _, other)| other.conflicts.contains(hash))
    }

    fn send(&mut self, hash: Hash, sent: &Sent) {
        if self.fits(&hash, sent) {
            self.pool.insert(hash, sent.clone());
        }
    }

    /// Takes what chance picks into a block.
    fn mine(&mut self, pick: u64, faults: u64) {
        let mut hashes: Vec<Hash> = self.pool.keys().copied().collect();
        hashes.sort_unstable();
        let height = self.height + 1;
        for (at, hash) in hashes.iter().enumerate().filter(|(at, _)| pick >> (at % 64) & 1 == 1) {
            let sent = self.pool[hash].clone();
            if self.fits(hash, &sent) {
                self.included.insert(*hash, (height, faults >> (at % 64) & 1 == 1, sent));
            }
        }
        self.height = height;
        self.pool.retain(|_, sent| sent.valid_until > height);
    }

    /// How often each request was done.
    fn done(&self) -> HashMap<Id, usize> {
        let mut done = HashMap::new();
        for (_, faulted, sent) in self.included.values() {
            if !faulted {
                sent.requests.iter().for_each(|request| *done.entry(request.clone()).or_default() += 1);
            }
        }
        done
    }
}

#[derive(Clone, Debug)]
enum Step {
    Accept,
    /// Puts so many waiting requests into a parcel, and sends it or dies before.
    Give {
        sent: bool,
        blocks: u32,
        together: usize,
    },
    /// A further try, or what makes the parcel void.
    Another {
        sent: bool,
        blocks: u32,
        which: usize,
        void: bool,
    },
    Resend,
    Mine {
        pick: u64,
        faults: u64,
    },
    /// Reads one more block.
    Look,
    DropPool,
}

/// Mostly within reach, however late the last block was read.
fn blocks() -> impl Strategy<Value = u32> {
    prop_oneof![9 => 1..4u32, 1 => Just(2 * REACH)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Accept),
        3 => (any::<bool>(), blocks(), 1..4usize).prop_map(|(sent, blocks, together)| Step::Give { sent, blocks, together }),
        3 => (any::<bool>(), blocks(), any::<usize>(), prop::bool::weighted(0.2))
            .prop_map(|(sent, blocks, which, void)| Step::Another { sent, blocks, which, void }),
        3 => Just(Step::Resend),
        4 => (any::<u64>(), any::<u64>()).prop_map(|(pick, faults)| Step::Mine { pick, faults: faults & pick >> 1 }),
        3 => Just(Step::Look),
        1 => Just(Step::DropPool),
    ]
}

#[derive(Default)]
struct World {
    chain: Chain,
    lane: Lane,
    looked: u32,
    made: HashMap<Hash, Sent>,
    accepted: usize,
    /// What the lane said of each request that has come to its end, and how often.
    ended: HashMap<Id, Vec<Fate>>,
}

impl World {
    fn make(&mut self, requests: Vec<Id>, conflicts: Vec<Hash>, blocks: u32, is_void: bool) -> Try {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(self.made.len() as u64 + 1).to_be_bytes());
        let valid_until = self.looked + blocks;
        let requests = if is_void { Vec::new() } else { requests };
        self.made.insert(hash, Sent { valid_until, conflicts, requests });
        Try { hash, valid_until, network_fee: 1, is_void }
    }

    fn give(&mut self, blocks: u32, together: usize) -> Option<Hash> {
        let requests: Vec<Id> = self.lane.waiting.iter().take(together).cloned().collect();
        if requests.is_empty() {
            return None;
        }
        let first = self.make(requests.clone(), Vec::new(), blocks, false);
        let hash = first.hash;
        self.lane.give(requests, first);
        Some(hash)
    }

    fn another(&mut self, blocks: u32, which: usize, void: bool) -> Option<Hash> {
        let numbers: Vec<u64> = self.lane.parcels.keys().copied().collect();
        let number = *numbers.get(which % numbers.len().max(1))?;
        let Parcel { requests, tries } = self.lane.parcels[&number].clone();
        let reach = self.looked + REACH;
        if tries.is_kept_out(reach) || (!void && (tries.is_void() || !tries.wants_another(self.looked, 2, reach))) {
            return None;
        }
        let conflicts: Vec<Hash> = tries.alive(self.looked).map(|one| one.hash).collect();
        assert!(conflicts.len() <= MOST_CONFLICTS);
        let another = self.make(requests, conflicts, blocks, void);
        let hash = another.hash;
        self.lane.further(number, another);
        Some(hash)
    }

    fn look(&mut self) {
        if self.looked == self.chain.height {
            return;
        }
        self.looked += 1;
        let mut block: Vec<(Hash, bool)> = Vec::new();
        for (hash, (at, faulted, _)) in &self.chain.included {
            if *at == self.looked {
                block.push((*hash, *faulted));
            }
        }
        for (hash, faulted) in block {
            let parts = self.made[&hash].requests.len();
            let outcome = match faulted {
                true if self.looked.is_multiple_of(2) => Outcome::Starved("too little".into()),
                true => Outcome::Faulted("no".into()),
                false => Outcome::Halted(vec![None; parts]),
            };
            let (_, fates) = self.lane.included(&hash, &outcome).expect("a parcel stays while a try may be included");
            for (request, fate) in fates {
                match fate {
                    Fate::Alone(_) => {}
                    Fate::Void => self.lane.take_back(std::iter::once(request)),
                    fate => self.ended.entry(request).or_default().push(fate),
                }
            }
        }
        for (_, parcel) in self.lane.over(self.looked) {
            self.lane.take_back(parcel.requests.into_iter());
        }
    }

    fn check(&self) {
        let done = self.chain.done();
        assert!(done.values().all(|times| *times == 1), "{done:?}");
        for (request, fates) in &self.ended {
            assert_eq!(fates.len(), 1, "{request}: {fates:?}");
            assert_eq!(fates[0] == Fate::Done, done.contains_key(request), "{request}: {fates:?}");
        }
        let held = self.lane.waiting.iter().chain(self.lane.parcels.values().flat_map(|parcel| &parcel.requests));
        assert_eq!(held.collect::<HashSet<_>>().len() + self.ended.len(), self.accepted, "none is lost");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_done_once_at_most_and_never_lost(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::default();
        for step in steps {
            let made = match step {
                Step::Accept => {
                    world.lane.accept(format!("{}", world.accepted).into());
                    world.accepted += 1;
                    None
                }
                Step::Give { sent, blocks, together } => world.give(blocks, together).filter(|_| sent),
                Step::Another { sent, blocks, which, void } => world.another(blocks, which, void).filter(|_| sent),
                // Also those that are over: an endpoint may hold on to one and send it late.
                Step::Resend => {
                    world.made.iter().for_each(|(hash, sent)| world.chain.send(*hash, sent));
                    None
                }
                Step::Mine { pick, faults } => {
                    world.chain.mine(pick, faults);
                    None
                }
                Step::Look => {
                    world.look();
                    None
                }
                Step::DropPool => {
                    world.chain.pool.clear();
                    None
                }
            };
            if let Some(hash) = made {
                world.chain.send(hash, &world.made[&hash]);
            }
            world.check();
        }
        // What is left anywhere comes late and changes nothing.
        for _ in 0..8 {
            world.made.iter().for_each(|(hash, sent)| world.chain.send(*hash, sent));
            world.chain.mine(u64::MAX, 0);
            world.look();
            world.check();
        }
    }
}
