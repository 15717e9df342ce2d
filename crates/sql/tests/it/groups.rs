use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

use nsl_core::{Code, Cx};
use nsl_sql::{Db, Scope, args};
use tokio::task::JoinSet;

use crate::{
    bed::{Bed, Engine, count, number, on_each, statement, tenant},
    deeds::{Add, Gate, Lane, Manner, Note, Told},
};

on_each!(
    a_thousand_writers_share_commits_and_all_are_kept,
    one_bad_change_does_not_fail_its_neighbours,
    bad_changes_do_not_end_the_writer,
    a_refusal_touches_nothing_and_is_told,
    an_error_that_a_change_swallows_undoes_it_all_the_same,
    evidence_is_in_the_transaction_of_its_change,
    kinds_of_changes_share_a_group,
    draining_finishes_what_waits,
    a_write_taken_back_in_time_is_not_done,
    a_deadline_ends_the_wait,
    the_platform_writes_apart,
);

async fn a_thousand_writers_share_commits_and_all_are_kept(bed: Bed) {
    let db = bed.open().await;
    let applied = Arc::default();
    let mut writers = JoinSet::new();
    for n in 0..1_000 {
        let (db, cx) = (db.clone(), tenant());
        let note = Note::new(&cx, format!("k{n}"), n).counted(&applied);
        writers.spawn(async move { (db.write(&cx, note).await.unwrap(), cx) });
    }
    for ((key, kept), cx) in writers.join_all().await {
        assert_eq!(number(&db, &cx, &key).await, Some(kept));
    }
    assert_eq!(count(&db).await, 1_000);
    let groups = applied.load(Ordering::SeqCst);
    assert!(groups < 500, "{groups} groups for 1,000 writes");
}

/// Queues all behind a held writer, so that they meet in one group, and gives what each learned.
async fn together(db: &Db, notes: Vec<(Cx, Note)>) -> Vec<nsl_core::Result<(String, i64)>> {
    let hold = Hold::on(db).await;
    let mut waiting = Vec::new();
    for (cx, note) in notes {
        let db = db.clone();
        let mut write = Box::pin(async move { db.write(&cx, note).await });
        assert!(futures_util::poll!(&mut write).is_pending());
        waiting.push(write);
    }
    hold.let_go().await;
    futures_util::future::join_all(waiting).await
}

/// A writer that does nothing until it is let go.
struct Hold {
    open: SyncSender<()>,
    held: tokio::task::JoinHandle<nsl_core::Result<()>>,
}

impl Hold {
    async fn on(db: &Db) -> Self {
        let (gate, inside, open) = Gate::new();
        let db = db.clone();
        #[allow(clippy::disallowed_methods, reason = "`let_go` awaits it")]
        let held = tokio::spawn(async move { db.write_platform(gate).await });
        tokio::task::spawn_blocking(move || inside.recv().unwrap()).await.unwrap();
        Self { open, held }
    }

    async fn let_go(self) {
        self.open.send(()).unwrap();
        self.held.await.unwrap().unwrap();
    }
}

async fn one_writer(bed: &Bed) -> Db {
    let mut config = bed.config.clone();
    config.writers = 1;
    bed.open_with(&config, || None).await
}

async fn one_bad_change_does_not_fail_its_neighbours(bed: Bed) {
    let db = one_writer(&bed).await;
    for manner in [Manner::Fails, Manner::Panics, Manner::Swallows, Manner::Forgets, Manner::Refuses] {
        let cx = tenant();
        let mut notes: Vec<_> = (0..20).map(|n| (cx.clone(), Note::new(&cx, format!("{n}"), n))).collect();
        notes.insert(7, (cx.clone(), Note::new(&cx, "bad", 0).that(manner)));
        let mut learned = together(&db, notes).await;
        let bad = learned.remove(7).unwrap_err();
        let expected = if manner == Manner::Refuses { "notes.refused" } else { "internal" };
        assert_eq!(bad.slug, expected, "{manner:?}");
        assert!(learned.iter().all(Result::is_ok), "{manner:?}: {learned:?}");
        assert_eq!(number(&db, &cx, "bad").await, None, "{manner:?}");
        for n in 0..20 {
            assert_eq!(number(&db, &cx, &n.to_string()).await, Some(n), "{manner:?}");
        }
    }
}

