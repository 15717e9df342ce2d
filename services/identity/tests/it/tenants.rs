use std::time::Duration;

use nsl_api::identity::{CreateTenant, ListKeys, RevokeKey};
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
