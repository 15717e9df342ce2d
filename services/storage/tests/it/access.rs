use nsl_api::storage::{Access, Amend, Chain, Get, History, List};
use nsl_core::{Principal, Subject, TenantId};
use nsl_sql::args;

use crate::ground::{each, get, of, put, sealed, slug};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_read_is_what_the_owner_says() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let (owner, friend, other) =
            (ground.cx(&tenant, "sub_owner"), ground.cx(&tenant, "sub_friend"), ground.cx(&tenant, "sub_other"));
        let mut nobody = ground.cx(&tenant, "sub_owner");
        nobody.principal = Principal::anonymous();
        for access in [Access::Private, Access::Tenant, Access::Shared, Access::Public] {
            let mut wanted = sealed(access.as_str(), "1");
            wanted.access = access;
            let friends = [Subject::parse("sub_friend").unwrap()];
            wanted.shared_with = friends.into_iter().filter(|_| access == Access::Shared).collect();
            ground.put(&owner, wanted).await.unwrap();
        }
        // Once from SQL, once from the cache.
        for _ in 0..2 {
            for (cx, seen) in [(&friend, [false, true, true, true]), (&other, [false, true, false, true])] {
                for (access, may) in ["private", "tenant", "shared", "public"].into_iter().zip(seen) {
                    let outcome = slug(ground.client.get(cx, of("sub_owner", access)).await);
                    assert_eq!(outcome, if may { "ok" } else { "storage.not_found" }, "{access}");
                }
            }
            for access in ["private", "tenant", "shared", "nothing-there"] {
                assert_eq!(slug(ground.client.get(&nobody, of("sub_owner", access)).await), "auth.missing");
            }
            assert_eq!(slug(ground.client.get(&nobody, of("sub_owner", "public")).await), "ok");
        }
        let seen = async |cx: &nsl_core::Cx| {
            let owner = Some(Subject::parse("sub_owner").unwrap());
            let list =
                List { chain: Chain::NeoN3, owner, prefix: String::new(), limit: 2, after: None, max_stale_ms: None };
            let first = ground.client.list(cx, list.clone()).await.unwrap();
            let mut keys: Vec<_> = first.items.into_iter().map(|meta| meta.key).collect();
            if first.next.is_some() {
                let list = List { after: first.next, ..list };
                keys.extend(ground.client.list(cx, list).await.unwrap().items.into_iter().map(|meta| meta.key));
            }
            keys.join(" ")
        };
        assert_eq!(seen(&owner).await, "private public shared tenant");
        assert_eq!(seen(&friend).await, "public shared tenant");
        assert_eq!(seen(&other).await, "public tenant");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_anothers_values_does_not_stumble_over_hidden_ones() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let (owner, friend) = (ground.cx(&tenant, "sub_owner"), ground.cx(&tenant, "sub_friend"));
        // Shared with others, whose names hold the reader's.
        for number in 0..20 {
            let mut wanted = sealed(&format!("a{number:02}"), "1");
            wanted.access = Access::Shared;
            wanted.shared_with = ["sub_friend2", "x_sub_friend"].map(|name| Subject::parse(name).unwrap()).into();
            ground.put(&owner, wanted).await.unwrap();
        }
        for key in ["b", "c"] {
            let mut wanted = sealed(key, "1");
            wanted.access = Access::Shared;
            wanted.shared_with = ["sub_x", "sub_friend"].map(|name| Subject::parse(name).unwrap()).into();
            wanted.metadata = Some(nsl_api::storage::Value::parse(r#"{"m": 1.50}"#).unwrap());
            ground.put(&owner, wanted).await.unwrap();
        }
        // A list reads no value: it goes on where one can't be read at all.
        ground
            .tamper("UPDATE storage_data SET sealed = NULL, key_id = NULL WHERE tenant_id = $1", args![&tenant])
            .await;
        let list = List {
            chain: Chain::NeoN3,
            owner: Some(Subject::parse("sub_owner").unwrap()),
            prefix: String::new(),
            limit: 1,
            after: None,
            max_stale_ms: None,
        };
        let first = ground.client.list(&friend, list.clone()).await.unwrap();
        assert_eq!((first.items[0].key.as_str(), first.items[0].encrypted), ("b", true));
        assert_eq!(first.items[0].metadata.as_ref().unwrap().as_str(), r#"{"m": 1.50}"#);
        assert_eq!(first.items[0].shared_with.len(), 2);
        // No name of what is hidden in it.
        assert_eq!(first.next.as_deref(), Some("b"));
        let second = ground.client.list(&friend, List { after: first.next, ..list.clone() }).await.unwrap();
        assert_eq!((second.items[0].key.as_str(), second.next), ("c", None));
        let own = List { limit: 100, ..list };
        assert_eq!(ground.client.list(&owner, own).await.unwrap().items.len(), 22);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_value_looks_like_none() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let (owner, other) = (ground.cx(&tenant, "sub_owner"), ground.cx(&tenant, "sub_other"));
        ground.put(&owner, put("there", "1")).await.unwrap();
        ground.get(&owner, "there").await.unwrap();
        let past = |key: &str| Get { version: Some(1), ..of("sub_owner", key) };
        let history = |key: &str| History { at: of("sub_owner", key).at, limit: 10, after: None };
        let looks = async |key: &str| {
            [
                ground.client.get(&other, of("sub_owner", key)).await.unwrap_err(),
                ground.client.describe(&other, of("sub_owner", key)).await.unwrap_err(),
                ground.client.get(&other, past(key)).await.unwrap_err(),
                ground.client.history(&other, history(key)).await.unwrap_err(),
            ]
        };
        for (mut hidden, absent) in looks("there").await.into_iter().zip(looks("nowhere").await) {
            // What the edge counts, and takes away before it answers.
            assert_eq!(hidden.details.remove("refused"), Some(true.into()));
            assert_eq!(serde_json::to_value(&hidden).unwrap(), serde_json::to_value(&absent).unwrap());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenant_never_sees_anothers_rows() {
    each(async |ground| {
        let (mine, theirs) = (ground.alone(), ground.alone());
        let mut public = put("a", "1");
        public.access = Access::Tenant;
        ground.put(&mine, public).await.unwrap();
        ground.get(&mine, "a").await.unwrap();
        assert_eq!(slug(ground.get(&theirs, "a").await), "storage.not_found");
        assert_eq!(slug(ground.client.get(&theirs, of("sub_alice", "a")).await), "storage.not_found");
        if let Some(database) = &ground.database {
            // Even a statement that forgets the tenant finds only the rows of its own.
            let count = async |tenant: &TenantId| -> i64 {
                let sql = "SELECT count(*) FROM storage_data";
                let scope = nsl_sql::Scope::Tenant(tenant);
                ground.db.query(scope, sql, Vec::new()).await.unwrap()[0].take(0).unwrap()
            };
            assert_eq!((count(&mine.tenant).await, count(&theirs.tenant).await), (1, 0));
            for table in ["storage_data", "storage_versions", "storage_usage", "gdpr_requests"] {
                let sql =
                    format!("select relrowsecurity and relforcerowsecurity from pg_class where relname = '{table}';");
                assert_eq!(database.query(&sql).unwrap(), "t", "{table}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_is_missing_refuses() {
    each(async |ground| {
        let mut cx = ground.alone();
        ground.put(&cx, put("a", "1")).await.unwrap();
        cx.principal.scopes = ["storage:read".to_owned()].into();
        assert_eq!(slug(ground.put(&cx, put("a", "1")).await), "auth.scope_missing");
        ground.get(&cx, "a").await.unwrap();
        cx.principal.scopes = ["storage:write".to_owned()].into();
        assert_eq!(slug(ground.get(&cx, "a").await), "auth.scope_missing");
        assert_eq!(slug(ground.get(&cx, "absent").await), "auth.scope_missing");
        ground.put(&cx, put("a", "1")).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_whom_a_value_is_shared_changes_at_once() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let owner = ground.cx(&tenant, "sub_owner");
        let named = |names: &[&str]| names.iter().map(|name| Subject::parse(name).unwrap()).collect::<Vec<_>>();
        for wanted in [put("a", "1"), sealed("b", "1")] {
            let key = wanted.key.clone();
            let wanted = nsl_api::storage::Put { access: Access::Shared, shared_with: named(&["sub_x"]), ..wanted };
            ground.put(&owner, wanted).await.unwrap();
            let readers = async || {
                let mut found = Vec::new();
                for name in ["sub_x", "sub_y"] {
                    let read = ground.client.get(&ground.cx(&tenant, name), of("sub_owner", &key)).await;
                    found.extend(read.is_ok().then_some(name));
                }
                found
            };
            assert_eq!(readers().await, ["sub_x"]);
            for (number, names) in [&["sub_y"][..], &["sub_x", "sub_y"], &[]].into_iter().enumerate() {
                let amend = Amend {
                    chain: Chain::NeoN3,
                    key: key.clone(),
                    access: Some(Access::Shared),
                    shared_with: Some(named(names)),
                    expires_at: None,
                    retain_until: None,
                    metadata: None,
                    expected_version: None,
                };
                assert_eq!(ground.client.amend(&owner, amend).await.unwrap().version, 2 + number as i64);
                assert_eq!(readers().await, names);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_private_again_is_private_at_once() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let (owner, other) = (ground.cx(&tenant, "sub_owner"), ground.cx(&tenant, "sub_other"));
        for wanted in [put("a", "1"), sealed("b", "1")] {
            let key = wanted.key.clone();
            ground.put(&owner, nsl_api::storage::Put { access: Access::Tenant, ..wanted }).await.unwrap();
            ground.client.get(&other, of("sub_owner", &key)).await.unwrap();
            let amend = Amend {
                chain: Chain::NeoN3,
                key: key.clone(),
                access: Some(Access::Private),
                shared_with: None,
                expires_at: None,
                retain_until: None,
                metadata: None,
                expected_version: Some(1),
            };
            assert_eq!(ground.client.amend(&owner, amend).await.unwrap().version, 2);
            assert_eq!(slug(ground.client.get(&other, of("sub_owner", &key)).await), "storage.not_found");
            assert_eq!(ground.client.get(&owner, get(&key)).await.unwrap().value.as_str(), "1");
        }
        assert_eq!(ground.evidence(&tenant, "storage.value_amended").await, 2);
    })
    .await;
}
