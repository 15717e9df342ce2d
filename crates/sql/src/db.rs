use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::Context;
use futures_util::FutureExt;
use nsl_core::{Clock, Code, Cx, Error, Result, TenantId, Timestamp};
use parking_lot::RwLock;
use tokio::sync::mpsc;

use crate::{
    batch::Job,
    bench::Desk,
    change::{Change, Closer, Statement},
    config::{Config, EngineKind},
    fault,
    idempotency::{self, Guard},
    pipeline::Pipeline,
    postgres::Postgres,
    replica::Replica,
    sqlite::{Connection, Readers},
    value::{Row, Value},
    wal::Checkpoints,
    writer::Writer,
};

/// Whose rows a statement may touch.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    Tenant(&'a TenantId),
    /// The platform's own work across tenants: workers, start-up, verification.
    Platform,
}

impl Scope<'_> {
    fn list(&self) -> &str {
        match self {
            Self::Tenant(tenant) => tenant.as_str(),
            Self::Platform => "*",
        }
    }
}

/// The door to SQL. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    engine: Engine,
    // Taken away by `drain`, after which the writers end once the queue is empty.
    queue: RwLock<Option<mpsc::Sender<Job>>>,
    writers: tokio::sync::Mutex<Vec<Ending>>,
}

enum Engine {
    Sqlite(Readers),
    Postgres { primary: Postgres, replica: Option<Replica> },
}

enum Ending {
    Thread(std::thread::JoinHandle<()>),
    Log(Checkpoints),
    Task(tokio::task::JoinHandle<()>),
}

impl Db {
    /// Opens the engine that the settings name and starts its writers. `closer` makes, for each writer, what
    /// writes the evidence of its groups. Fails when a PostgreSQL does not answer, or answers to a role that
    /// row-level security does not bind.
    pub async fn open(
        config: &Config,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
        mut closer: impl FnMut() -> Option<Box<dyn Closer>>,
    ) -> anyhow::Result<Self> {
        let (sender, mut jobs) = mpsc::channel::<Job>(config.waiting);
        let most = config.group;
        let (engine, writers) = match config.engine() {
            EngineKind::Sqlite => {
                let file = Config::sqlite_file(data_dir);
                let connection =
                    Connection::open(&file, true).with_context(|| format!("opening {}", file.display()))?;
                let written = Arc::new(AtomicBool::new(false));
                let bench = Desk::new(connection, Arc::clone(&written));
                let mut writer = Writer { bench, closer: closer(), clock, turn: None };
                let thread = std::thread::Builder::new().name("nsl-sql-writer".into()).spawn(move || {
                    let mut taken = Vec::with_capacity(most);
                    while jobs.blocking_recv_many(&mut taken, most) > 0 {
                        writer.serve(&mut taken).now_or_never().expect("the embedded engine never waits");
                    }
                })?;
                let log = Checkpoints::start(&file, written)?;
                let endings = vec![Ending::Thread(thread), Ending::Log(log)];
                (Engine::Sqlite(Readers::new(file, config.connections)), endings)
            }
            EngineKind::Postgres => {
                let primary = Postgres::new(config, &config.url)?;
                refuse_unbound_role(&primary).await?;
                let jobs = Arc::new(tokio::sync::Mutex::new(jobs));
                let mut writers = Vec::new();
                for _ in 0..config.writers {
                    let bench = Pipeline::new(primary.clone());
                    let mut writer = Writer { bench, closer: closer(), clock: Arc::clone(&clock), turn: None };
                    let jobs = Arc::clone(&jobs);
                    #[allow(clippy::disallowed_methods, reason = "joined by drain")]
                    writers.push(Ending::Task(tokio::spawn(async move {
                        let mut taken = Vec::with_capacity(most);
                        loop {
                            let mut turn = Arc::clone(&jobs).lock_owned().await;
                            if turn.recv_many(&mut taken, most).await == 0 {
                                break;
                            }
                            writer.turn = Some(turn);
                            writer.serve(&mut taken).await;
                        }
                    })));
                }
                let replica = match config.read_only_url.is_empty() {
                    true => None,
                    false => Some(Replica::follow(primary.clone(), Postgres::new(config, &config.read_only_url)?)),
                };
                (Engine::Postgres { primary, replica }, writers)
            }
        };
        let writers = tokio::sync::Mutex::new(writers);
        Ok(Self(Arc::new(Inner { engine, queue: RwLock::new(Some(sender)), writers })))
    }

    pub fn kind(&self) -> EngineKind {
        match self.0.engine {
            Engine::Sqlite(_) => EngineKind::Sqlite,
            Engine::Postgres { .. } => EngineKind::Postgres,
        }
    }

    /// Reads a few rows. On SQLite this runs on the calling thread: for what takes microseconds.
    pub async fn query(&self, scope: Scope<'_>, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>> {
        match &self.0.engine {
            Engine::Sqlite(readers) => readers.query(sql, &args),
            Engine::Postgres { primary, .. } => primary.read(scope.list(), sql, &args).await,
        }
    }

