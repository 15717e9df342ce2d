use std::{sync::Arc, time::Duration};

use nsl_core::{Clock, Code, Cx, Replay, Subject, SystemClock};
use tokio::task::JoinSet;

use crate::{
    bed::{Bed, count, number, on_each, once, tenant},
    deeds::{Add, Manner, Note},
};

on_each!(
    a_hundred_equal_requests_do_it_once,
    two_processes_do_it_once,
    it_stays_done_over_a_restart,
    another_request_under_the_same_key_is_refused,
    a_refused_request_may_come_again,
    equal_requests_learn_the_same_refusal,
    keys_belong_to_a_tenant_and_subject,
    old_outcomes_are_forgotten,
    who_learns_an_earlier_outcome_is_told_so,
);

async fn a_hundred_equal_requests_do_it_once(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    db.write(&cx, Note::new(&cx, "sum", 0)).await.unwrap();
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let (db, cx) = (db.clone(), once(&cx, "key", "print"));
        requests.spawn(async move { db.write(&cx, Add { tenant: cx.tenant.clone(), key: "sum" }).await.unwrap() });
    }
    assert!(requests.join_all().await.into_iter().all(|answer| answer == 1));
    assert_eq!(number(&db, &cx, "sum").await, Some(1));
}

async fn two_processes_do_it_once(bed: Bed) {
    let doors = [bed.open().await, bed.open().await];
    let cx = tenant();
    for round in 0..5 {
        let key = ["a", "b", "c", "d", "e"][round];
        doors[0].write(&cx, Note::new(&cx, key, 0)).await.unwrap();
        let mut requests = JoinSet::new();
        for n in 0..40 {
            let (db, cx) = (doors[n % 2].clone(), once(&cx, key, "print"));
            requests.spawn(async move { db.write(&cx, Add { tenant: cx.tenant.clone(), key }).await.unwrap() });
        }
        assert!(requests.join_all().await.into_iter().all(|answer| answer == 1));
        assert_eq!(number(&doors[1], &cx, key).await, Some(1));
    }
}

async fn it_stays_done_over_a_restart(bed: Bed) {
    let cx = tenant();
    let again = once(&cx, "key", "print");
    let db = bed.open().await;
    let first = db.write(&again, Note::new(&cx, "k", 7)).await.unwrap();
    db.drain().await;
    let db = bed.open().await;
    assert_eq!(db.write(&again, Note::new(&cx, "k", 7)).await.unwrap(), first);
    assert_eq!(count(&db).await, 1);
}

async fn who_learns_an_earlier_outcome_is_told_so(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    let heeded = |key: &str, print: &str| Cx { replay: Replay::heeded(), ..once(&cx, key, print) };
    let one = heeded("key", "print");
    for is_replay in [false, true, true] {
        db.write(&one, Note::new(&cx, "k", 7)).await.unwrap();
        assert_eq!(one.replay.is_replay(), is_replay);
    }
    let other = heeded("key", "other");
    db.write(&other, Note::new(&cx, "l", 7)).await.unwrap_err();
    assert!(!other.replay.is_replay(), "a refusal repeats nothing");
    // Of equal ones at the same moment, all but the one that is done are told.
    let mut requests = JoinSet::new();
    for _ in 0..20 {
        let (db, one) = (db.clone(), heeded("new", "print"));
        requests.spawn(async move {
            db.write(&one, Note::new(&one, "m", 7)).await.unwrap();
            one.replay.is_replay()
        });
    }
    assert_eq!(requests.join_all().await.into_iter().filter(|is_replay| !is_replay).count(), 1);
}

async fn another_request_under_the_same_key_is_refused(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    db.write(&once(&cx, "key", "one"), Note::new(&cx, "k", 1)).await.unwrap();
    let other = db.write(&once(&cx, "key", "two"), Note::new(&cx, "l", 2)).await.unwrap_err();
    assert_eq!((other.code, &*other.slug), (Code::Conflict, "idempotency.key_reused"));
    // At the same moment as well: one of the two is done, whichever came first.
    let (one, two) = (once(&cx, "new", "one"), once(&cx, "new", "two"));
    let (one, two) = tokio::join!(db.write(&one, Note::new(&cx, "m", 1)), db.write(&two, Note::new(&cx, "n", 2)));
    assert!(one.is_ok() != two.is_ok());
    assert_eq!(one.and(two).unwrap_err().slug, "idempotency.key_reused");
    assert_eq!(count(&db).await, 2);
}

async fn a_refused_request_may_come_again(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    let again = once(&cx, "key", "print");
    db.write(&again, Note::new(&cx, "k", 1).that(Manner::Refuses)).await.unwrap_err();
    db.write(&again, Note::new(&cx, "k", 1).that(Manner::Fails)).await.unwrap_err();
    db.write(&again, Note::new(&cx, "k", 1)).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

async fn equal_requests_learn_the_same_refusal(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let (db, cx) = (db.clone(), once(&cx, "key", "print"));
        let note = Note::new(&cx, "k", 1).that(Manner::Refuses);
        requests.spawn(async move { db.write(&cx, note).await.unwrap_err().slug });
    }
    assert!(requests.join_all().await.into_iter().all(|slug| slug == "notes.refused"));
}

async fn keys_belong_to_a_tenant_and_subject(bed: Bed) {
    let db = bed.open().await;
    let one = once(&tenant(), "key", "a");
    let other_tenant = once(&tenant(), "key", "b");
    let mut other_subject = once(&one, "key", "c");
    other_subject.principal.subject = Subject::parse("someone-else").unwrap();
    for (n, cx) in [&one, &other_tenant, &other_subject].into_iter().enumerate() {
        db.write(cx, Note::new(cx, format!("k{n}"), 1)).await.unwrap();
    }
    assert_eq!(count(&db).await, 3);
}

async fn old_outcomes_are_forgotten(bed: Bed) {
    let db = bed.open().await;
    let cx = tenant();
    let again = once(&cx, "key", "print");
    db.write(&again, Note::new(&cx, "k", 1)).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    assert_eq!(db.forget_outcomes(clock.now().plus(Duration::from_secs(23 * 3_600))).await.unwrap(), 0);
    assert_eq!(db.forget_outcomes(clock.now().plus(Duration::from_secs(25 * 3_600))).await.unwrap(), 1);
    db.write(&again, Note::new(&cx, "l", 1)).await.unwrap();
    assert_eq!(count(&db).await, 2);
}
