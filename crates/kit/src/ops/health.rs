use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::tasks::Tasks;

/// How often a check is run, and how long it may take.
const EVERY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(2);

/// What a failing check means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing works without it: unhealthy, and not ready.
    Critical,
    /// Slower or poorer without it: degraded, still ready.
    Supporting,
}

/// The state of the whole process or of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Status {
    Healthy,
    Degraded,
    Unhealthy,
}

/// One check as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The process as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub status: Status,
    pub checks: BTreeMap<String, CheckReport>,
}

type Probe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

struct Check {
    name: String,
    kind: Kind,
    probe: Probe,
    /// Nothing until it was run for the first time.
    last: Mutex<Option<Result<(), String>>>,
}

impl Check {
    async fn run(&self) {
        // A probe that panics is a probe that fails: the others go on.
        let probe = std::panic::AssertUnwindSafe(async { (self.probe)().await }).catch_unwind();
        let found = match timeout(PATIENCE, probe).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(format!("{error:#}")),
            Ok(Err(_)) => Err("the check panicked".to_owned()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        let before = self.last.lock().replace(found.clone());
        match (before, found) {
            (None | Some(Ok(())), Err(reason)) => warn!(check = self.name, reason, "a health check fails"),
            (Some(Err(_)), Ok(())) => info!(check = self.name, "a health check passes again"),
            _ => {}
        }
    }
}

/// Whether this process is well: checks that run in the background, and what tasks died.
#[derive(Clone, Default)]
pub struct Health(Arc<Inner>);

#[derive(Default)]
struct Inner {
    checks: Mutex<Vec<Arc<Check>>>,
    tasks: Mutex<Option<Tasks>>,
    started: AtomicBool,
    stopping: AtomicBool,
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check; its reason for failing is shown on the ops listener, so it names no secret.
    pub fn check<F>(&self, name: &str, kind: Kind, probe: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let probe: Probe = Box::new(move || Box::pin(probe()));
        self.0.checks.lock().push(Arc::new(Check { name: name.to_owned(), kind, probe, last: Mutex::new(None) }));
    }

    /// Runs all checks once, then keeps running them until the stop. Tasks that die count as a failed
    /// critical check.
    pub async fn run(&self, tasks: &Tasks) {
        *self.0.tasks.lock() = Some(tasks.clone());
        self.refresh().await;
        let health = self.clone();
        tasks.supervise("health", move |stop| {
            let health = health.clone();
            async move {
                while stop.run_until_cancelled(sleep(EVERY)).await.is_some() {
                    health.refresh().await;
                }
                Ok(())
            }
        });
    }

    /// Runs all checks now.
    pub async fn refresh(&self) {
        let checks = self.0.checks.lock().clone();
        join_all(checks.iter().map(|check| check.run())).await;
    }

    /// Everything is built and listening: from here on the process is ready if its checks pass.
    pub fn started(&self) {
        self.0.started.store(true, Relaxed);
    }

    /// The process is about to stop: not ready any more, so that nobody sends new work.
    pub fn stopping(&self) {
        self.0.stopping.store(true, Relaxed);
    }

    pub fn ready(&self) -> bool {
        self.report().status != Status::Unhealthy
    }

    pub fn report(&self) -> Report {
        let mut checks = BTreeMap::new();
        for check in self.0.checks.lock().iter() {
            let last = check.last.lock().clone();
            let reason = last.unwrap_or_else(|| Err("not checked yet".to_owned())).err();
            let status = match (&reason, check.kind) {
                (None, _) => Status::Healthy,
                (Some(_), Kind::Supporting) => Status::Degraded,
                (Some(_), Kind::Critical) => Status::Unhealthy,
            };
            checks.insert(check.name.clone(), CheckReport { status, reason });
        }
        let failed = self.0.tasks.lock().as_ref().map(Tasks::failed).unwrap_or_default();
        for (task, reason) in failed {
            checks.insert(format!("task {task}"), CheckReport { status: Status::Unhealthy, reason: Some(reason) });
        }
        let phase = match (self.0.started.load(Relaxed), self.0.stopping.load(Relaxed)) {
            (_, true) => Some("the process is stopping"),
            (false, _) => Some("the process is starting"),
            _ => None,
        };
        if let Some(reason) = phase {
            let report = CheckReport { status: Status::Unhealthy, reason: Some(reason.to_owned()) };
            checks.insert("process".to_owned(), report);
        }
        let status = checks.values().map(|check| check.status).max().unwrap_or(Status::Healthy);
        Report { status, checks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(on: &Arc<AtomicBool>) -> impl Fn() -> futures_util::future::Ready<anyhow::Result<()>> + use<> {
        let on = Arc::clone(on);
        move || {
            let up = on.load(Relaxed);
            futures_util::future::ready(if up { Ok(()) } else { Err(anyhow::anyhow!("refused")) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn checks_decide_and_heal() {
        let (sql, cache) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let (health, tasks) = (Health::new(), Tasks::new());
        health.check("sql", Kind::Critical, switch(&sql));
        health.check("cache", Kind::Supporting, switch(&cache));
        assert_eq!(health.report().status, Status::Unhealthy, "nothing was checked yet");
        health.run(&tasks).await;
        assert!(!health.ready(), "not started");
        health.started();
        assert_eq!(health.report().status, Status::Healthy);
        cache.store(false, Relaxed);
        sleep(EVERY * 2).await;
        assert_eq!(health.report().status, Status::Degraded);
        assert!(health.ready());
        sql.store(false, Relaxed);
        sleep(EVERY * 2).await;
        assert_eq!(health.report().checks["sql"].reason.as_deref(), Some("refused"));
        assert!(!health.ready());
        sql.store(true, Relaxed);
        sleep(EVERY * 2).await;
        assert!(health.ready());
        health.stopping();
        assert!(!health.ready());
        assert!(tasks.drain(Duration::from_secs(1)).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_or_panicking_check_and_a_dead_task_are_failures() {
        let (health, tasks) = (Health::new(), Tasks::new());
        health.check("hangs", Kind::Critical, std::future::pending);
        health.check("panics", Kind::Critical, || async { panic!("boom") });
        health.run(&tasks).await;
        health.started();
        tasks.spawn("writer", |_| async { anyhow::bail!("disk is gone") });
        sleep(Duration::from_millis(1)).await;
        let report = health.report();
        assert_eq!(report.checks["hangs"].reason.as_deref(), Some("no answer within 2 s"));
        assert_eq!(report.checks["panics"].reason.as_deref(), Some("the check panicked"));
        assert_eq!(report.checks["task writer"].reason.as_deref(), Some("disk is gone"));
        tasks.stop();
    }
}
