//! Reads from a streaming replica that is as stale as they allow.

use std::{process::Command, time::Duration};

use nsl_core::Cx;
use nsl_sandbox::Postgres;
use nsl_sql::{Config, Db, Scope, args};

use crate::{
    bed::{ALL, statement, tenant},
    deeds::Note,
};

/// Whether a read that allows this staleness is answered by the replica.
async fn answered_by_replica(db: &Db, cx: &Cx, most: Duration) -> bool {
    let sql = "SELECT pg_is_in_recovery()";
    let mut rows = db.query_stale(Scope::Tenant(&cx.tenant), most, sql, args![]).await.unwrap();
    rows[0].take(0).unwrap()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited 15 s for: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_no_staler_than_they_say() {
    let primary = Postgres::start().unwrap();
    let database = primary.database().unwrap();
    let mut standby = primary.standby().unwrap();
    let mut config = Config::postgres(database.url());
    config.read_only_url = nsl_core::Secret::new(database.url_on(&standby));
    config.connect_timeout_ms = 1_000;
    let dir = tempfile::tempdir().unwrap();
    config.migrate(dir.path(), &nsl_core::SystemClock, ALL).await.unwrap();
    let clock = std::sync::Arc::new(nsl_core::SystemClock);
    let db = Db::open(&config, dir.path(), clock, || None).await.unwrap();
    let (cx, other) = (tenant(), tenant());
    db.write(&cx, Note::new(&cx, "k", 0)).await.unwrap();
    db.write(&other, Note::new(&other, "k", 0)).await.unwrap();

    let second = Duration::from_secs(1);
    until("the replica is used", async || answered_by_replica(&db, &cx, second).await).await;
    assert!(!answered_by_replica(&db, &cx, Duration::ZERO).await, "no replica is that fresh");
    until("the replica has what was written a moment ago", async || {
        let mut rows =
            db.query_stale(Scope::Tenant(&cx.tenant), second, "SELECT number FROM notes", args![]).await.unwrap();
        // Tenants are apart there too.
        rows.len() == 1 && rows[0].take::<i64>(0).unwrap() == 0
    })
    .await;

    // Cut off from the primary it seems to itself to have all there is; it must not pass for fresh.
    primary_sends_nothing(&database, true);
    for n in 1..4 {
        db.write(&cx, statement("UPDATE notes SET number = number + 1")).await.unwrap();
        until("the cut-off replica counts as stale", async || !answered_by_replica(&db, &cx, second).await).await;
        let sql = "SELECT number FROM notes";
        let mut rows = db.query_stale(Scope::Tenant(&cx.tenant), second, sql, args![]).await.unwrap();
        assert_eq!(rows[0].take::<i64>(0).unwrap(), n);
    }
    assert!(answered_by_replica(&db, &cx, Duration::from_secs(3_600)).await, "a patient reader may have it");
    primary_sends_nothing(&database, false);
    until("the replica has caught up", async || answered_by_replica(&db, &cx, second).await).await;

    standby.kill().unwrap();
    assert!(!answered_by_replica(&db, &cx, Duration::from_secs(3_600)).await, "the primary answers for a dead replica");
}

// Pauses or resumes what sends the log to replicas.
fn primary_sends_nothing(database: &nsl_sandbox::Database, paused: bool) {
    let pids = database.query("SELECT pid FROM pg_stat_replication").unwrap();
    let signal = if paused { "-STOP" } else { "-CONT" };
    for pid in pids.lines() {
        assert!(Command::new("kill").arg(signal).arg(pid).status().unwrap().success());
    }
    assert!(!pids.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_url_to_the_same_server_serves_and_one_that_lets_all_through_does_not() {
    let bed = crate::bed::Bed::new(crate::bed::Engine::Postgres).await;
    let database = bed.database.as_ref().unwrap();
    let cx = tenant();
    let reads_only = |config: Config| {
        let (bed, cx) = (&bed, &cx);
        async move {
            let db = bed.open_with(&config, || None).await;
            let mut seen = false;
            for _ in 0..60 {
                let sql = "SELECT current_setting('default_transaction_read_only') = 'on'";
                let asked = db.query_stale(Scope::Tenant(&cx.tenant), Duration::from_secs(2), sql, args![]).await;
                seen |= asked.unwrap()[0].take::<bool>(0).unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            seen
        }
    };
    let with = |url: String| {
        let mut config = bed.config.clone();
        config.read_only_url = nsl_core::Secret::new(url);
        config
    };
    assert!(reads_only(with(database.read_only_url())).await);
    let unbound = format!("{}?options=-c%20default_transaction_read_only%3Don", database.superuser_url());
    assert!(!reads_only(with(unbound)).await);
}
