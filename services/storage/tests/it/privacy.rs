use nsl_api::storage::{
    AskPrivacy, FetchExport, FindPrivacy, Get, ListPrivacy, PrivacyKind, PrivacyRequest, PrivacyStatus, Put,
};
use nsl_core::{Clock, Cx, Subject, TenantId};
use nsl_sql::args;
use nsl_storage::{Tick, verify_receipt};

use crate::ground::{DAY, Ground, SECOND, each, get, put, sealed, slug};

async fn ask(ground: &Ground, cx: &Cx, kind: PrivacyKind) -> PrivacyRequest {
    let request = ground.client.ask_privacy(cx, AskPrivacy { kind, subject: None }).await.unwrap();
    assert_eq!(request.status, PrivacyStatus::Pending);
    assert_eq!(request.due_at, request.requested_at.plus(30 * DAY));
    request
}

async fn find(ground: &Ground, cx: &Cx, id: &str) -> PrivacyRequest {
    ground.client.find_privacy(cx, FindPrivacy { id: id.into() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_holds_everything_of_its_person_alone() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let (alice, bob) = (ground.cx(&tenant, "sub_alice"), ground.cx(&tenant, "sub_bob"));
        ground.put(&alice, sealed("a", "\"one\"")).await.unwrap();
        ground.put(&alice, sealed("a", "\"two\"")).await.unwrap();
        ground.put(&alice, put("b", r#"{"plain":  true}"#)).await.unwrap();
        ground.put(&bob, put("c", "\"of bob\"")).await.unwrap();
        let request = ask(&ground, &alice, PrivacyKind::Export).await;
        let fetch = FetchExport { id: request.id.clone(), part: 1 };
        assert_eq!(slug(ground.client.export(&alice, fetch.clone()).await), "storage.export_not_found");
        assert_eq!(ground.tick(Tick::Privacy).await, 1);
        assert_eq!(find(&ground, &alice, &request.id).await.status, PrivacyStatus::Done);
        let text = ground.client.export(&alice, fetch.clone()).await.unwrap().document.0;
        assert!(text.contains(r#"{"plain":  true}"#) && !text.contains("of bob"));
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["subject"], "sub_alice");
        assert_eq!(document["items"][0]["value"], "two");
        assert_eq!(document["items"].as_array().unwrap().len(), 2);
        assert_eq!(document["past_versions"][0]["value"], "one");
        // Sealed where it lies, and hidden from others.
        let path = ground.dir.path().join("blobs/exports").join(tenant.as_str()).join(&request.id).join("1/1");
        let blob = std::fs::read(path).unwrap();
        assert!(!blob.windows(5).any(|window| window == b"plain"));
        let mut plain_bob = bob.clone();
        plain_bob.principal.scopes = ["privacy:read".to_owned(), "privacy:write".to_owned()].into();
        let hidden = ground.client.export(&plain_bob, fetch.clone()).await.unwrap_err();
        assert_eq!((&*hidden.slug, hidden.details.contains_key("refused")), ("storage.request_not_found", true));
        let list = ListPrivacy { limit: 10, after: None };
        assert_eq!(ground.client.list_privacy(&plain_bob, list.clone()).await.unwrap().items.len(), 0);
        assert_eq!(ground.client.list_privacy(&alice, list).await.unwrap().items.len(), 1);
        let foreign = AskPrivacy { kind: PrivacyKind::Erasure, subject: Some(Subject::parse("sub_alice").unwrap()) };
        assert_eq!(slug(ground.client.ask_privacy(&plain_bob, foreign).await), "auth.scope_missing");
        ground.clock.advance(31 * DAY);
        ground.tick(Tick::Trim).await;
        assert_eq!(slug(ground.client.export(&alice, fetch).await), "storage.export_not_found");
        assert_eq!(ground.evidence(&tenant, "storage.person_exported").await, 1);
        assert_eq!(ground.evidence(&tenant, "storage.export_dropped").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_is_gone_and_the_trail_still_verifies() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let (alice, bob) = (ground.cx(&tenant, "sub_alice"), ground.cx(&tenant, "sub_bob"));
        for number in 0..120 {
            let key = format!("k{number}");
            ground.put(&alice, if number % 2 == 0 { sealed(&key, "1") } else { put(&key, "1") }).await.unwrap();
        }
        ground.put(&alice, sealed("k0", "22")).await.unwrap();
        ground.get(&alice, "k1").await.unwrap();
        ground.put(&bob, sealed("mine", "7")).await.unwrap();
        let request = ask(&ground, &alice, PrivacyKind::Erasure).await;
        ground.clock.advance(SECOND);
        assert_eq!(ground.tick(Tick::Privacy).await, 1);
        let done = find(&ground, &alice, &request.id).await;
        assert_eq!((done.status, done.completed_at), (PrivacyStatus::Done, Some(ground.clock.now())));
        for key in ["k0", "k1", "k119"] {
            assert_eq!(slug(ground.get(&alice, key).await), "storage.not_found");
        }
        assert_eq!(ground.text(&bob, "mine").await, "7");
        assert_eq!(ground.exact_usage(&tenant).await, (1, 1));
        assert_eq!(ground.evidence(&tenant, "storage.person_erased").await, 1);
        assert_eq!(ground.evidence(&tenant, "storage.keys_destroyed").await, 1);
        let statement = verify_receipt(&done.receipt.unwrap()).unwrap();
        assert_eq!(
            (&statement["items"], &statement["past_versions"], &statement["bytes"]),
            (&120.into(), &1.into(), &122.into())
        );
        assert_eq!(statement["destroyed_keys"].as_array().unwrap().len(), 1);
        assert_eq!(statement["audit_hash"].as_str().unwrap().len(), 64);
        // What the trail said of the person is sealed under the key that died.
        let search =
            nsl_ledger::Search { event_type: Some("storage.value_stored".into()), limit: 500, ..Default::default() };
        let found = ground.ledger.search(&tenant, search).await.unwrap();
        let erased = found.iter().filter(|entry| entry.erased && entry.personal.is_none()).count();
        assert_eq!((found.len(), erased), (122, 121));
        // The person may come back.
        ground.clock.advance(SECOND);
        assert_eq!(ground.put(&alice, sealed("k0", "\"again\"")).await.unwrap().version, 1);
        assert_eq!(ground.text(&alice, "k0").await, "\"again\"");
        assert_eq!(ground.built.replay_erasures().await.unwrap(), 0);
        assert_eq!(ground.text(&alice, "k0").await, "\"again\"");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_does_not_bring_an_erased_person_back() {
    each(async |ground| {
        let cx = ground.alone();
        ground.put(&cx, sealed("a", "1")).await.unwrap();
        ground.put(&cx, put("b", "1")).await.unwrap();
        let keys = "SELECT key_id, root_version, wrapped, created_at FROM data_keys WHERE tenant_id = $1";
        let mut backup = ground.db.query(nsl_sql::Scope::Platform, keys, args![&cx.tenant]).await.unwrap();
        let request = ask(&ground, &cx, PrivacyKind::Erasure).await;
        ground.clock.advance(SECOND);
        ground.tick(Tick::Privacy).await;
        // The backup brings back the key, and a value from before.
        let row = &mut backup[0];
        let (id, version): (String, i64) = (row.take(0).unwrap(), row.take(1).unwrap());
        let (wrapped, created): (Vec<u8>, nsl_core::Timestamp) = (row.take(2).unwrap(), row.take(3).unwrap());
        let subject = &cx.principal.subject;
        let bring = "INSERT INTO data_keys (tenant_id, subject, key_id, root_version, wrapped, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        ground.tamper(bring, args![&cx.tenant, subject, id.as_str(), version, wrapped, created]).await;
        let bring = "INSERT INTO storage_data (tenant_id, user_address, chain, key, version, replaces, value, size_bytes, created_at, updated_at)
                     VALUES ($1, $2, 'neo-n3', 'b', 1, 0, '1', 1, $3, $3)";
        ground.tamper(bring, args![&cx.tenant, subject, created]).await;
        ground.tamper("UPDATE storage_usage SET bytes = bytes + 1, items = items + 1
                       WHERE tenant_id = $1 AND part = (SELECT MIN(part) FROM storage_usage WHERE tenant_id = $1)", args![&cx.tenant]).await;
        let forget = "DELETE FROM gdpr_requests WHERE tenant_id = $1 AND id = $2";
        ground.tamper(forget, args![&cx.tenant, request.id.as_str()]).await;

        let again = Ground::open(ground.dir.clone(), ground.database.clone(), ground.clock.clone()).await;
        assert_eq!(again.text(&cx, "b").await, "1");
        assert_eq!(again.built.replay_erasures().await.unwrap(), 1);
        assert_eq!(slug(again.client.get(&cx, Get { fresh: true, ..get("b") }).await), "storage.not_found");
        assert_eq!(slug(again.get(&cx, "b").await), "storage.not_found");
        assert!(again.keyring.find(&cx.tenant, &id.into()).await.unwrap().is_none());
        assert_eq!(again.exact_usage(&cx.tenant).await, (0, 0));
        assert_eq!(again.built.replay_erasures().await.unwrap(), 0);
        assert!(again.evidence(&cx.tenant, "storage.person_erased_again").await >= 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_platform_keeps_under_its_own_name_is_no_person_to_erase() {
    each(async |ground| {
        let cx = ground.alone();
        for name in ["platform", "system"] {
            let subject = Some(nsl_core::Subject::parse(name).unwrap());
            let asked = AskPrivacy { kind: PrivacyKind::Erasure, subject };
            assert_eq!(slug(ground.client.ask_privacy(&cx, asked).await), "storage.subject_reserved");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retention_lock_fails_an_erasure_and_says_why() {
    each(async |ground| {
        let cx = ground.alone();
        let until = ground.clock.now().plus(DAY);
        ground.put(&cx, sealed("free", "1")).await.unwrap();
        ground.put(&cx, Put { retain_until: Some(until), ..sealed("held", "1") }).await.unwrap();
        let request = ask(&ground, &cx, PrivacyKind::Erasure).await;
        ground.tick(Tick::Privacy).await;
        let failed = find(&ground, &cx, &request.id).await;
        assert_eq!(failed.status, PrivacyStatus::Failed);
        let reason = failed.reason.unwrap();
        assert!(reason.contains(" 1 of the values") && reason.contains(&until.rfc3339()), "{reason}");
        assert!(!reason.contains("held"), "{reason}");
        assert_eq!(ground.text(&cx, "free").await, "1");
        ground.clock.advance(2 * DAY);
        let request = ask(&ground, &cx, PrivacyKind::Erasure).await;
        ground.tick(Tick::Privacy).await;
        assert_eq!(find(&ground, &cx, &request.id).await.status, PrivacyStatus::Done);
        assert_eq!(slug(ground.get(&cx, "held").await), "storage.not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_race_with_an_erasure_keep_the_store_whole() {
    each(async |ground| {
        let cx = ground.alone();
        for number in 0..50 {
            ground.put(&cx, sealed(&format!("k{number}"), "1")).await.unwrap();
        }
        ask(&ground, &cx, PrivacyKind::Erasure).await;
        ground.clock.advance(SECOND);
        let writing = futures_util::future::join_all((0..100).map(|number| {
            let wanted = sealed(&format!("k{}", number % 60), "22");
            let (ground, cx) = (&ground, &cx);
            async move { ground.put(cx, wanted).await }
        }));
        let (outcomes, _) = tokio::join!(writing, ground.tick(Tick::Privacy));
        for outcome in outcomes {
            outcome.unwrap();
        }
        while ground.tick(Tick::Privacy).await > 0 {}
        ground.exact_usage(&cx.tenant).await;
        ground.evidence(&cx.tenant, "storage.person_erased").await;
        ground.put(&cx, sealed("after", "3")).await.unwrap();
        assert_eq!(ground.text(&cx, "after").await, "3");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_export_comes_in_parts_that_miss_nothing() {
    each(async |ground| {
        let cx = ground.alone();
        for number in 0..12 {
            let text = format!("\"{}\"", "x".repeat(300_000));
            ground.put(&cx, sealed(&format!("k{}", number % 9), &text)).await.unwrap();
        }
        let request = ask(&ground, &cx, PrivacyKind::Export).await;
        ground.tick(Tick::Privacy).await;
        let parts = find(&ground, &cx, &request.id).await.parts.unwrap();
        assert!(parts > 2, "{parts}");
        let (mut items, mut past) = (Vec::new(), 0);
        for part in 1..=parts {
            let fetch = FetchExport { id: request.id.clone(), part };
            let text = ground.client.export(&cx, fetch).await.unwrap().document.0;
            assert!(text.len() < 3 << 20);
            let document: serde_json::Value = serde_json::from_str(&text).unwrap();
            let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
            items.extend(list("items").into_iter().map(|item| item["key"].as_str().unwrap().to_owned()));
            past += list("past_versions").len();
        }
        assert_eq!(items, (0..9).map(|number| format!("k{number}")).collect::<Vec<_>>());
        assert_eq!(past, 3);
        for part in [0, parts + 1] {
            let fetch = FetchExport { id: request.id.clone(), part };
            assert_eq!(slug(ground.client.export(&cx, fetch).await), "storage.export_not_found");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_has_one_open_request_of_a_kind_and_a_tenant_few() {
    each(async |ground| {
        let cx = ground.alone();
        let wish = |kind, name: &str| AskPrivacy { kind, subject: Some(Subject::parse(name).unwrap()) };
        let (export, erasure) = (PrivacyKind::Export, PrivacyKind::Erasure);
        let racing = (0..4).map(|_| ground.client.ask_privacy(&cx, wish(export, "sub_0")));
        let outcomes = futures_util::future::join_all(racing).await;
        let refused = outcomes.into_iter().map(slug).filter(|slug| slug == "storage.request_open").count();
        assert_eq!(refused, 3);
        ground.client.ask_privacy(&cx, wish(erasure, "sub_0")).await.unwrap();
        for number in 1..99 {
            ground.client.ask_privacy(&cx, wish(export, &format!("sub_{number}"))).await.unwrap();
        }
        assert_eq!(slug(ground.client.ask_privacy(&cx, wish(export, "sub_99")).await), "storage.requests_many");
        ground.client.ask_privacy(&ground.alone(), wish(export, "sub_99")).await.unwrap();
        let finish = "UPDATE gdpr_requests SET status = 'done', completed_at = requested_at WHERE tenant_id = $1";
        ground.tamper(finish, args![&cx.tenant]).await;
        ground.client.ask_privacy(&cx, wish(export, "sub_0")).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_fails_waits_and_one_that_is_taken_is_left_alone() {
    each(async |ground| {
        let cx = ground.alone();
        ground.put(&cx, sealed("a", "1")).await.unwrap();
        // Nothing can be written where a folder should be.
        let exports = ground.dir.path().join("blobs/exports");
        std::fs::create_dir_all(exports.parent().unwrap()).unwrap();
        std::fs::write(&exports, "").unwrap();
        let request = ask(&ground, &cx, PrivacyKind::Export).await;
        assert_eq!(ground.tick(Tick::Privacy).await, 0);
        std::fs::remove_file(&exports).unwrap();
        assert_eq!(ground.tick(Tick::Privacy).await, 0);
        assert_eq!(find(&ground, &cx, &request.id).await.status, PrivacyStatus::Pending);
        // What a try before left.
        let left = exports.join(cx.tenant.as_str()).join(&request.id).join("1");
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("1"), "torn").unwrap();
        // Another process works on it.
        let taken = "UPDATE gdpr_requests SET next_try_at = $2 WHERE tenant_id = $1";
        ground.tamper(taken, args![&cx.tenant, ground.clock.now().plus(600 * SECOND)]).await;
        ground.clock.advance(599 * SECOND);
        assert_eq!(ground.tick(Tick::Privacy).await, 0);
        ground.clock.advance(SECOND);
        assert_eq!(ground.tick(Tick::Privacy).await, 1);
        assert_eq!(find(&ground, &cx, &request.id).await.status, PrivacyStatus::Done);
        let fetch = FetchExport { id: request.id.clone(), part: 1 };
        assert!(ground.client.export(&cx, fetch).await.unwrap().document.0.contains("\"value\":1"));
        assert!(!left.join("1").exists());
    })
    .await;
}
