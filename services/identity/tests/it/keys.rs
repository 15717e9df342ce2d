use std::time::Duration;

use nsl_api::identity::{CreateKey, ListKeys, RevokeKey};
use nsl_core::{Code, Once, Subject};
use nsl_sql::{Scope, args};

use crate::ground::{Ground, digest_of, each, new_key};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_its_tenant_subject_and_scopes_until_it_is_revoked() {
    each(async |ground: Ground| {
        let made = ground.tenant().await;
        let owner = ground.as_key(&made.key).await;
        assert_eq!((&owner.tenant, owner.principal.subject.as_str()), (&made.tenant, "alice"));
        let key = ground.identity.create_key(&owner, new_key("ci", &["storage:read"])).await.unwrap();
        let found = ground.authenticate(&key.secret.0).await.unwrap();
        assert_eq!((&found.tenant, &*found.principal.credential), (&made.tenant, key.key.id.as_str()));
        assert_eq!(found.principal.scopes.to_vec(), ["storage:read"]);

        let ended = ground.identity.revoke_key(&owner, RevokeKey { id: key.key.id.clone() }).await.unwrap();
        assert!(ended.revoked_at.is_some());
        assert_eq!(*ground.revoked.lock(), [digest_of(&key.secret.0)]);
        let refused = ground.authenticate(&key.secret.0).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Unauthenticated, "auth.key_unknown"));
        // Once more changes nothing, and is no second line of evidence.
        let again = ground.identity.revoke_key(&owner, RevokeKey { id: key.key.id }).await.unwrap();
        assert_eq!(again.revoked_at, ended.revoked_at);
        let events = ground.events(&made.tenant).await;
        assert_eq!(
            events,
            ["identity.key_revoked", "identity.key_created", "identity.key_created", "identity.tenant_created"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_malformed_and_expired_keys_are_refused_alike() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let expires_at = Some(nsl_core::Clock::now(&*ground.clock).plus(Duration::from_secs(60)));
        let short = CreateKey { expires_at, ..new_key("short", &["*"]) };
        let short = ground.identity.create_key(&owner, short).await.unwrap();
        assert!(ground.authenticate(&short.secret.0).await.is_ok());
        ground.clock.advance(Duration::from_secs(60));
        let expired = ground.authenticate(&short.secret.0).await.unwrap_err();
        let unknown = ground.authenticate("nsl_unknown").await.unwrap_err();
        assert_eq!((expired.code, &expired.slug, &expired.message), (unknown.code, &unknown.slug, &unknown.message));
        for digest in ["", "x", "'; DROP TABLE api_keys; --"] {
            let request = nsl_api::identity::Authenticate { digest: digest.to_owned() };
            assert_eq!(ground.identity.authenticate(&owner, request).await.unwrap_err().code, Code::Unauthenticated);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_more_than_its_maker_holds() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let narrow = new_key("narrow", &["identity:write", "identity:read", "storage:read"]);
        let narrow = ground.as_key(&ground.identity.create_key(&owner, narrow).await.unwrap()).await;
        for scopes in [&["*"][..], &["storage:*"], &["storage:write"], &["storage:read", "identity:admin"]] {
            let refused = ground.identity.create_key(&narrow, new_key("more", scopes)).await.unwrap_err();
            assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "identity.scope_not_held"), "{scopes:?}");
        }
        assert!(ground.identity.create_key(&narrow, new_key("less", &["storage:read"])).await.is_ok());
        let bob = CreateKey { subject: Some(Subject::parse("bob").unwrap()), ..new_key("bob", &["storage:read"]) };
        let refused = ground.identity.create_key(&narrow, bob.clone()).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "auth.scope_missing"));
        let for_bob = ground.identity.create_key(&owner, bob).await.unwrap();
        // Who administers nothing neither sees nor ends what belongs to others.
        let seen = ground.identity.list_keys(&narrow, ListKeys { limit: 50, after: None }).await.unwrap();
        assert!(!seen.items.is_empty() && seen.items.iter().all(|key| key.subject.as_str() == "alice"));
        let id = for_bob.key.id.clone();
        let hidden = ground.identity.revoke_key(&narrow, RevokeKey { id: id.clone() }).await.unwrap_err();
        assert_eq!((hidden.code, hidden.details.contains_key("refused")), (Code::NotFound, true));
        let missing = ground.identity.revoke_key(&narrow, RevokeKey { id: "key_none".to_owned() }).await.unwrap_err();
        assert_eq!((missing.code, missing.details.contains_key("refused")), (Code::NotFound, false));
        assert!(ground.identity.revoke_key(&owner, RevokeKey { id }).await.is_ok());
        let reader = ground.identity.create_key(&owner, new_key("reader", &["storage:*"])).await.unwrap();
        let reader = ground.as_key(&reader).await;
        let refused = ground.identity.create_key(&reader, new_key("any", &["storage:read"])).await.unwrap_err();
        assert_eq!(&*refused.slug, "auth.scope_missing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_gets_a_scope_that_nothing_asks_for() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let refused = ground.identity.create_key(&owner, new_key("ci", &["storage:raed"])).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Invalid, "identity.scope_unknown"));
        assert_eq!(refused.details["known"][0], "storage:read");
        for scope in ["storage:*", "*", "storage:read"] {
            assert!(ground.identity.create_key(&owner, new_key("ci", &[scope])).await.is_ok(), "{scope}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_ends_makes_none_that_lasts_longer() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let end = nsl_core::Clock::now(&*ground.clock).plus(Duration::from_secs(60));
        let scopes = ["identity:write", "storage:read"];
        let short = CreateKey { expires_at: Some(end), ..new_key("short", &scopes) };
        let short = ground.as_key(&ground.identity.create_key(&owner, short).await.unwrap()).await;
        let made = ground.identity.create_key(&short, new_key("next", &["storage:read"])).await.unwrap();
        assert_eq!(made.key.expires_at, Some(end));
        let later =
            CreateKey { expires_at: Some(end.plus(Duration::from_secs(1))), ..new_key("on", &["storage:read"]) };
        let refused = ground.identity.create_key(&short, later).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "identity.expiry_not_held"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_stands_for_the_platform() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        for name in ["system", "anonymous", "platform", "stranger-2026-11"] {
            let key = CreateKey { subject: Some(Subject::parse(name).unwrap()), ..new_key("x", &["*"]) };
            let refused = ground.identity.create_key(&owner, key).await.unwrap_err();
            assert_eq!((refused.code, &*refused.slug), (Code::Invalid, "identity.subject"), "{name}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_makes_no_second_key_and_shows_no_secret_again() {
    each(async |ground: Ground| {
        let mut owner = ground.as_key(&ground.tenant().await.key).await;
        owner.once = Some(Once { key: "once".into(), fingerprint: "f".into() });
        let first = ground.identity.create_key(&owner, new_key("ci", &["storage:read"])).await.unwrap();
        let again = ground.identity.create_key(&owner, new_key("ci", &["storage:read"])).await.unwrap_err();
        assert_eq!((again.code, &*again.slug), (Code::Conflict, "identity.secret_shown_once"));
        assert_eq!(again.details["id"], first.key.id.as_str());
        let listed = ground.identity.list_keys(&owner, ListKeys { limit: 50, after: None }).await.unwrap();
        assert_eq!(listed.items.len(), 2);
        // Neither the key nor its digest lies anywhere but in its own row.
        let mut kept = ground.db.query(Scope::Platform, "SELECT outcome FROM idempotency", args![]).await.unwrap();
        let outcome = kept[0].take::<String>(0).unwrap();
        assert!(!outcome.contains(&first.secret.0) && !outcome.contains(&digest_of(&first.secret.0)), "{outcome}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_where_they_ended() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        for number in 0..6 {
            ground.identity.create_key(&owner, new_key(&format!("k{number}"), &["storage:read"])).await.unwrap();
        }
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = ground.identity.list_keys(&owner, ListKeys { limit: 3, after }).await.unwrap();
            assert!(page.items.len() <= 3);
            names.extend(page.items.into_iter().map(|key| key.name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, ["k5", "k4", "k3", "k2", "k1", "k0", "first key"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_only_so_many_keys_that_work() {
    for database in [None, Some(nsl_sandbox::Database::fresh().unwrap())] {
        let ground = Ground::on(database, 3).await;
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let many = (0..8).map(|number| {
            let (ground, owner) = (&ground, &owner);
            async move { ground.identity.create_key(owner, new_key(&format!("k{number}"), &["storage:read"])).await }
        });
        let made = futures_util::future::join_all(many).await;
        let keys: Vec<_> = made.iter().filter_map(|made| made.as_ref().ok()).collect();
        assert_eq!(keys.len(), 2, "beside the first one");
        let refused = made.iter().find_map(|made| made.as_ref().err()).unwrap();
        assert_eq!((refused.code, &*refused.slug), (Code::Exhausted, "identity.keys_exhausted"));
        ground.identity.revoke_key(&owner, RevokeKey { id: keys[0].key.id.clone() }).await.unwrap();
        assert!(ground.identity.create_key(&owner, new_key("next", &["storage:read"])).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_together_make_no_more_keys_than_a_tenant_may_have() {
    let ground = Ground::on(Some(nsl_sandbox::Database::fresh().unwrap()), 3).await;
    let other = ground.beside().await;
    for _ in 0..10 {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let (ground, other, owner) = (&ground, &other, &owner);
        let many = (0..16).map(|number| async move {
            let identity = if number % 2 == 0 { &ground.identity } else { other };
            identity.create_key(owner, new_key(&format!("k{number}"), &["storage:read"])).await
        });
        let made = futures_util::future::join_all(many).await;
        assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 2, "beside the first one: {made:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn last_use_is_written_at_the_stop_at_the_latest() {
    each(async |ground: Ground| {
        let made = ground.tenant().await;
        let owner = ground.as_key(&made.key).await;
        let used_at = nsl_core::Clock::now(&*ground.clock);
        assert!(ground.tasks.drain(Duration::from_secs(5)).await.is_empty());
        let listed = ground.identity.list_keys(&owner, ListKeys { limit: 1, after: None }).await.unwrap();
        assert_eq!(listed.items[0].last_used_at, Some(used_at));
    })
    .await;
}
