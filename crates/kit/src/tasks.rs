use std::{
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

/// The first and the longest pause before a supervised task is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A run this long was healthy: the next pause is short again.
const HEALTHY_RUN: Duration = Duration::from_secs(60);

/// The background work of a process: every task has a name, hears of the stop, and is joined.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stop: CancellationToken,
    tracker: TaskTracker,
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, Arc<str>>>,
    failed: Mutex<BTreeMap<Arc<str>, String>>,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the process is to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// Tells all tasks to stop, without waiting for them.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Runs a task that has to live until the stop. If it ends earlier or panics, [`Tasks::failed`]
    /// names it for good, which turns readiness red: something the process needs is gone.
    pub fn spawn<F>(&self, name: &str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (tasks, name) = (self.clone(), Arc::<str>::from(name));
        let work = run(self.0.stop.clone());
        self.track(Arc::clone(&name), async move {
            if let Some(reason) = tasks.outcome(AssertUnwindSafe(work).catch_unwind().await) {
                error!(task = %name, reason, "a background task ended before the stop");
                tasks.0.failed.lock().insert(name, reason);
            }
        });
    }

    /// Runs a task that is started again, after a growing pause, whenever it ends before the stop.
    /// While it waits for its next run it counts as failed.
    pub fn supervise<F>(&self, name: &str, mut run: impl FnMut(CancellationToken) -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (tasks, name) = (self.clone(), Arc::<str>::from(name));
        self.track(Arc::clone(&name), async move {
            let stop = tasks.0.stop.clone();
            let mut pause = FIRST_PAUSE;
            loop {
                let started = Instant::now();
                // The closure may panic as well as the future that it makes.
                let attempt = async { run(stop.clone()).await };
                let ended = AssertUnwindSafe(attempt).catch_unwind().await;
                let Some(reason) = tasks.outcome(ended) else { return };
                if started.elapsed() >= HEALTHY_RUN {
                    pause = FIRST_PAUSE;
                }
                warn!(task = %name, reason, again_in_ms = pause.as_millis() as u64, "a background task ended and is started again");
                metrics::counter!("task_restarts_total", "task" => name.to_string()).increment(1);
                tasks.0.failed.lock().insert(Arc::clone(&name), reason);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                tasks.0.failed.lock().remove(&name);
            }
        });
    }

    /// Runs work that ends by itself. A panic is logged; the drain waits for it as for all others.
    pub fn once<F>(&self, name: &str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = Arc::<str>::from(name);
        self.track(Arc::clone(&name), async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                error!(task = %name, reason = panic_text(panic.as_ref()), "a background task panicked");
            }
        });
    }

    /// The tasks that ended although they should run, with the reason.
    pub fn failed(&self) -> BTreeMap<Arc<str>, String> {
        self.0.failed.lock().clone()
    }

    /// Tells all tasks to stop and waits for them. Returns the names of those that did not end in time.
    pub async fn drain(&self, within: Duration) -> Vec<String> {
        self.stop();
        self.0.tracker.close();
        if timeout(within, self.0.tracker.wait()).await.is_ok() {
            return Vec::new();
        }
        let left: Vec<String> = self.0.running.lock().values().map(ToString::to_string).collect();
        warn!(tasks = left.join(", "), "background tasks did not end in time");
        left
    }

    #[allow(clippy::disallowed_methods, reason = "the one home of spawned tasks")]
    fn track(&self, name: Arc<str>, work: impl Future<Output = ()> + Send + 'static) {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.running.lock().insert(id, name);
        let tasks = self.clone();
        self.0.tracker.spawn(async move {
            work.await;
            tasks.0.running.lock().remove(&id);
        });
    }

    /// Why a task that should have lived ended; nothing when it ended because of the stop.
    fn outcome(&self, ended: std::thread::Result<anyhow::Result<()>>) -> Option<String> {
        match ended {
            Err(panic) => Some(format!("panicked: {}", panic_text(panic.as_ref()))),
            Ok(_) if self.0.stop.is_cancelled() => None,
            Ok(Ok(())) => Some("ended early".to_owned()),
            Ok(Err(error)) => Some(format!("{error:#}")),
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Waits for SIGTERM or SIGINT. From the first call on these no longer end the process by themselves.
pub async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(signal = name, "stopping");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn drain_joins_what_hears_the_stop_and_names_what_does_not() {
        let tasks = Tasks::new();
        tasks.spawn("good", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        tasks.spawn("deaf", |_| async {
            std::future::pending::<()>().await;
            Ok(())
        });
        let before = Instant::now();
        assert_eq!(tasks.drain(Duration::from_secs(3)).await, ["deaf"]);
        assert_eq!(before.elapsed(), Duration::from_secs(3));
        assert!(tasks.failed().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_or_an_early_end_is_remembered() {
        let tasks = Tasks::new();
        tasks.spawn("panics", |_| async { panic!("boom") });
        tasks.spawn("leaves", |_| async { Ok(()) });
        tasks.once("work", async {});
        sleep(Duration::from_millis(1)).await;
        let failed = tasks.failed();
        assert_eq!(failed.get("panics").map(String::as_str), Some("panicked: boom"));
        assert_eq!(failed.get("leaves").map(String::as_str), Some("ended early"));
        assert_eq!(failed.len(), 2);
        assert!(tasks.drain(Duration::from_secs(1)).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_supervised_task_heals() {
        let tasks = Tasks::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&runs);
        tasks.supervise("flaky", move |stop| {
            let run = count.fetch_add(1, Ordering::SeqCst);
            async move {
                if run < 2 {
                    anyhow::bail!("try {run} failed");
                }
                stop.cancelled().await;
                Ok(())
            }
        });
        sleep(Duration::from_millis(100)).await;
        assert_eq!(tasks.failed().len(), 1);
        sleep(Duration::from_secs(2)).await;
        assert_eq!((tasks.failed().len(), runs.load(Ordering::SeqCst)), (0, 3));
        assert!(tasks.drain(Duration::from_secs(1)).await.is_empty());
    }

    #[tokio::test]
    async fn a_stop_signal_is_heard_and_does_not_end_the_process() {
        use rustix::process::{Signal, getpid, kill_process};
        let heard = stop_signal();
        tokio::pin!(heard);
        assert!(futures_util::poll!(heard.as_mut()).is_pending(), "the handler stands now");
        kill_process(getpid(), Signal::TERM).unwrap();
        heard.await.unwrap();
    }
}
