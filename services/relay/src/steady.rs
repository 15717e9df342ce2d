//! Time for what is paced inside a process.

use std::sync::Arc;

use nsl_core::{Clock, Timestamp};
use parking_lot::Mutex;

/// Goes on as the clock does and never back: where the clock is set back, what is paced goes on from where it was. What
/// is stored, or compared with what callers say, takes the clock itself.
pub(crate) struct Steady {
    clock: Arc<dyn Clock>,
    /// What the clock said last, and what that is here.
    last: Mutex<(Timestamp, Timestamp)>,
}

impl Steady {
    pub(crate) fn of(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self { clock, last: Mutex::new((now, now)) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let mut last = self.last.lock();
        let now = self.clock.now();
        let gone = now.0.saturating_sub(last.0.0).max(0);
        *last = (now, Timestamp(last.1.0.saturating_add(gone)));
        last.1
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nsl_core::ManualClock;

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000_000_000)));
        let steady = Steady::of(clock.clone());
        let began = steady.now();
        clock.advance(Duration::from_secs(5));
        assert_eq!(steady.now(), began.plus(Duration::from_secs(5)));
        clock.set(Timestamp(0));
        assert_eq!(steady.now(), began.plus(Duration::from_secs(5)));
        clock.advance(Duration::from_secs(7));
        assert_eq!(steady.now(), began.plus(Duration::from_secs(12)));
    }
}
