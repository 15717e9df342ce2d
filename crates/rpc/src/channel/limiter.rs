use std::time::Duration;

/// How many calls one address may have in flight: up by a quarter for each good answer while the room is
/// used, down by a fifth, at most once a round, when an answer says that the far side is congested.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: f64,
    least: f64,
    most: f64,
    /// Calls that began before the last cut say nothing about the smaller limit.
    cut: Option<Duration>,
}

impl Limiter {
    pub(super) fn new(start: u32, least: u32, most: u32) -> Self {
        let (least, most) = (f64::from(least.max(1)), f64::from(most.max(least).max(1)));
        Self { limit: f64::from(start).clamp(least, most), least, most, cut: None }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// A good answer while `in_flight` calls, this one included, were under way.
    pub(super) fn good(&mut self, in_flight: u32) {
        if f64::from(in_flight) * 2.0 >= self.limit {
            self.limit = (self.limit + 0.25).min(self.most);
        }
    }

    /// An answer too slow or missing, to a call that began at `started`.
    pub(super) fn congested(&mut self, started: Duration, now: Duration) {
        if self.cut.is_none_or(|cut| started >= cut) {
            self.limit = (self.limit * 0.8).max(self.least);
            self.cut = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn one_round_of_trouble_cuts_once() {
        let mut limiter = Limiter::new(100, 8, 1_000);
        (0..50).for_each(|n| limiter.congested(ms(n), ms(100 + n)));
        assert_eq!(limiter.limit(), 80);
        limiter.congested(ms(100), ms(200));
        assert_eq!(limiter.limit(), 64);
    }

    #[test]
    fn an_idle_address_does_not_grow_its_limit() {
        let mut limiter = Limiter::new(100, 8, 1_000);
        (0..10_000).for_each(|_| limiter.good(1));
        assert_eq!(limiter.limit(), 100);
        (0..200).for_each(|_| limiter.good(100));
        assert_eq!(limiter.limit(), 150);
    }

    #[test]
    fn trouble_that_stays_leaves_the_least() {
        let mut limiter = Limiter::new(100, 8, 1_000);
        (0..100).for_each(|n| limiter.congested(ms(n), ms(n)));
        assert_eq!(limiter.limit(), 8);
    }

    proptest! {
        #[test]
        fn the_limit_stays_within_its_bounds(steps in prop::collection::vec((any::<bool>(), 0u32..3_000), 0..3_000)) {
            let mut limiter = Limiter::new(50, 4, 60);
            for (at, (good, n)) in steps.into_iter().enumerate() {
                if good { limiter.good(n) } else { limiter.congested(ms(at as u64), ms(at as u64)) }
                prop_assert!((4..=60).contains(&limiter.limit()));
            }
        }
    }
}
