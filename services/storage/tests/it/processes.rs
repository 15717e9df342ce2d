use futures_util::future::join_all;
use nsl_api::storage::{AskPrivacy, FindPrivacy, Get, PrivacyKind, PrivacyStatus};
use nsl_storage::{Config, Quota, Tick, verify_receipt};

use crate::ground::{Ground, SECOND, each, get, put, sealed};

async fn second(first: &Ground) -> Ground {
    Ground::open(first.dir.clone(), first.database.clone(), first.clock.clone()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_make_one_line_of_versions() {
    each(async |one| {
        let two = second(&one).await;
        let cx = one.alone();
        let writes = (0..128).map(|number| {
            let (ground, cx) = (if number % 2 == 0 { &one } else { &two }, &cx);
            async move {
                let key = format!("k{}", number / 2 % 4);
                let wanted = if number % 3 == 0 { sealed(&key, "1") } else { put(&key, "22") };
                (key, ground.put(cx, wanted).await.unwrap().version)
            }
        });
        let mut versions = join_all(writes).await;
        versions.sort();
        let expected: Vec<(String, i64)> =
            (0..4).flat_map(|key| (1..=32).map(move |version| (format!("k{key}"), version))).collect();
        assert_eq!(versions, expected);
        one.exact_usage(&cx.tenant).await;
        assert_eq!(two.evidence(&cx.tenant, "storage.value_stored").await, 128);
        for key in ["k0", "k1", "k2", "k3"] {
            let fresh = async |ground: &Ground| {
                let item = ground.client.get(&cx, Get { fresh: true, ..get(key) }).await.unwrap();
                (item.meta.version, item.value.as_str().to_owned())
            };
            assert_eq!(fresh(&one).await, fresh(&two).await);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_fill_one_quota_exactly() {
    each(async |one| {
        let two = second(&one).await;
        for ground in [&one, &two] {
            ground.built.tune(Config::default(), Quota { items: 43, bytes: 1 << 20 });
        }
        let cx = one.alone();
        let outcomes = join_all((0..160).map(|number| {
            let ground = if number % 2 == 0 { &one } else { &two };
            let (cx, wanted) = (&cx, put(&format!("k{}", number % 80), "1"));
            async move { ground.put(cx, wanted).await }
        }))
        .await;
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(error.slug, "storage.quota_items");
        }
        assert_eq!(one.exact_usage(&cx.tenant).await.1, 43);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_of_a_write_after_an_erasure_elsewhere_can_be_read() {
    each(async |one| {
        let two = second(&one).await;
        let cx = one.alone();
        one.put(&cx, sealed("a", "1")).await.unwrap();
        let ask = AskPrivacy { kind: PrivacyKind::Erasure, subject: None };
        two.client.ask_privacy(&cx, ask).await.unwrap();
        one.clock.advance(SECOND);
        two.tick(Tick::Privacy).await;
        // The first process still knows the key that died.
        one.put(&cx, sealed("a", "2")).await.unwrap();
        let search = nsl_ledger::Search {
            event_type: Some("storage.value_stored".into()),
            limit: 10,
            ..nsl_ledger::Search::default()
        };
        let found = two.ledger.search(&cx.tenant, search).await.unwrap();
        let erased = found.iter().filter(|entry| entry.erased).count();
        let told = found.iter().filter(|entry| entry.personal.is_some()).count();
        assert_eq!((found.len(), erased, told), (2, 1, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_erase_a_person_once() {
    each(async |one| {
        let two = second(&one).await;
        let cx = one.alone();
        for number in 0..30 {
            one.put(&cx, sealed(&format!("k{number}"), "1")).await.unwrap();
        }
        let ask = AskPrivacy { kind: PrivacyKind::Erasure, subject: None };
        let request = one.client.ask_privacy(&cx, ask).await.unwrap();
        one.clock.advance(SECOND);
        tokio::join!(one.tick(Tick::Privacy), two.tick(Tick::Privacy));
        let done = two.client.find_privacy(&cx, FindPrivacy { id: request.id }).await.unwrap();
        assert_eq!(done.status, PrivacyStatus::Done);
        let statement = verify_receipt(&done.receipt.unwrap()).unwrap();
        assert_eq!(statement["items"], 30);
        assert_eq!(statement["destroyed_keys"].as_array().unwrap().len(), 1);
        assert_eq!(one.evidence(&cx.tenant, "storage.person_erased").await, 1);
        assert_eq!(one.exact_usage(&cx.tenant).await, (0, 0));
    })
    .await;
}
