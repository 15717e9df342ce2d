//! How the time between the stop signal and the end is shared out.
//!
//! Holds: a process ends within ten seconds of its signal, whatever hangs; what comes last (the writes on disk,
//! the traces) keeps its share although what comes first used all of its own.

use std::{
    process, thread,
    time::{Duration, Instant},
};

use nsl_kit::settings::ShutdownSettings;

/// Orchestrators wait ten seconds before they kill.
const LATEST: Duration = Duration::from_millis(9_800);
/// What tasks and the last writes get together, however long requests took.
const LAST_WORK: Duration = Duration::from_millis(1_500);
/// What is left for telemetry at most, and how long before the latest end it stops.
const TELEMETRY: Duration = Duration::from_secs(3);
const MARGIN: Duration = Duration::from_millis(300);

/// By when each part of the end is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) requests: Instant,
    pub(crate) tasks: Instant,
    pub(crate) writes: Instant,
    telemetry: Instant,
}

impl Budget {
    /// Counted from the signal.
    pub(crate) fn new(signal: Instant, settings: &ShutdownSettings) -> Self {
        let writes = signal + settings.notice + settings.drain;
        let reserve = LAST_WORK.min(settings.drain / 2);
        Self { requests: writes - reserve, tasks: writes - reserve / 2, writes, telemetry: signal + LATEST - MARGIN }
    }

    pub(crate) fn for_telemetry(&self) -> Duration {
        left(self.telemetry).min(TELEMETRY)
    }
}

pub(crate) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// Ends the process at the latest moment, should nothing else have done so: also when no worker of the runtime
/// is free to notice the time.
pub(crate) fn end_at_the_latest(signal: Instant) -> std::io::Result<()> {
    let wait = move || {
        while !left(signal + LATEST).is_zero() {
            thread::park_timeout(left(signal + LATEST));
        }
        tracing::error!("the end took too long and is cut short");
        thread::park_timeout(Duration::from_millis(50));
        process::exit(1);
    };
    thread::Builder::new().name("latest end".to_owned()).spawn(wait).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_keeps_its_share_and_all_end_in_time() {
        let signal = Instant::now();
        for (notice, drain) in [(0, 8_000), (1_500, 8_000), (0, 0), (9_500, 0), (0, 100), (0, 9_500)] {
            let settings =
                ShutdownSettings { notice: Duration::from_millis(notice), drain: Duration::from_millis(drain) };
            let budget = Budget::new(signal, &settings);
            assert!(budget.requests <= budget.tasks && budget.tasks <= budget.writes, "{budget:?}");
            assert!(budget.requests >= signal + settings.notice);
            assert!(budget.writes.max(budget.telemetry) < signal + LATEST, "{budget:?}");
            if drain >= 3_000 {
                assert!(
                    budget.tasks - budget.requests >= LAST_WORK / 2 && budget.writes - budget.tasks >= LAST_WORK / 2
                );
            }
        }
    }
}
