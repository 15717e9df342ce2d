use std::{collections::HashMap, time::Duration};

use super::Nonce;

/// How far the requests of one sender may overtake each other.
const REACH: u64 = 65_536;
const MOST_SENDERS: usize = 1_024;

/// Which requests were already taken: for each sender the highest count and a window of bits below it,
/// 8 KiB a sender. Only claims that were proven may come here, so strangers cannot fill it.
#[derive(Default)]
pub(super) struct Seen {
    senders: HashMap<u64, Window>,
}

struct Window {
    highest: u64,
    bits: Box<[u64]>,
    used: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Fresh,
    /// Seen before, or so far behind its sender's latest that nobody can say.
    Replayed,
    /// More senders at once than this process keeps track of.
    Crowded,
}

impl Seen {
    /// Takes a nonce once. `now` is monotonic; senders silent for `keep` are forgotten when room is needed.
    pub(super) fn take(&mut self, nonce: Nonce, now: Duration, keep: Duration) -> Entry {
        if !self.senders.contains_key(&nonce.sender) && self.senders.len() >= MOST_SENDERS {
            self.senders.retain(|_, window| now.saturating_sub(window.used) <= keep);
            if self.senders.len() >= MOST_SENDERS {
                return Entry::Crowded;
            }
        }
        let window = self.senders.entry(nonce.sender).or_insert_with(|| Window {
            highest: nonce.count,
            bits: vec![0; (REACH / 64) as usize].into(),
            used: now,
        });
        window.used = now;
        if window.take(nonce.count) { Entry::Fresh } else { Entry::Replayed }
    }
}

impl Window {
    fn take(&mut self, count: u64) -> bool {
        if count > self.highest {
            self.slide(count);
        } else if self.highest - count >= REACH {
            return false;
        }
        let (word, bit) = place(count);
        let fresh = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        fresh
    }

    fn slide(&mut self, to: u64) {
        if to - self.highest >= REACH {
            self.bits.fill(0);
        } else {
            for count in self.highest + 1..=to {
                let (word, bit) = place(count);
                self.bits[word] &= !bit;
            }
        }
        self.highest = to;
    }
}

fn place(count: u64) -> (usize, u64) {
    let at = count % REACH;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const KEEP: Duration = Duration::from_secs(120);

    fn take(seen: &mut Seen, sender: u64, count: u64) -> Entry {
        seen.take(Nonce { sender, count }, Duration::ZERO, KEEP)
    }

    #[test]
    fn each_is_taken_once_in_any_order() {
        let mut seen = Seen::default();
        for count in [5, 1, 9, 3] {
            assert_eq!(take(&mut seen, 1, count), Entry::Fresh);
            assert_eq!(take(&mut seen, 1, count), Entry::Replayed);
            assert_eq!(take(&mut seen, 2, count), Entry::Fresh);
        }
        assert_eq!(take(&mut seen, 1, 5 + REACH), Entry::Fresh);
        assert_eq!(take(&mut seen, 1, 5), Entry::Replayed, "left behind");
        assert_eq!(take(&mut seen, 1, 6), Entry::Fresh, "still within reach");
        assert_eq!(take(&mut seen, 1, u64::MAX), Entry::Fresh);
        assert_eq!(take(&mut seen, 1, u64::MAX), Entry::Replayed);
    }

    #[test]
    fn senders_are_bounded_and_silent_ones_make_room() {
        let mut seen = Seen::default();
        for sender in 0..MOST_SENDERS as u64 {
            assert_eq!(take(&mut seen, sender, 1), Entry::Fresh);
        }
        assert_eq!(take(&mut seen, u64::MAX, 1), Entry::Crowded);
        let later = KEEP + Duration::from_secs(1);
        assert_eq!(seen.take(Nonce { sender: 3, count: 1 }, later, KEEP), Entry::Replayed);
        assert_eq!(seen.take(Nonce { sender: u64::MAX, count: 1 }, later, KEEP), Entry::Fresh);
        assert_eq!(seen.senders.len(), 2, "only the two that spoke lately are kept");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_nonce_passes_twice(steps in prop::collection::vec(
            prop_oneof![0u64..40, 0u64..3 * REACH, Just(REACH - 1), Just(REACH), Just(REACH + 1)], 1..400,
        )) {
            let (mut seen, mut taken, mut highest) = (Seen::default(), HashSet::new(), 0);
            for count in steps {
                let entry = take(&mut seen, 1, count);
                if entry == Entry::Fresh {
                    prop_assert!(taken.insert(count));
                } else {
                    prop_assert!(taken.contains(&count) || highest - count >= REACH);
                }
                highest = highest.max(count);
            }
        }
    }
}
