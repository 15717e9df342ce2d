use std::time::Duration;

use futures_util::future::join_all;
use nsl_api::storage::{Access, Delete, GetMany, List, PutMany, Value};
use nsl_core::{Cx, Deadline, Once, Subject, TenantId};
use nsl_storage::Tick;

use crate::ground::{Ground, SECOND, each, get, put, sealed, slug};
use nsl_api::storage::Chain;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_comes_back_byte_for_byte_with_its_evidence() {
    each(async |ground| {
        let cx = ground.alone();
        for (number, text) in
            [r#"{"b": 1.0,  "a":[1e400, "\u0041é\ud83d\ude00"]}"#, "null", "0", r#""""#, "-0.0", r#"{"a":"\u0000"}"#]
                .iter()
                .enumerate()
        {
            for encrypted in [false, true] {
                let key = format!("k{number}-{encrypted}");
                let mut wanted = put(&key, text);
                wanted.encrypted = encrypted;
                wanted.metadata = Some(Value::parse(r#"{"m": 1.50}"#).unwrap());
                let stored = ground.put(&cx, wanted).await.unwrap();
                assert_eq!((stored.version, stored.created), (1, true));
                assert_eq!(stored.size_bytes, (text.len() + 11) as i64);
                // From SQL, then from the cache.
                for _ in 0..2 {
                    let item = ground.get(&cx, &key).await.unwrap();
                    assert_eq!(item.value.as_str(), *text);
                    assert_eq!(item.meta.metadata.unwrap().as_str(), r#"{"m": 1.50}"#);
                    assert_eq!((item.meta.encrypted, item.meta.version), (encrypted, 1));
                }
            }
        }
        assert_eq!(ground.evidence(&cx.tenant, "storage.value_stored").await, 12);
        ground.exact_usage(&cx.tenant).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_written_value_is_read_at_once_and_an_absent_one_is_not_found() {
    each(async |ground| {
        let cx = ground.alone();
        assert_eq!(slug(ground.get(&cx, "a").await), "storage.not_found");
        for round in 1..=5 {
            let text = round.to_string();
            let wanted = if round % 2 == 0 { sealed("a", &text) } else { put("a", &text) };
            assert_eq!(ground.put(&cx, wanted).await.unwrap().version, round);
            assert_eq!(ground.text(&cx, "a").await, text);
        }
        let delete = Delete { chain: Chain::NeoN3, key: "a".into(), expected_version: None };
        assert_eq!(ground.client.delete(&cx, delete.clone()).await.unwrap().version, 6);
        assert_eq!(slug(ground.get(&cx, "a").await), "storage.not_found");
        assert_eq!(slug(ground.client.delete(&cx, delete).await), "storage.not_found");
        let again = ground.put(&cx, put("a", "7")).await.unwrap();
        assert_eq!((again.version, again.created), (7, true));
        assert_eq!(ground.text(&cx, "a").await, "7");
        let other = nsl_api::storage::Put { chain: Chain::NeoX, ..put("a", "\"x\"") };
        assert_eq!(ground.put(&cx, other).await.unwrap().version, 1);
        assert_eq!(ground.text(&cx, "a").await, "7");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_of_few_keys_make_versions_without_gaps() {
    each(async |ground| {
        let cx = ground.alone();
        let writes = (0..256).map(|number| {
            let (ground, cx) = (&ground, &cx);
            async move {
                let key = format!("k{}", number % 4);
                let wanted = if number % 3 == 0 { sealed(&key, "1") } else { put(&key, &number.to_string()) };
                (key, ground.put(cx, wanted).await.unwrap().version)
            }
        });
        let mut versions = join_all(writes).await;
        versions.sort();
        let expected: Vec<(String, i64)> =
            (0..4).flat_map(|key| (1..=64).map(move |version| (format!("k{key}"), version))).collect();
        assert_eq!(versions, expected);
        // Of each key the present state and the twenty before it are there.
        let past = "SELECT count(*) FROM storage_versions WHERE tenant_id = $1 AND key = $2 AND version >= 44";
        assert_eq!(ground.number(past, nsl_sql::args![&cx.tenant, "k0"]).await, 20);
        let all = "SELECT count(*) FROM storage_versions WHERE tenant_id = $1";
        assert_eq!(ground.number(all, nsl_sql::args![&cx.tenant]).await, 80);
        ground.exact_usage(&cx.tenant).await;
        assert_eq!(ground.evidence(&cx.tenant, "storage.value_stored").await, 256);
        for key in 0..4 {
            ground.get(&cx, &format!("k{key}")).await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_compare_and_sets_exactly_one_wins() {
    each(async |ground| {
        let cx = ground.alone();
        for expected in 0..6 {
            let tries = (0..32).map(|number| {
                let mut wanted = put("a", &number.to_string());
                wanted.expected_version = Some(expected);
                ground.put(&cx, wanted)
            });
            let outcomes = join_all(tries).await;
            let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
            assert_eq!(won.len(), 1);
            assert_eq!(won[0].version, expected + 1);
            for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
                assert_eq!(
                    (&*lost.slug, &lost.details["current_version"]),
                    ("storage.version_conflict", &(expected + 1).into())
                );
            }
        }
        assert_eq!(ground.evidence(&cx.tenant, "storage.value_stored").await, 6);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_stored_whole_or_not_at_all() {
    each(async |ground| {
        let cx = ground.alone();
        let items: Vec<_> = (0..50).map(|number| put(&format!("k{number:02}"), &number.to_string())).collect();
        let stored = ground.client.put_many(&cx, PutMany { items: items.clone() }).await.unwrap();
        assert_eq!(stored.items.iter().map(|stored| stored.version).sum::<i64>(), 50);
        let mut second = items.clone();
        second[30].expected_version = Some(9);
        let error = ground.client.put_many(&cx, PutMany { items: second }).await.unwrap_err();
        assert_eq!((&*error.slug, &error.details["item"]), ("storage.version_conflict", &30.into()));
        assert!(ground.get(&cx, "k00").await.unwrap().meta.version == 1);
        // One key twice in a batch: applied in order.
        let twice = PutMany { items: vec![put("t", "1"), sealed("t", "2"), put("t", "3")] };
        let stored = ground.client.put_many(&cx, twice).await.unwrap();
        assert_eq!(stored.items.iter().map(|stored| stored.version).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(ground.text(&cx, "t").await, "3");
        let mut past = get("t");
        past.version = Some(2);
        assert_eq!(ground.client.get(&cx, past).await.unwrap().value.as_str(), "2");
        let keys = vec!["k01".to_owned(), "nope".to_owned(), "k00".to_owned()];
        let found = ground.client.get_many(&cx, GetMany { chain: Chain::NeoN3, owner: None, keys }).await.unwrap();
        assert_eq!(found.items.iter().map(|item| item.value.as_str()).collect::<Vec<_>>(), ["1", "0"]);
        assert_eq!(found.missing, ["nope"]);
        ground.exact_usage(&cx.tenant).await;
        let bad = PutMany { items: vec![put("fine", "1"), put("not fine", "1")] };
        let error = ground.client.put_many(&cx, bad).await.unwrap_err();
        assert_eq!((&*error.slug, &error.details["item"]), ("storage.key_malformed", &1.into()));
        assert_eq!(slug(ground.client.put_many(&cx, PutMany { items: Vec::new() }).await), "storage.batch_size");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_go_by_prefix_in_pages_in_one_order() {
    each(async |ground| {
        let cx = ground.alone();
        for key in ["a", "a:1", "a:2", "a:10", "A:1", "b", "a-1", "a_1", "a:2:x", "aa"] {
            ground.put(&cx, put(key, "1")).await.unwrap();
        }
        let list = async |prefix: &str, limit: u32| {
            let (mut keys, mut after) = (Vec::new(), None);
            loop {
                let list =
                    List { chain: Chain::NeoN3, owner: None, prefix: prefix.into(), limit, after, max_stale_ms: None };
                let page = ground.client.list(&cx, list).await.unwrap();
                assert!(page.items.len() <= limit as usize);
                keys.extend(page.items.into_iter().map(|meta| meta.key));
                after = page.next;
                if after.is_none() {
                    return keys;
                }
            }
        };
        for limit in [1, 2, 3, 100] {
            assert_eq!(list("", limit).await, ["A:1", "a", "a-1", "a:1", "a:10", "a:2", "a:2:x", "a_1", "aa", "b"]);
            assert_eq!(list("a:", limit).await, ["a:1", "a:10", "a:2", "a:2:x"]);
            assert_eq!(list("a", limit).await, ["a", "a-1", "a:1", "a:10", "a:2", "a:2:x", "a_1", "aa"]);
            assert!(list("zzz", limit).await.is_empty());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_idempotency_key_is_one_write() {
    each(async |ground| {
        let mut cx = ground.alone();
        cx.once = Some(Once { key: "k".into(), fingerprint: "f".into() });
        let first = ground.put(&cx, put("a", "1")).await.unwrap();
        assert_eq!(ground.put(&cx, put("a", "1")).await.unwrap(), first);
        let racing = join_all((0..8).map(|_| ground.put(&cx, put("a", "1")))).await;
        assert!(racing.into_iter().all(|outcome| outcome.unwrap() == first));
        cx.once = None;
        assert_eq!(ground.put(&cx, put("a", "2")).await.unwrap().version, 2);
        assert_eq!(ground.evidence(&cx.tenant, "storage.value_stored").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_repeated_brings_no_old_value_back() {
    each(async |ground| {
        let cx = ground.alone();
        let mut again = cx.clone();
        again.once = Some(Once { key: "k".into(), fingerprint: "f".into() });
        ground.put(&cx, put("a", "1")).await.unwrap();
        let first = ground.put(&again, put("a", "2")).await.unwrap();
        assert_eq!(ground.text(&cx, "a").await, "2");
        ground.put(&cx, put("a", "3")).await.unwrap();
        // What the cache knew of the third version is over.
        ground.clock.advance(31 * SECOND);
        assert_eq!(ground.put(&again, put("a", "2")).await.unwrap(), first);
        assert_eq!(ground.text(&cx, "a").await, "3");
    })
    .await;
}

/// Stores an old value that the cache then knows, and says its version.
async fn cached(ground: &Ground, cx: &Cx) -> i64 {
    let version = ground.put(cx, put("a", "\"old\"")).await.unwrap().version;
    assert_eq!(ground.text(cx, "a").await, "\"old\"");
    version
}

/// The version that lies on disk.
async fn truth(ground: &Ground, cx: &Cx) -> i64 {
    ground.number("SELECT version FROM storage_data WHERE tenant_id = $1", nsl_sql::args![&cx.tenant]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_no_old_value_in_the_cache() {
    each(async |ground| {
        let cx = ground.alone();
        let (version, write) = loop {
            let version = cached(&ground, &cx).await;
            let mut write = Box::pin(ground.put(&cx, put("a", "\"new\"")));
            // Else it was faster than us.
            if futures_util::poll!(&mut write).is_pending() {
                break (version, write);
            }
        };
        while truth(&ground, &cx).await == version {
            tokio::task::yield_now().await;
        }
        drop(write);
        while ground.text(&cx, "a").await == "\"old\"" {
            tokio::task::yield_now().await;
        }
        ground.put(&cx, put("a", "3")).await.unwrap();
        assert_eq!(ground.text(&cx, "a").await, "3");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_ends_too_late_leaves_no_old_value_in_the_cache() {
    each(async |ground| {
        let cx = ground.alone();
        let mut version = cached(&ground, &cx).await;
        let mut budgets = (1..=200).map(|step| step * Duration::from_micros(50)).cycle();
        while truth(&ground, &cx).await == version {
            let mut hasty = cx.clone();
            hasty.deadline = Deadline::within(budgets.next().unwrap());
            if ground.put(&hasty, put("a", "\"new\"")).await.is_ok() {
                version = cached(&ground, &cx).await;
            }
        }
        ground.db.drain().await;
        while ground.text(&cx, "a").await == "\"old\"" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_counted_without_writing_each() {
    each(async |ground| {
        let cx = ground.alone();
        ground.put(&cx, put("a", "1")).await.unwrap();
        ground.put(&cx, put("b", "1")).await.unwrap();
        for _ in 0..7 {
            ground.get(&cx, "a").await.unwrap();
        }
        ground.clock.advance(SECOND);
        ground.get(&cx, "b").await.unwrap();
        assert_eq!(ground.tick(Tick::Reads).await, 2);
        assert_eq!(ground.tick(Tick::Reads).await, 0);
        ground.get(&cx, "a").await.unwrap();
        ground.tick(Tick::Reads).await;
        let mut fresh = get("a");
        fresh.fresh = true;
        let meta = ground.client.describe(&cx, fresh).await.unwrap();
        assert_eq!((meta.accessed_count, meta.version), (8, 1));
        assert_eq!(meta.last_accessed.map(|at| at.0), Some(nsl_core::Clock::now(&*ground.clock).0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_many_tenants_and_kinds_keep_apart() {
    each(async |ground| {
        let callers: Vec<_> = (0..16).map(|_| ground.cx(&TenantId::fresh(), "sub_same")).collect();
        let all = callers.iter().enumerate().flat_map(|(at, cx)| {
            let ground = &ground;
            (0..8).map(move |round| async move {
                let mut wanted = put("shared-name", &format!("[{at},{round}]"));
                wanted.encrypted = round % 2 == 0;
                wanted.access = Access::Shared;
                wanted.shared_with = vec![Subject::parse("sub_friend").unwrap()];
                ground.put(cx, wanted).await.unwrap();
            })
        });
        join_all(all).await;
        for (at, cx) in callers.iter().enumerate() {
            let item = ground.get(cx, "shared-name").await.unwrap();
            assert!(item.value.as_str().starts_with(&format!("[{at},")));
            assert_eq!(item.meta.version, 8);
            assert_eq!(ground.exact_usage(&cx.tenant).await.1, 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_steps_back_breaks_no_order() {
    each(async |ground| {
        let cx = ground.alone();
        let first = ground.put(&cx, put("a", "1")).await.unwrap();
        let start = nsl_core::Clock::now(&*ground.clock);
        ground.clock.set(start.minus(3600 * SECOND));
        let second = ground.put(&cx, put("a", "2")).await.unwrap();
        assert_eq!(second.version, 2);
        assert_eq!(second.updated_at, first.updated_at);
        assert_eq!(ground.text(&cx, "a").await, "2");
        assert_eq!(ground.evidence(&cx.tenant, "storage.value_stored").await, 2);
    })
    .await;
}
