use nsl_api::storage::{Access, Amend, Chain, Delete, History, Put, Restore, Value};
use nsl_core::Clock;
use nsl_storage::{Config, Quota, Tick};

use crate::ground::{DAY, Ground, SECOND, at, each, get, put, sealed, slug};

fn delete(key: &str) -> Delete {
    Delete { chain: Chain::NeoN3, key: key.into(), expected_version: None }
}

fn restore(key: &str, version: i64) -> Restore {
    Restore { chain: Chain::NeoN3, key: key.into(), version, expected_version: None }
}

fn amend(key: &str) -> Amend {
    Amend {
        chain: Chain::NeoN3,
        key: key.into(),
        access: None,
        shared_with: None,
        expires_at: None,
        retain_until: None,
        metadata: None,
        expected_version: None,
    }
}

async fn versions(ground: &Ground, cx: &nsl_core::Cx, key: &str, limit: u32) -> Vec<(i64, bool)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = ground.client.history(cx, History { at: at(key), limit, after }).await.unwrap();
        all.extend(page.items.into_iter().map(|version| (version.version, version.deleted)));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trimmed_key_begins_anew_and_nothing_old_comes_from_the_cache() {
    each(async |one| {
        let two = Ground::open(one.dir.clone(), one.database.clone(), one.clock.clone()).await;
        let cx = one.alone();
        for number in 1..=3 {
            one.put(&cx, put("a", &number.to_string())).await.unwrap();
        }
        assert_eq!(two.text(&cx, "a").await, "3");
        one.built.tune(Config { keep_deleted_days: 0, ..Config::default() }, Quota::default());
        two.built.tune(Config { keep_deleted_days: 0, ..Config::default() }, Quota::default());
        one.client.delete(&cx, delete("a")).await.unwrap();
        one.clock.advance(SECOND);
        // Who takes the key away still had a copy of it.
        two.tick(Tick::Trim).await;
        assert_eq!(one.put(&cx, put("a", "\"new\"")).await.unwrap().version, 1);
        assert_eq!(two.text(&cx, "a").await, "\"new\"");
        assert_eq!(one.text(&cx, "a").await, "\"new\"");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_versions_can_be_read_listed_and_restored() {
    each(async |ground| {
        let cx = ground.alone();
        for (number, make) in [put as fn(&str, &str) -> Put, sealed, put, sealed].into_iter().enumerate() {
            let mut wanted = make("a", &format!("\"v{}\"", number + 1));
            wanted.metadata = Some(Value::parse(&format!("{{\"m\":{}}}", number + 1)).unwrap());
            wanted.access = Access::Tenant;
            ground.put(&cx, wanted).await.unwrap();
        }
        ground.client.delete(&cx, delete("a")).await.unwrap();
        let all = [(5, true), (4, false), (3, false), (2, false), (1, false)];
        for limit in [1, 2, 10] {
            assert_eq!(versions(&ground, &cx, "a", limit).await, all);
        }
        for version in 1..=4 {
            let item =
                ground.client.get(&cx, nsl_api::storage::Get { version: Some(version), ..get("a") }).await.unwrap();
            assert_eq!(item.value.as_str(), format!("\"v{version}\""));
            assert_eq!((item.meta.version, item.meta.encrypted), (version, version % 2 == 0));
        }
        for absent in [0, 5, 6, -1] {
            let get = nsl_api::storage::Get { version: Some(absent), ..get("a") };
            assert_eq!(slug(ground.client.get(&cx, get).await), "storage.not_found");
        }
        // Restored to private, since nobody was let in to what is deleted.
        let stored = ground.client.restore(&cx, restore("a", 2)).await.unwrap();
        assert_eq!((stored.version, stored.created), (6, true));
        let item = ground.get(&cx, "a").await.unwrap();
        assert_eq!((item.value.as_str(), item.meta.encrypted), ("\"v2\"", true));
        assert_eq!((item.meta.access, item.meta.metadata.unwrap().as_str()), (Access::Private, "{\"m\":2}"));
        assert_eq!(ground.client.restore(&cx, restore("a", 3)).await.unwrap().version, 7);
        assert_eq!(ground.text(&cx, "a").await, "\"v3\"");
        assert_eq!(slug(ground.client.restore(&cx, restore("a", 5)).await), "storage.version_not_found");
        assert_eq!(slug(ground.client.restore(&cx, restore("b", 1)).await), "storage.version_not_found");
        let stale = Restore { expected_version: Some(6), ..restore("a", 1) };
        assert_eq!(slug(ground.client.restore(&cx, stale).await), "storage.version_conflict");
        assert_eq!(ground.evidence(&cx.tenant, "storage.value_restored").await, 2);
        ground.exact_usage(&cx.tenant).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_kept_as_long_as_the_settings_say() {
    each(async |ground| {
        ground.built.tune(Config { keep_versions: 3, keep_deleted_days: 10, ..Config::default() }, Quota::default());
        let cx = ground.alone();
        for round in 1..=9 {
            ground.put(&cx, put("a", &round.to_string())).await.unwrap();
        }
        assert_eq!(versions(&ground, &cx, "a", 100).await, [(9, false), (8, false), (7, false), (6, false)]);
        ground.exact_usage(&cx.tenant).await;
        ground.put(&cx, put("b", "1")).await.unwrap();
        ground.client.delete(&cx, delete("a")).await.unwrap();
        ground.clock.advance(DAY * 9);
        assert_eq!(ground.tick(Tick::Trim).await, 0);
        ground.clock.advance(DAY * 2);
        assert!(ground.tick(Tick::Trim).await > 0);
        let gone = History { at: at("a"), limit: 10, after: None };
        assert_eq!(slug(ground.client.history(&cx, gone).await), "storage.not_found");
        assert_eq!(ground.exact_usage(&cx.tenant).await, (1, 1));
        assert_eq!(ground.evidence(&cx.tenant, "storage.history_trimmed").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_value_is_gone_at_once_and_swept_later() {
    each(async |ground| {
        let cx = ground.alone();
        let soon = ground.clock.now().plus(SECOND * 10);
        for key in ["a", "b"] {
            ground.put(&cx, put(key, "1")).await.unwrap();
            ground.put(&cx, Put { expires_at: Some(soon), ..sealed(key, "2") }).await.unwrap();
        }
        assert_eq!(ground.text(&cx, "a").await, "2");
        assert_eq!(ground.tick(Tick::Expiry).await, 0);
        ground.clock.advance(SECOND * 10);
        assert_eq!(slug(ground.get(&cx, "a").await), "storage.not_found");
        let past = nsl_api::storage::Get { version: Some(1), ..get("a") };
        assert_eq!(slug(ground.client.get(&cx, past).await), "storage.not_found");
        let history = History { at: at("a"), limit: 10, after: None };
        assert_eq!(slug(ground.client.history(&cx, history.clone()).await), "storage.not_found");
        assert_eq!(slug(ground.client.delete(&cx, delete("a")).await), "storage.not_found");
        assert_eq!(slug(ground.client.amend(&cx, amend("a")).await), "storage.not_found");
        assert_eq!(slug(ground.client.restore(&cx, restore("a", 1)).await), "storage.version_not_found");
        // One is written anew before the sweep: what had expired does not come back as its history.
        let stored = ground.put(&cx, put("b", "3")).await.unwrap();
        assert_eq!((stored.version, stored.created), (3, true));
        assert_eq!(versions(&ground, &cx, "b", 10).await, [(3, false)]);
        assert_eq!(ground.tick(Tick::Expiry).await, 1);
        assert_eq!(ground.tick(Tick::Expiry).await, 0);
        assert_eq!(ground.evidence(&cx.tenant, "storage.values_expired").await, 1);
        assert_eq!(ground.exact_usage(&cx.tenant).await, (1, 1));
        let stored = ground.put(&cx, put("a", "4")).await.unwrap();
        assert_eq!((stored.version, stored.created), (4, true));
        assert_eq!(ground.text(&cx, "a").await, "4");
        // An expiry in the history holds there too.
        let soon = ground.clock.now().plus(SECOND * 10);
        ground.put(&cx, Put { expires_at: Some(soon), ..put("c", "1") }).await.unwrap();
        ground.put(&cx, put("c", "22")).await.unwrap();
        ground.clock.advance(SECOND * 10);
        assert_eq!(versions(&ground, &cx, "c", 10).await, [(2, false)]);
        assert_eq!(ground.tick(Tick::Expiry).await, 1);
        ground.exact_usage(&cx.tenant).await;
        assert_eq!(ground.text(&cx, "c").await, "22");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retention_lock_holds_against_everyone() {
    each(async |ground| {
        let cx = ground.alone();
        let until = ground.clock.now().plus(DAY);
        ground.put(&cx, Put { retain_until: Some(until), ..sealed("a", "1") }).await.unwrap();
        let held = ground.put(&cx, put("a", "2")).await.unwrap_err();
        assert_eq!((&*held.slug, held.details.contains_key("refused")), ("storage.retained", true));
        assert_eq!(slug(ground.client.delete(&cx, delete("a")).await), "storage.retained");
        assert_eq!(slug(ground.client.restore(&cx, restore("a", 1)).await), "storage.retained");
        let sooner = Amend { retain_until: Some(until.minus(SECOND)), ..amend("a") };
        assert_eq!(slug(ground.client.amend(&cx, sooner).await), "storage.retained");
        let expiring = Amend { expires_at: Some(until.minus(SECOND)), ..amend("a") };
        assert_eq!(slug(ground.client.amend(&cx, expiring).await), "storage.expires_locked");
        let metadata = Amend { metadata: Some(Value::parse("{}").unwrap()), ..amend("a") };
        assert_eq!(slug(ground.client.amend(&cx, metadata).await), "storage.retained");
        let later = Amend { retain_until: Some(until.plus(DAY)), access: Some(Access::Tenant), ..amend("a") };
        assert_eq!(ground.client.amend(&cx, later).await.unwrap().version, 2);
        assert_eq!(ground.text(&cx, "a").await, "1");
        ground.clock.advance(DAY + SECOND);
        assert_eq!(slug(ground.put(&cx, put("a", "2")).await), "storage.retained");
        ground.clock.advance(DAY);
        ground.put(&cx, put("a", "2")).await.unwrap();
        ground.exact_usage(&cx.tenant).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stores_and_deletes_all_day_leaves_no_more_traces_than_values_may_be() {
    each(async |ground| {
        ground.built.tune(Config::default(), Quota { items: 3, bytes: 1 << 20 });
        let cx = ground.alone();
        for number in 0..10 {
            let key = format!("k{number}");
            ground.put(&cx, put(&key, "1")).await.unwrap();
            ground.client.delete(&cx, delete(&key)).await.unwrap();
            ground.clock.advance(SECOND);
        }
        ground.put(&cx, put("stays", "1")).await.unwrap();
        ground.tick(Tick::Trim).await;
        for number in 0..10 {
            let key = format!("k{number}");
            let restored = ground.client.restore(&cx, restore(&key, 1)).await;
            if number < 7 {
                assert_eq!(slug(restored), "storage.version_not_found");
            } else if number < 9 {
                assert_eq!(restored.unwrap().version, 3);
            }
        }
        assert_eq!(ground.exact_usage(&cx.tenant).await.1, 3);
    })
    .await;
}