async fn bad_changes_do_not_end_the_writer(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    for round in 0..10 {
        for manner in [Manner::Panics, Manner::Fails, Manner::Forgets] {
            assert_eq!(
                db.write(&cx, Note::new(&cx, "bad", 0).that(manner)).await.unwrap_err().code,
                Code::Internal,
                "{manner:?}"
            );
        }
        db.write(&cx, Note::new(&cx, format!("good{round}"), round)).await.unwrap();
    }
    // Waiting for other things inside a transaction is wrong everywhere; the embedded engine refuses it.
    let waits = db.write(&cx, Note::new(&cx, "waits", 1).that(Manner::Waits)).await;
    assert_eq!(waits.is_ok(), bed.engine != Engine::Sqlite);
    db.write(&cx, Note::new(&cx, "after", 1)).await.unwrap();
}

async fn a_refusal_touches_nothing_and_is_told(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    let refused = db.write(&cx, Note::new(&cx, "k", 1).that(Manner::Refuses)).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (Code::Invalid, "this note is refused"));
    assert_eq!(count(&db).await, 0);
}

async fn an_error_that_a_change_swallows_undoes_it_all_the_same(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    assert!(db.write(&cx, Note::new(&cx, "k", 1).that(Manner::Swallows)).await.is_err());
    assert_eq!(count(&db).await, 0);
}

async fn evidence_is_in_the_transaction_of_its_change(bed: Bed) {
    let told = Arc::new(Told::default());
    let made = Arc::new(AtomicUsize::new(0));
    let closer = || {
        let name = format!("lane{}", made.fetch_add(1, Ordering::SeqCst));
        let lane = Lane { name, told: Arc::clone(&told), length: 0, pending: 0 };
        Some(Box::new(lane) as Box<dyn nsl_sql::Closer>)
    };
    let db = bed.open_with(&bed.config, closer).await;
    let mut writers = JoinSet::new();
    for n in 0..300 {
        let (db, cx) = (db.clone(), tenant());
        let manner = match n % 10 {
            3 => Manner::Refuses,
            7 => Manner::Fails,
            _ => Manner::Good,
        };
        writers.spawn(async move { db.write(&cx, Note::new(&cx, format!("k{n}"), n).that(manner)).await.is_ok() });
    }
    let kept = writers.join_all().await.into_iter().filter(|ok| *ok).count() as i64;
    assert_eq!(kept, 240);
    let sql = "SELECT count(*), count(DISTINCT tenant_id) FROM evidence";
    let mut rows = db.scan(Scope::Platform, sql, args![]).await.unwrap();
    assert_eq!((rows[0].take::<i64>(0).unwrap(), rows[0].take::<i64>(1).unwrap()), (kept, kept));
    let sql = "SELECT lane, count(*), max(number), count(DISTINCT number) FROM evidence GROUP BY lane";
    for mut lane in db.scan(Scope::Platform, sql, args![]).await.unwrap() {
        let (all, longest, distinct): (i64, i64, i64) =
            (lane.take(1).unwrap(), lane.take(2).unwrap(), lane.take(3).unwrap());
        assert_eq!((longest, distinct), (all, all), "a lane has gaps or twins");
    }
    assert_eq!(told.unknown.load(Ordering::SeqCst), 0);
    assert!(told.committed.load(Ordering::SeqCst) > 0 && told.undone.load(Ordering::SeqCst) > 0);
}

async fn kinds_of_changes_share_a_group(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    db.write(&cx, Note::new(&cx, "sum", 0)).await.unwrap();
    let mut writers = JoinSet::new();
    for n in 0..100 {
        let (db, cx) = (db.clone(), cx.clone());
        writers.spawn(async move {
            db.write(&cx, Add { tenant: cx.tenant.clone(), key: "sum" }).await.unwrap();
            db.write(&cx, Note::new(&cx, format!("k{n}"), n)).await.unwrap();
        });
    }
    writers.join_all().await;
    assert_eq!((number(&db, &cx, "sum").await, count(&db).await), (Some(100), 101));
}

