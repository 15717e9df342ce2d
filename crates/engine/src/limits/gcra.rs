use std::time::Duration;

use nsl_core::Timestamp;

/// How much is allowed: on average one unit each `period`, and `burst` units at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    period_us: i64,
    burst: i64,
}

// Far from where sums of microseconds since 1970 leave what a double in Lua holds exactly.
const WINDOW_AT_MOST_US: i64 = 366 * 86_400 * 1_000_000;

impl Quota {
    /// `count` in each `window`, all of which may come at once.
    pub fn per(count: u32, window: Duration) -> Self {
        let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX).clamp(1, WINDOW_AT_MOST_US);
        let count = i64::from(count.max(1));
        Self { period_us: (window / count).max(1), burst: count }
    }

    /// The same average with another number at once.
    pub fn burst(self, burst: u32) -> Self {
        Self { period_us: self.period_us, burst: i64::from(burst.max(1)).min(WINDOW_AT_MOST_US / self.period_us) }
    }

    /// What a process may grant on its own when it cannot ask: `share` of the average, rounded against the caller,
    /// and of the burst, at least one.
    pub(super) fn share(self, share: f64) -> Self {
        let period_us = (self.period_us as f64 / share).ceil().min(WINDOW_AT_MOST_US as f64) as i64;
        Self { period_us, burst: ((self.burst as f64 * share) as i64).clamp(1, WINDOW_AT_MOST_US / period_us) }
    }

    /// The burst: what a caller is told to be its limit.
    pub fn limit(self) -> u32 {
        self.burst as u32
    }

    pub(super) fn period_us(self) -> i64 {
        self.period_us
    }
}

/// The answer to one request, with what the `RateLimit` headers want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// Units that could still come at once.
    pub remaining: u32,
    /// Until the whole burst is available again.
    pub reset_after: Duration,
    /// Until this request would be allowed; zero when it is. One that costs more than the burst never is: then
    /// this is the time until the whole burst is available.
    pub retry_after: Duration,
}

/// The generic cell rate algorithm (ITU-T I.371). `tat` is the time at which the whole burst will be available
/// again, which is all that is remembered of a caller; the second value is what it becomes.
///
/// A `tat` further ahead than the burst allows can only come from a clock that stepped back, or from a quota that
/// changed, and counts as an exhausted burst.
pub fn gcra(tat: Timestamp, now: Timestamp, quota: Quota, cost: u32) -> (Decision, Timestamp) {
    let (Quota { period_us, burst }, cost) = (quota, i64::from(cost));
    let room = period_us * burst;
    let used = (tat.0 - now.0).clamp(0, room);
    let wanted = used + period_us.saturating_mul(cost);
    let (allowed, after) = if wanted <= room { (true, wanted) } else { (false, used) };
    let wait = match (allowed, cost > burst) {
        (true, _) => 0,
        (false, true) => used,
        (false, false) => wanted - room,
    };
    let next = if allowed && cost > 0 { now.0 + wanted } else { tat.0.min(now.0 + room) };
    (decision(allowed, after, wait, quota), Timestamp(next))
}

/// From what is used and to be waited for, in microseconds.
pub(super) fn decision(allowed: bool, used: i64, wait: i64, quota: Quota) -> Decision {
    let room = quota.period_us * quota.burst;
    Decision {
        allowed,
        remaining: ((room - used).max(0) / quota.period_us) as u32,
        reset_after: Duration::from_micros(used.max(0) as u64),
        retry_after: Duration::from_micros(wait.max(0) as u64),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_700_000_000_000_000;

    #[test]
    fn a_burst_then_the_average() {
        let quota = Quota::per(3, Duration::from_secs(3));
        let mut tat = Timestamp(0);
        let mut ask = |at_ms: i64, cost| {
            let (decision, next) = gcra(tat, Timestamp(START + at_ms * 1_000), quota, cost);
            tat = next;
            (decision.allowed, decision.remaining, decision.reset_after.as_millis(), decision.retry_after.as_millis())
        };
        assert_eq!(ask(0, 1), (true, 2, 1_000, 0));
        assert_eq!(ask(0, 2), (true, 0, 3_000, 0));
        assert_eq!(ask(0, 1), (false, 0, 3_000, 1_000));
        assert_eq!(ask(999, 1), (false, 0, 2_001, 1));
        assert_eq!(ask(1_000, 1), (true, 0, 3_000, 0));
        assert_eq!(ask(2_500, 2), (false, 1, 1_500, 500));
        assert_eq!(ask(2_500, 0), (true, 1, 1_500, 0));
        assert_eq!(ask(9_000, 4), (false, 3, 0, 0));
        assert_eq!(ask(9_000, u32::MAX), (false, 3, 0, 0));
        assert_eq!(ask(9_000, 3), (true, 0, 3_000, 0));
    }

    #[test]
    fn a_clock_that_stepped_back_an_hour_costs_one_window() {
        let quota = Quota::per(60, Duration::from_secs(60));
        let (_, tat) = gcra(Timestamp(0), Timestamp(START), quota, 1);
        let (decision, _) = gcra(tat, Timestamp(START - 3_600_000_000), quota, 1);
        assert!(!decision.allowed && decision.retry_after == Duration::from_secs(1), "{decision:?}");
    }

    #[test]
    fn a_share_is_never_more_than_its_part() {
        let quota = Quota::per(100, Duration::from_secs(1));
        let half = quota.share(0.5);
        assert_eq!((half.period_us, half.burst), (20_000, 50));
        assert_eq!(Quota::per(1, Duration::from_secs(1)).share(0.1).burst, 1);
        assert_eq!(quota.share(f64::MIN_POSITIVE).burst, 1);
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_average(
            count in 1u32..200,
            window_ms in 1u64..5_000,
            asks in prop::collection::vec((0i64..50_000, 0u32..5), 1..400),
        ) {
            let quota = Quota::per(count, Duration::from_millis(window_ms));
            let (mut tat, mut now) = (Timestamp(0), START);
            let mut granted: Vec<(i64, i64)> = Vec::new();
            for (pause, cost) in asks {
                now += pause;
                let (decision, next) = gcra(tat, Timestamp(now), quota, cost);
                prop_assert!(next.0 >= tat.0.min(now));
                tat = next;
                if decision.allowed {
                    granted.push((now, i64::from(cost)));
                } else {
                    // Whoever waits as told is let in, and not before.
                    let then = Timestamp(now + decision.retry_after.as_micros() as i64);
                    if i64::from(cost) <= quota.burst {
                        prop_assert!(gcra(tat, then, quota, cost).0.allowed);
                        prop_assert!(!gcra(tat, Timestamp(then.0 - 1), quota, cost).0.allowed);
                    }
                }
                // Over every span that ends here.
                let mut sum = 0;
                for (at, cost) in granted.iter().rev() {
                    sum += cost;
                    prop_assert!(sum * quota.period_us <= quota.burst * quota.period_us + (now - at));
                }
            }
        }
    }
}