    /// As `query`, for what may take longer: never holds up the calling thread.
    pub async fn scan(&self, scope: Scope<'_>, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>> {
        if self.kind() == EngineKind::Postgres {
            return self.query(scope, sql, args).await;
        }
        let inner = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || match &inner.engine {
            Engine::Sqlite(readers) => readers.query(sql, &args),
            Engine::Postgres { .. } => unreachable!("handled above"),
        });
        read.await.map_err(Error::internal)?
    }

    /// As `query`, from a replica when one is set that lags no more than this; else from the primary.
    pub async fn query_stale(
        &self,
        scope: Scope<'_>,
        most: Duration,
        sql: &'static str,
        args: Vec<Value>,
    ) -> Result<Vec<Row>> {
        if let Engine::Postgres { replica: Some(replica), .. } = &self.0.engine
            && replica.is_within(most)
        {
            match replica.read(scope.list(), sql, &args).await {
                Err(error) if error.code == Code::Unavailable => {}
                answer => return answer,
            }
        }
        self.query(scope, sql, args).await
    }

    /// Does a write for the caller's tenant, once per idempotency key, and returns after it is on disk; past
    /// the caller's deadline it returns without knowing. A caller that goes away before its write is begun
    /// takes it back.
    pub async fn write<C: Change>(&self, cx: &Cx, change: C) -> Result<C::Done> {
        self.write_for(cx, Some(cx.tenant.clone()), change).await
    }

    /// As [`Self::write`], for what reaches beyond the caller's tenant: people, who are members of several, or a
    /// tenant that is not there yet. Never with tenants that a caller names and has no business in.
    pub async fn write_across<C: Change>(&self, cx: &Cx, change: C) -> Result<C::Done> {
        self.write_for(cx, None, change).await
    }

    async fn write_for<C: Change>(&self, cx: &Cx, tenant: Option<TenantId>, change: C) -> Result<C::Done> {
        let guard = cx.once.clone().map(|once| Guard {
            tenant: cx.tenant.clone(),
            subject: cx.principal.subject.clone(),
            once,
            replay: cx.replay.clone(),
        });
        let written = self.submit(tenant, guard, change);
        let deadline = tokio::time::Instant::from_std(cx.deadline.instant());
        tokio::time::timeout_at(deadline, written).await.unwrap_or_else(|_| Err(fault::too_late()))
    }

    /// Does a write of the platform's own, across tenants.
    pub async fn write_platform<C: Change>(&self, change: C) -> Result<C::Done> {
        self.submit(None, None, change).await
    }

    async fn submit<C: Change>(&self, tenant: Option<TenantId>, guard: Option<Guard>, change: C) -> Result<C::Done> {
        let closing = || fault::down(anyhow::anyhow!("the process is about to end"));
        let queue = self.0.queue.read().clone().ok_or_else(closing)?;
        let (job, outcome) = Job::new(tenant, guard, change);
        queue.send(job).await.map_err(|_| closing())?;
        drop(queue);
        outcome.await.map_err(|_| fault::outcome_unknown(anyhow::anyhow!("the writer ended")))?
    }

    /// Removes outcomes that were kept under their idempotency key long enough, and says how many.
    pub async fn forget_outcomes(&self, now: Timestamp) -> Result<u64> {
        self.write_platform(Statement { sql: idempotency::FORGET, args: crate::args![now] }).await
    }

    /// Whether the engine answers.
    pub async fn ping(&self) -> Result<()> {
        self.query(Scope::Platform, "SELECT 1", Vec::new()).await.map(drop)
    }

    /// Connections in use, open and allowed; `None` for the embedded engine.
    pub fn usage(&self) -> Option<(usize, usize, usize)> {
        match &self.0.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres { primary, .. } => Some(primary.usage()),
        }
    }

    /// Takes no more writes, and returns when those that wait are on disk.
    pub async fn drain(&self) {
        self.0.queue.write().take();
        // Held throughout: whoever else drains returns no earlier.
        for writer in self.0.writers.lock().await.drain(..) {
            match writer {
                Ending::Task(task) => drop(task.await),
                Ending::Log(log) => drop(tokio::task::spawn_blocking(|| log.finish()).await),
                Ending::Thread(thread) => drop(tokio::task::spawn_blocking(|| thread.join()).await),
            }
        }
    }
}

async fn refuse_unbound_role(server: &Postgres) -> anyhow::Result<()> {
    let sql = "SELECT current_user::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
    let mut rows = server.read("*", sql, &[]).await.context("cannot reach PostgreSQL")?;
    let row = rows.first_mut().context("PostgreSQL does not know its own role")?;
    let (name, unbound) = (row.take::<String>(0)?, row.take::<bool>(1)?);
    anyhow::ensure!(
        !unbound,
        "the PostgreSQL role {name} is a superuser or bypasses row-level security, so tenants would not be kept apart: \
         connect as a plain role that owns the database"
    );
    Ok(())
}
