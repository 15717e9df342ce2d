use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A rate with a burst (GCRA): one instant says when the next request fits.
pub(crate) struct Limit {
    // Time that one request stands for; none without a limit.
    step: Option<Duration>,
    // How far ahead of now the schedule may run.
    slack: Duration,
    next: Mutex<Option<Instant>>,
}

impl Limit {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let step = (per_second > 0).then(|| Duration::from_secs(1) / per_second);
        let slack = step.unwrap_or_default() * burst.saturating_sub(1);
        Self { step, slack, next: Mutex::new(None) }
    }

    /// How long the next request has to wait.
    pub(crate) fn wait(&self) -> Duration {
        let next = *self.next.lock();
        next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()).saturating_sub(self.slack))
    }

    /// Books a place and says how long to wait for it; none, and nothing booked, when that is more than `patience`.
    pub(crate) fn take(&self, patience: Duration) -> Option<Duration> {
        let step = self.step.unwrap_or_default();
        let now = Instant::now();
        let mut next = self.next.lock();
        let from = next.map_or(now, |next| next.max(now));
        let wait = from.saturating_duration_since(now).saturating_sub(self.slack);
        if wait > patience {
            return None;
        }
        if self.step.is_some() || next.is_some_and(|next| next > now) {
            *next = Some(from + step);
        }
        Some(wait)
    }

    /// Nothing goes before `wait` is over: the endpoint asked for it.
    pub(crate) fn rest(&self, wait: Duration) {
        let until = Instant::now() + wait + self.slack;
        let mut next = self.next.lock();
        *next = Some(next.map_or(until, |next| next.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_then_the_rate_holds() {
        let limit = Limit::new(10, 5);
        let waits: Vec<u64> = (0..8).map(|_| limit.take(Duration::from_secs(9)).unwrap().as_millis() as u64).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 100, 200, 300]);
        assert_eq!(limit.wait(), Duration::from_millis(400));
        assert_eq!(limit.take(Duration::from_millis(399)), None);
        tokio::time::advance(Duration::from_millis(450)).await;
        assert_eq!(limit.wait(), Duration::ZERO);
        assert_eq!(limit.take(Duration::ZERO), Some(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(60)).await;
        let burst = (0..9).filter(|_| limit.take(Duration::ZERO).is_some()).count();
        assert_eq!(burst, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_only_a_rest_holds_up() {
        let limit = Limit::new(0, 1);
        assert!((0..1_000).all(|_| limit.take(Duration::ZERO) == Some(Duration::ZERO)));
        limit.rest(Duration::from_secs(2));
        assert_eq!(limit.wait(), Duration::from_secs(2));
        assert_eq!(limit.take(Duration::from_secs(1)), None);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(limit.take(Duration::ZERO), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_holds_up_the_burst_too() {
        let limit = Limit::new(10, 5);
        limit.rest(Duration::from_secs(2));
        assert_eq!(limit.wait(), Duration::from_secs(2));
        assert_eq!(limit.take(Duration::ZERO), None);
    }
}
