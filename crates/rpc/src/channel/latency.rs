use std::time::Duration;

/// Four buckets to each doubling, from 16 µs to about an hour.
const BUCKETS: usize = 112;
const FORGET_AT: u32 = 1_024;
const ENOUGH: u32 = 20;

/// The recent spread of how long one method takes. Old samples fade: at 1,024 all counts are halved.
#[derive(Debug)]
pub(super) struct Latency {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self { counts: [0; BUCKETS], total: 0 }
    }

    pub(super) fn record(&mut self, took: Duration) {
        self.counts[bucket(took)] += 1;
        self.total += 1;
        if self.total >= FORGET_AT {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// The upper edge of the bucket that 95 of 100 calls stay under; nothing until there are enough calls
    /// to say so.
    pub(super) fn p95(&self) -> Option<Duration> {
        if self.total < ENOUGH {
            return None;
        }
        let mut above = self.total.div_ceil(20);
        for (index, count) in self.counts.iter().enumerate().rev() {
            if *count >= above {
                return Some(upper_edge(index));
            }
            above -= count;
        }
        None
    }
}

fn bucket(took: Duration) -> usize {
    let units = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / 4;
    if units < 4 {
        return 0;
    }
    let power = units.ilog2();
    let quarter = (units >> (power - 2)) & 3;
    (((power - 2) * 4) as usize + quarter as usize).min(BUCKETS - 1)
}

fn upper_edge(index: usize) -> Duration {
    let (power, quarter) = (index / 4, index as u64 % 4);
    Duration::from_micros(((5 + quarter) << power) * 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn says_nothing_before_it_has_seen_enough() {
        let mut latency = Latency::new();
        (0..ENOUGH - 1).for_each(|_| latency.record(Duration::from_millis(3)));
        assert_eq!(latency.p95(), None);
        latency.record(Duration::from_millis(3));
        assert!(latency.p95().is_some());
    }

    #[test]
    fn one_slow_call_in_fifty_does_not_move_it_and_one_in_ten_does() {
        let fill = |slow_every: u32| {
            let mut latency = Latency::new();
            for n in 0..500u32 {
                latency.record(Duration::from_millis(if n.is_multiple_of(slow_every) { 900 } else { 2 }));
            }
            latency.p95().unwrap()
        };
        assert!(fill(50) < Duration::from_millis(3), "{:?}", fill(50));
        assert!(fill(10) >= Duration::from_millis(900));
    }

    #[test]
    fn a_change_is_learnt_within_a_thousand_calls() {
        let mut latency = Latency::new();
        (0..5_000).for_each(|_| latency.record(Duration::from_millis(1)));
        (0..1_000).for_each(|_| latency.record(Duration::from_millis(100)));
        assert!(latency.p95().unwrap() >= Duration::from_millis(100));
        (0..20_000).for_each(|_| latency.record(Duration::from_millis(1)));
        assert!(latency.p95().unwrap() < Duration::from_millis(2));
    }

    proptest! {
        #[test]
        fn the_edge_lies_above_the_sample_and_within_a_quarter(micros in 16u64..3_000_000_000) {
            let took = Duration::from_micros(micros);
            let edge = upper_edge(bucket(took));
            prop_assert!(edge > took, "{took:?} {edge:?}");
            prop_assert!(edge <= took.mul_f64(1.25) + Duration::from_micros(5), "{took:?} {edge:?}");
        }
    }
}
