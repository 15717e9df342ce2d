//! The tries of one request on Neo N3, where no nonce orders transactions: each is valid up to a block of its own.
//!
//! Promises:
//! - A request is on the chain at most once. A further try names in its Conflicts attributes every earlier one that
//!   may still be included, so that a block has one of them at most, and the chain none after it.
//! - Height is that of the last block which was read whole, never what an endpoint says of itself.

use crate::nonces::Hash;

/// A signed transaction that was stored before it was first sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    pub hash: Hash,
    /// The last block that may have it.
    pub valid_until: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tries(pub Vec<Try>);

/// The node takes at most this many attributes; signers count as well.
pub const MOST_CONFLICTS: usize = 8;

impl Tries {
    /// The tries that a block after this height may still have: a further one has to name them all.
    pub fn alive(&self, height: u32) -> impl Iterator<Item = &Try> {
        self.0.iter().filter(move |one| one.valid_until > height)
    }

    /// Whether a further try is of use: none is alive, or the longest-lived is about to end.
    pub fn wants_another(&self, height: u32, blocks_left: u32) -> bool {
        let longest = self.alive(height).map(|one| one.valid_until).max();
        longest.is_none_or(|last| last - height <= blocks_left) && self.alive(height).count() < MOST_CONFLICTS
    }

    /// Whether nothing of the request can reach the chain any more.
    pub fn is_over(&self, height: u32) -> bool {
        self.alive(height).next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    struct Sent {
        valid_until: u32,
        conflicts: Vec<Hash>,
    }

    /// A chain that keeps the rules of validity and conflicts, whatever order transactions come in.
    #[derive(Default)]
    struct Chain {
        height: u32,
        pool: HashMap<Hash, Sent>,
        /// With the block that has it.
        included: HashMap<Hash, (u32, Sent)>,
    }

    impl Chain {
        fn fits(&self, hash: &Hash, sent: &Sent) -> bool {
            sent.valid_until > self.height
                && !self.included.contains_key(hash)
                && !sent.conflicts.iter().any(|other| self.included.contains_key(other))
                && !self.included.values().any(|(_, other)| other.conflicts.contains(hash))
        }

        fn send(&mut self, hash: Hash, sent: Sent) {
            if self.fits(&hash, &sent) {
                self.pool.insert(hash, sent);
            }
        }

        /// Takes what chance picks into a block.
        fn mine(&mut self, pick: u64) {
            let mut hashes: Vec<Hash> = self.pool.keys().copied().collect();
            hashes.sort_unstable();
            let height = self.height + 1;
            for hash in hashes.iter().enumerate().filter(|(at, _)| pick >> (at % 64) & 1 == 1).map(|(_, hash)| hash) {
                let sent = self.pool[hash].clone();
                if self.fits(hash, &sent) {
                    self.included.insert(*hash, (height, sent));
                }
            }
            self.height = height;
            self.pool.retain(|_, sent| sent.valid_until > height);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Makes and stores a further try, and sends it or dies before.
        Another {
            sent: bool,
            blocks: u32,
        },
        Resend,
        Mine {
            pick: u64,
        },
        /// Reads one more block.
        Look,
        DropPool,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (any::<bool>(), 1..4u32).prop_map(|(sent, blocks)| Step::Another { sent, blocks }),
            3 => Just(Step::Resend),
            4 => any::<u64>().prop_map(|pick| Step::Mine { pick }),
            3 => Just(Step::Look),
            1 => Just(Step::DropPool),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn one_try_at_most_is_included(steps in prop::collection::vec(step(), 1..80)) {
            let (mut chain, mut tries, mut looked) = (Chain::default(), Tries::default(), 0);
            let mut made: HashMap<Hash, Sent> = HashMap::new();
            for step in steps {
                match step {
                    Step::Another { sent, blocks } if tries.wants_another(looked, 2) => {
                        let mut hash = [0; 32];
                        hash[0] = tries.0.len() as u8 + 1;
                        let conflicts = tries.alive(looked).map(|one| one.hash).collect();
                        let valid_until = looked + blocks;
                        tries.0.push(Try { hash, valid_until });
                        made.insert(hash, Sent { valid_until, conflicts });
                        if sent {
                            chain.send(hash, made[&hash].clone());
                        }
                    }
                    Step::Another { .. } => {}
                    // Also those that are over: an endpoint may hold on to one and send it late.
                    Step::Resend => made.iter().for_each(|(hash, sent)| chain.send(*hash, sent.clone())),
                    Step::Mine { pick } => chain.mine(pick),
                    Step::Look => {
                        looked = chain.height.min(looked + 1);
                        // It is there: no further try is made.
                        if chain.included.values().any(|(at, _)| *at == looked) {
                            break;
                        }
                    }
                    Step::DropPool => chain.pool.clear(),
                }
                prop_assert!(chain.included.len() <= 1, "{:?}", chain.included);
            }
            // What is left anywhere comes late and changes nothing.
            for (hash, sent) in &made {
                chain.send(*hash, sent.clone());
            }
            chain.mine(u64::MAX);
            prop_assert!(chain.included.len() <= 1, "{:?}", chain.included);
        }
    }
}