async fn draining_finishes_what_waits(bed: Bed) {
    let db = one_writer(&bed).await;
    let cx = tenant();
    let hold = Hold::on(&db).await;
    let mut writes = Vec::new();
    for n in 0..500 {
        let (db, cx) = (db.clone(), cx.clone());
        let mut write = Box::pin(async move { db.write(&cx, Note::new(&cx, format!("k{n}"), n)).await });
        assert!(futures_util::poll!(&mut write).is_pending());
        writes.push(write);
    }
    let drained = async {
        tokio::join!(db.drain(), db.drain(), hold.let_go());
        assert_eq!(count(&db).await, 500);
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(writes), drained);
    assert!(outcomes.iter().all(Result::is_ok));
    let late = db.write(&cx, Note::new(&cx, "late", 1)).await.unwrap_err();
    assert_eq!((late.code, number(&db, &cx, "late").await), (Code::Unavailable, None));
}

async fn a_write_taken_back_in_time_is_not_done(bed: Bed) {
    let db = one_writer(&bed).await;
    let cx = tenant();
    let hold = Hold::on(&db).await;
    let mut taken_back = Box::pin(db.write(&cx, Note::new(&cx, "k", 1)));
    assert!(futures_util::poll!(&mut taken_back).is_pending());
    drop(taken_back);
    hold.let_go().await;
    db.write(&cx, Note::new(&cx, "next", 1)).await.unwrap();
    assert_eq!(number(&db, &cx, "k").await, None);
}

async fn a_deadline_ends_the_wait(bed: Bed) {
    let db = one_writer(&bed).await;
    let hold = Hold::on(&db).await;
    let mut cx = tenant();
    cx.deadline = nsl_core::Deadline::within(Duration::from_millis(30));
    let late = db.write(&cx, Note::new(&cx, "k", 1)).await.unwrap_err();
    assert_eq!((late.code, &*late.slug), (Code::Timeout, "sql.too_late"));
    hold.let_go().await;
    db.write_platform(statement("UPDATE notes SET number = 0")).await.unwrap();
    assert_eq!(count(&db).await, 0);
}

async fn the_platform_writes_apart(bed: Bed) {
    let db = bed.open().await;
    let mut writers = JoinSet::new();
    for n in 0..50 {
        let (db, cx) = (db.clone(), tenant());
        writers.spawn(async move {
            db.write(&cx, Note::new(&cx, "k", n)).await.unwrap();
            db.write_platform(statement("UPDATE notes SET flag = (1 = 1) WHERE flag IS NULL")).await.unwrap()
        });
    }
    let marked: u64 = writers.join_all().await.into_iter().sum();
    assert_eq!((marked, count(&db).await), (50, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_two_processes_never_deadlock_over_the_rows_of_many_tenants() {
    let bed = Bed::new(Engine::Postgres).await;
    let doors = [bed.open().await, bed.open().await];
    let tenants: Vec<Cx> = (0..8).map(|_| tenant()).collect();
    for cx in &tenants {
        doors[0].write(cx, Note::new(cx, "sum", 0)).await.unwrap();
    }
    let mut writers = JoinSet::new();
    for n in 0..40usize {
        let (db, tenants) = (doors[n % 2].clone(), tenants.clone());
        writers.spawn(async move {
            for round in 0..25 {
                let cx = &tenants[(n + round * (1 + n % 7)) % tenants.len()];
                db.write(cx, Add { tenant: cx.tenant.clone(), key: "sum" }).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    let mut sum = 0;
    for cx in &tenants {
        sum += number(&doors[0], cx, "sum").await.unwrap();
    }
    assert_eq!(sum, 1_000);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    drop(doors);
    tokio::task::spawn_blocking(move || {
        let database = bed.database.as_ref().unwrap();
        // Sessions tell what they counted when they end.
        database.cut_sessions().unwrap();
        assert_eq!(database.query(deadlocks).unwrap(), "0");
    })
    .await
    .unwrap();
}
