use std::time::Duration;

use nsl_api::identity::{CreateTenant, ListKeys, ListTenants, RevokeKey};
use nsl_core::{Code, Cx, Subject, TenantId};

use crate::ground::{Ground, each, new_key};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_platform_makes_tenants() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let request = || CreateTenant { name: "mine".to_owned(), subject: Subject::parse("eve").unwrap() };
        let refused = ground.identity.create_tenant(&owner, request()).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "identity.platform_only"));
        let cx = Cx::system(TenantId::fresh(), Duration::from_secs(10));
        let nameless = CreateTenant { name: String::new(), ..request() };
        assert_eq!(ground.identity.create_tenant(&cx, nameless).await.unwrap_err().code, Code::Invalid);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_alone_sees_all_tenants_newest_first() {
    each(async |ground: Ground| {
        let mut made = Vec::new();
        for _ in 0..3 {
            made.push(ground.tenant().await);
        }
        let cx = Cx::system(TenantId::fresh(), Duration::from_secs(10));
        let list = |after: Option<String>| ListTenants { limit: 2, after };
        let first = ground.identity.list_tenants(&cx, list(None)).await.unwrap();
        assert_eq!((first.items.len(), first.items[0].name.as_str()), (2, "acme"));
        let second = ground.identity.list_tenants(&cx, list(first.next.clone())).await.unwrap();
        let seen: Vec<_> = first.items.iter().chain(&second.items).map(|found| &found.tenant).collect();
        assert_eq!(seen, made.iter().rev().map(|made| &made.tenant).collect::<Vec<_>>());
        assert_eq!((first.next.is_some(), second.next), (true, None));
        let owner = ground.as_key(&made[0].key).await;
        let refused = ground.identity.list_tenants(&owner, list(None)).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "identity.platform_only"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_neither_sees_nor_ends_the_keys_of_another() {
    each(async |ground: Ground| {
        let (one, other) = (ground.tenant().await, ground.tenant().await);
        let (alice, eve) = (ground.as_key(&one.key).await, ground.as_key(&other.key).await);
        assert_ne!(alice.tenant, eve.tenant);
        let key = ground.identity.create_key(&alice, new_key("ci", &["*"])).await.unwrap();
        let hidden = ground.identity.revoke_key(&eve, RevokeKey { id: key.key.id.clone() }).await.unwrap_err();
        assert_eq!((hidden.code, &*hidden.slug), (Code::NotFound, "identity.key_missing"));
        let seen = ground.identity.list_keys(&eve, ListKeys { limit: 50, after: None }).await.unwrap();
        assert_eq!(seen.items.iter().map(|key| &key.id).collect::<Vec<_>>(), [&other.key.key.id]);
        assert!(ground.authenticate(&key.secret.0).await.is_ok());
    })
    .await;
}
