use std::sync::Arc;

use futures_util::future::join_all;
use nsl_api::storage::Get;
use nsl_core::{Secret, TenantId};
use nsl_sql::args;

use crate::ground::{Ground, each, get, of, put, sealed};

async fn opens(ground: &Ground, cx: &nsl_core::Cx, key: &str) -> bool {
    match ground.client.get(cx, Get { fresh: true, ..get(key) }).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code, nsl_core::Code::Internal);
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_sealed_value_lies_in_the_database() {
    each(async |ground| {
        let cx = ground.alone();
        ground.put(&cx, sealed("a", "\"marrow-of-the-secret\"")).await.unwrap();
        ground.put(&cx, sealed("a", "\"marrow-again\"")).await.unwrap();
        ground.put(&cx, put("plain", "\"marrow-in-the-open\"")).await.unwrap();
        match &ground.database {
            Some(database) => {
                let sql = "select count(*) from neo_service_layer.storage_data where storage_data::text like '%marrow%';";
                assert_eq!(database.query(sql).unwrap(), "1");
                let sql = "select count(*) from neo_service_layer.storage_versions where storage_versions::text like '%marrow%';";
                assert_eq!(database.query(sql).unwrap(), "0");
            }
            None => {
                for file in ["nsl.db", "nsl.db-wal"] {
                    let bytes = std::fs::read(ground.dir.path().join(file)).unwrap();
                    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
                    assert!(!has(b"marrow-of-the-secret") && !has(b"marrow-again"), "{file}");
                }
            }
        }
        assert_eq!(ground.text(&cx, "a").await, "\"marrow-again\"");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_value_opens_nowhere_else() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let (alice, bob, other) = (ground.cx(&tenant, "sub_alice"), ground.cx(&tenant, "sub_bob"), ground.alone());
        for key in ["a", "b"] {
            ground.put(&alice, sealed(key, "1")).await.unwrap();
        }
        ground.put(&alice, sealed("a", "2")).await.unwrap();
        ground.put(&bob, sealed("a", "3")).await.unwrap();
        ground.put(&other, sealed("b", "4")).await.unwrap();
        let swap = "UPDATE storage_data SET sealed = (SELECT sealed FROM storage_data s WHERE s.tenant_id = $1 AND s.user_address = $2 AND s.key = $3),
                      key_id = (SELECT key_id FROM storage_data s WHERE s.tenant_id = $1 AND s.user_address = $2 AND s.key = $3)
                    WHERE tenant_id = $4 AND user_address = $5 AND key = $6";
        // From one key to another, from one owner to another, from one tenant to another.
        ground.tamper(swap, args![&tenant, "sub_alice", "a", &tenant, "sub_alice", "b"]).await;
        assert!(!opens(&ground, &alice, "b").await);
        ground.tamper(swap, args![&tenant, "sub_alice", "a", &tenant, "sub_bob", "a"]).await;
        assert!(!opens(&ground, &bob, "a").await);
        // The foreign tenant's key is not even found there.
        ground.tamper(swap, args![&tenant, "sub_alice", "a", &other.tenant, "sub_alice", "b"]).await;
        assert!(ground.client.get(&other, Get { fresh: true, ..get("b") }).await.is_err());
        // From one version to another: an older state put in the place of the present one.
        let back = "UPDATE storage_data SET sealed = (SELECT sealed FROM storage_versions v WHERE v.tenant_id = $1 AND v.key = 'a' AND v.version = 1)
                    WHERE tenant_id = $1 AND user_address = 'sub_alice' AND key = 'a'";
        assert!(opens(&ground, &alice, "a").await);
        ground.tamper(back, args![&tenant]).await;
        assert!(!opens(&ground, &alice, "a").await);
        let sealed_as = "UPDATE storage_versions SET version = 7 WHERE tenant_id = $1 AND key = 'a'";
        ground.tamper(sealed_as, args![&tenant]).await;
        assert!(ground.client.get(&alice, Get { version: Some(7), ..get("a") }).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_bit_is_noticed() {
    each(async |ground| {
        let cx = ground.alone();
        ground.put(&cx, sealed("a", "1")).await.unwrap();
        let change = "UPDATE storage_data SET sealed = $2 WHERE tenant_id = $1";
        let read = "SELECT sealed FROM storage_data WHERE tenant_id = $1";
        let mut rows = ground.db.query(nsl_sql::Scope::Platform, read, args![&cx.tenant]).await.unwrap();
        let mut bytes: Vec<u8> = rows[0].take(0).unwrap();
        bytes[40] ^= 1;
        ground.tamper(change, args![&cx.tenant, bytes]).await;
        assert!(!opens(&ground, &cx, "a").await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_keys_rotate_while_values_are_stored_and_read() {
    each(async |ground| {
        let tenant = TenantId::fresh();
        let callers: Vec<_> = (0..8).map(|number| ground.cx(&tenant, &format!("sub_{number}"))).collect();
        for cx in &callers {
            ground.put(cx, sealed("old", "\"old\"")).await.unwrap();
        }
        let ground = Arc::new(ground);
        let serving = callers.iter().map(|cx| {
            let ground = Arc::clone(&ground);
            async move {
                for round in 0..20 {
                    ground.put(cx, sealed("new", &round.to_string())).await.unwrap();
                    let read = ground.client.get(cx, Get { fresh: true, ..get("old") }).await.unwrap();
                    assert_eq!(read.value.as_str(), "\"old\"");
                }
            }
        });
        let rotating = async {
            for secret in [[1; 32], [2; 32]] {
                ground.secrets.put_new_version("root", &Secret::new(secret)).await.unwrap();
                while ground.keyring.rewrap(3).await.unwrap() > 0 {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::join!(join_all(serving), rotating);
        let outdated = ground.number("SELECT count(*) FROM data_keys WHERE root_version < 3", Vec::new()).await;
        assert_eq!(outdated, 0);
        // A process that knows only the rotated state opens everything.
        let again = Ground::open(ground.dir.clone(), ground.database.clone(), ground.clock.clone()).await;
        for cx in &callers {
            assert_eq!(again.text(cx, "old").await, "\"old\"");
            assert_eq!(
                again.client.get(cx, of(cx.principal.subject.as_str(), "new")).await.unwrap().value.as_str(),
                "19"
            );
        }
    })
    .await;
}
