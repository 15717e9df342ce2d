//! PostgreSQL that stops, dies, freezes and comes back, under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use nsl_core::{Code, Cx, Error, SystemClock};
use nsl_sandbox::{Database, PgBouncer, Postgres};
use nsl_sql::{Config, Db, Scope, args};
use tokio::task::JoinSet;

use crate::{
    bed::{ALL, count, number, tenant},
    deeds::Note,
};

async fn open(config: &Config) -> Db {
    let dir = std::env::temp_dir();
    config.migrate(&dir, &SystemClock, ALL).await.unwrap();
    Db::open(config, &dir, Arc::new(SystemClock), || None).await.unwrap()
}

fn quick(url: String) -> Config {
    let mut config = Config::postgres(url);
    config.connect_timeout_ms = 500;
    config.statement_timeout_ms = 1_000;
    config
}

/// Sixteen callers that write until told to stop.
struct Load {
    cx: Cx,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicI64>,
    callers: JoinSet<(Vec<String>, Vec<Error>)>,
}

impl Load {
    fn on(db: &Db) -> Self {
        let (stop, written, cx) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)), tenant());
        let mut callers = JoinSet::new();
        for caller in 0..16 {
            let (db, cx, stop, written) = (db.clone(), cx.clone(), Arc::clone(&stop), Arc::clone(&written));
            callers.spawn(async move {
                let (mut kept, mut errors) = (Vec::new(), Vec::new());
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("{caller}-{n}");
                    match db.write(&cx, Note::new(&cx, &key, n)).await {
                        Ok(_) => {
                            written.fetch_add(1, Ordering::SeqCst);
                            kept.push(key);
                        }
                        Err(error) => {
                            errors.push(error);
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
                (kept, errors)
            });
        }
        Self { cx, stop, written, callers }
    }

    /// Until this many more are acknowledged.
    async fn goes_on(&self, more: i64) {
        let goal = self.written.load(Ordering::SeqCst) + more;
        let until = Instant::now() + Duration::from_secs(20);
        while self.written.load(Ordering::SeqCst) < goal {
            assert!(Instant::now() < until, "writes do not go on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it: all that was acknowledged is there, and every error was of the kind that passes.
    async fn ends_whole(self, db: &Db) -> Vec<Error> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut kept, mut errors) = (0, Vec::new());
        for (keys, failed) in self.callers.join_all().await {
            for key in &keys {
                assert!(number(db, &self.cx, key).await.is_some(), "{key} was acknowledged and is lost");
            }
            kept += keys.len() as i64;
            errors.extend(failed);
        }
        for error in &errors {
            assert!(error.code == Code::Unavailable && error.retry_after_ms.is_some(), "{error:?}");
        }
        let there = count(db).await;
        let unknown = errors.iter().filter(|error| error.slug == "sql.outcome_unknown").count() as i64;
        assert!((kept..=kept + unknown).contains(&there), "{there} rows, {kept} acknowledged, {unknown} unknown");
        errors
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stopped_and_started_under_load_loses_nothing() {
    let mut server = Postgres::start().unwrap();
    let database = server.database().unwrap();
    let db = open(&quick(database.url())).await;
    let load = Load::on(&db);
    for _ in 0..2 {
        load.goes_on(200).await;
        tokio::task::block_in_place(|| server.stop()).unwrap();
        let read = db.query(Scope::Platform, "SELECT 1", args![]).await.unwrap_err();
        assert!(read.code == Code::Unavailable && read.retry_after_ms.is_some(), "{read:?}");
        assert!(db.ping().await.is_err());
        tokio::task::block_in_place(|| server.start_again()).unwrap();
    }
    load.goes_on(200).await;
    db.ping().await.unwrap();
    assert!(!load.ends_whole(&db).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_loses_nothing() {
    let mut server = Postgres::start().unwrap();
    let database = server.database().unwrap();
    let db = open(&quick(database.url())).await;
    let load = Load::on(&db);
    for _ in 0..3 {
        load.goes_on(200).await;
        tokio::task::block_in_place(|| {
            server.kill().unwrap();
            server.start_again().unwrap();
        });
    }
    load.goes_on(200).await;
    assert!(!load.ends_whole(&db).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_cut_under_load_lose_nothing_and_idle_ones_cost_nobody_a_write() {
    let database = Database::fresh().unwrap();
    let db = open(&quick(database.url())).await;
    let load = Load::on(&db);
    for _ in 0..5 {
        load.goes_on(100).await;
        tokio::task::block_in_place(|| database.cut_sessions()).unwrap();
    }
    load.goes_on(100).await;
    load.ends_whole(&db).await;
    for n in 0..5 {
        tokio::task::block_in_place(|| database.cut_sessions()).unwrap();
        let cx = tenant();
        db.write(&cx, Note::new(&cx, "k", n)).await.unwrap();
        assert_eq!(number(&db, &cx, "k").await, Some(n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_holds_nobody_for_long() {
    let server = Postgres::start().unwrap();
    let database = server.database().unwrap();
    let db = open(&quick(database.url())).await;
    let load = Load::on(&db);
    load.goes_on(200).await;
    server.pause().unwrap();
    let began = Instant::now();
    let mut impatient = tenant();
    impatient.deadline = nsl_core::Deadline::within(Duration::from_millis(200));
    let late = db.write(&impatient, Note::new(&impatient, "late", 1)).await.unwrap_err();
    assert_eq!(late.code, Code::Timeout);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // Without a deadline of its own, a caller waits as long as a statement may take, and a little.
    let read = db.query(Scope::Platform, "SELECT 1", args![]).await.unwrap_err();
    let write = tokio::time::timeout(Duration::from_secs(10), db.write_platform(crate::bed::statement("SELECT 1")));
    let write = write.await.unwrap().unwrap_err();
    assert_eq!((read.code, write.code), (Code::Unavailable, Code::Unavailable));
    server.resume().unwrap();
    load.goes_on(200).await;
    load.ends_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_restarts_under_load_loses_nothing() {
    let database = Database::fresh().unwrap();
    let mut pooler = PgBouncer::start(&database, 4).unwrap();
    let mut config = quick(pooler.url());
    config.pgbouncer = true;
    let db = open(&config).await;
    let load = Load::on(&db);
    for _ in 0..3 {
        load.goes_on(100).await;
        tokio::task::block_in_place(|| {
            pooler.stop().unwrap();
            pooler.start_again().unwrap();
        });
    }
    load.goes_on(100).await;
    assert!(!load.ends_whole(&db).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_leave_connections_that_work() {
    let database = Database::fresh().unwrap();
    let pooler = PgBouncer::start(&database, 2).unwrap();
    let mut pooled = quick(pooler.url());
    pooled.pgbouncer = true;
    for mut config in [quick(database.url()), pooled] {
        (config.connections, config.writers) = (3, 1);
        let db = open(&config).await;
        let cx = tenant();
        for round in 0..200 {
            let slow = db.query(Scope::Tenant(&cx.tenant), "SELECT pg_sleep(0.02)::text", args![]);
            let _ = tokio::time::timeout(Duration::from_micros(round * 50), slow).await;
        }
        db.write(&cx, Note::new(&cx, "k", 1)).await.unwrap();
        assert_eq!(number(&db, &cx, "k").await, Some(1));
        let idle = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()";
        assert_eq!(tokio::task::block_in_place(|| database.query(idle)).unwrap(), "0");
    }
}
