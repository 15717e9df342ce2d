//! Keys of persons, where they may be used, and their rotation.

use std::time::Duration;

use nsl_api::identity::{ChangeKey, CreateKey, ListKeys, RevokeKey, RotateKey, UpdateKey};
use nsl_core::{Clock, Code, Cx, Once, Principal, PrincipalKind, Subject, TenantId};
use nsl_sql::{Scope, Statement, args};

use crate::ground::{BUDGET, Ground, digest_of, each, lasting, new_key};

const ALL: &[&str] = &["storage:read", "storage:write", "identity:read", "identity:write", "identity:admin"];
const DEVELOPER: &[&str] = &["storage:read", "storage:write", "identity:read", "identity:write"];

/// A person of the tenant with this role.
async fn member(ground: &Ground, tenant: &TenantId, role: &str) -> String {
    let user = nsl_core::fresh("usr");
    let now = ground.clock.now();
    for statement in [
        Statement {
            sql: "INSERT INTO users (tenant_id, id, status, created_at) VALUES ('platform', $1, 'active', $2)",
            args: args![user.as_str(), now],
        },
        Statement {
            sql: "INSERT INTO members (tenant_id, user_id, roles, status, since) VALUES ($1, $2, $3, 'active', $4)",
            args: args![tenant, user.as_str(), &serde_json::json!([role]), now],
        },
    ] {
        ground.db.write_platform(statement).await.unwrap();
    }
    user
}

async fn set(ground: &Ground, sql: &'static str, args: Vec<nsl_sql::Value>) {
    assert_eq!(ground.db.write_platform(Statement { sql, args }).await.unwrap(), 1);
}

/// The person with a session of a quarter of an hour.
fn signed_in(ground: &Ground, tenant: &TenantId, user: &str, scopes: &[&str]) -> Cx {
    let mut cx = lasting(Cx::system(tenant.clone(), BUDGET));
    cx.principal = Principal {
        kind: PrincipalKind::Token,
        subject: Subject::parse(user).unwrap(),
        credential: "jti_1".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expires_at: Some(ground.clock.now().plus(Duration::from_secs(900))),
        session: Some("ses_1".into()),
        second_factor_at: None,
        actor: None,
        whole: true,
    };
    cx
}

fn rotate(id: &str, overlap_s: Option<u64>) -> RotateKey {
    RotateKey { id: id.to_owned(), overlap_s }
}

fn change(id: &str, change: ChangeKey) -> UpdateKey {
    UpdateKey { id: id.to_owned(), change }
}

fn networks(of: &[&str]) -> Vec<String> {
    of.iter().map(|network| (*network).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_never_does_more_than_its_owner_may_now() {
    each(async |ground: Ground| {
        let tenant = ground.tenant().await.tenant;
        let user = member(&ground, &tenant, "owner").await;
        let person = signed_in(&ground, &tenant, &user, &["*"]);
        let all = ground.identity.create_key(&person, new_key("all", &["*"])).await.unwrap();
        let part = new_key("part", &["storage:*", "identity:write"]);
        let part = ground.identity.create_key(&person, part).await.unwrap();
        assert_eq!(
            (all.key.owner.as_deref(), all.key.expires_at),
            (Some(user.as_str()), None),
            "it outlasts the token"
        );
        let scopes = async |secret: &str| {
            let found = ground.authenticate(secret).await.unwrap();
            assert_eq!(found.owner.as_deref(), Some(user.as_str()));
            let mut scopes = found.principal.scopes.to_vec();
            scopes.sort_unstable();
            scopes.join(" ")
        };
        assert_eq!(scopes(&all.secret.0).await, "*");
        assert_eq!(scopes(&part.secret.0).await, "identity:write storage:*");
        for (roles, of_all, of_part) in [
            (
                "admin",
                "identity:act identity:admin identity:read identity:write storage:read storage:write",
                "identity:write storage:read storage:write",
            ),
            ("viewer", "identity:read storage:read", "storage:read"),
            ("owner", "*", "identity:write storage:*"),
        ] {
            let to = serde_json::json!([roles]);
            set(&ground, "UPDATE members SET roles = $2 WHERE user_id = $1", args![user.as_str(), &to]).await;
            assert_eq!(scopes(&all.secret.0).await, of_all, "{roles}");
            assert_eq!(scopes(&part.secret.0).await, of_part, "{roles}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_all_that_it_made_stop_when_its_owner_does() {
    each(async |ground: Ground| {
        let made = ground.tenant().await;
        let user = member(&ground, &made.tenant, "developer").await;
        let person = signed_in(&ground, &made.tenant, &user, DEVELOPER);
        let key =
            ground.identity.create_key(&person, new_key("ci", &["identity:write", "storage:read"])).await.unwrap();
        let child = ground.as_key(&key).await;
        let child = ground.identity.create_key(&child, new_key("child", &["storage:read"])).await.unwrap();
        assert_eq!(child.key.owner.as_deref(), Some(user.as_str()));
        let user = user.as_str();
        for (off, on) in [
            ("UPDATE users SET status = 'suspended' WHERE id = $1", "UPDATE users SET status = 'active' WHERE id = $1"),
            ("UPDATE users SET status = 'erased' WHERE id = $1", "UPDATE users SET status = 'active' WHERE id = $1"),
            (
                "UPDATE members SET status = 'suspended' WHERE user_id = $1",
                "UPDATE members SET status = 'active' WHERE user_id = $1",
            ),
            ("DELETE FROM members WHERE user_id = $1", "UPDATE users SET status = 'active' WHERE id = $1"),
        ] {
            set(&ground, off, args![user]).await;
            for secret in [&key.secret.0, &child.secret.0] {
                let refused = ground.authenticate(secret).await.unwrap_err();
                assert_eq!((refused.code, &*refused.slug), (Code::Unauthenticated, "auth.key_unknown"), "{off}");
            }
            set(&ground, on, args![user]).await;
            assert_eq!(ground.authenticate(&key.secret.0).await.is_ok(), !off.starts_with("DELETE"), "{on}");
        }
        // The tenant's own key belongs to nobody, and ends with the tenant alone.
        assert!(ground.authenticate(&made.key.secret.0).await.is_ok());
        set(&ground, "UPDATE tenants SET status = 'deleting' WHERE tenant_id = $1", args![&made.tenant]).await;
        assert_eq!(ground.authenticate(&made.key.secret.0).await.unwrap_err().code, Code::Unauthenticated);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_another_subject_stops_when_its_owner_administers_no_more() {
    each(async |ground: Ground| {
        let tenant = ground.tenant().await.tenant;
        let user = member(&ground, &tenant, "admin").await;
        let admin = signed_in(&ground, &tenant, &user, ALL);
        let for_bob = CreateKey { subject: Some(Subject::parse("bob").unwrap()), ..new_key("bob", &["storage:read"]) };
        let for_bob = ground.identity.create_key(&admin, for_bob).await.unwrap();
        assert_eq!(ground.authenticate(&for_bob.secret.0).await.unwrap().principal.subject.as_str(), "bob");
        let to = serde_json::json!(["developer"]);
        set(&ground, "UPDATE members SET roles = $2 WHERE user_id = $1", args![user.as_str(), &to]).await;
        assert!(ground.authenticate(&for_bob.secret.0).await.is_err());
        // They still see it, end it, and learn no new secret of it.
        let developer = signed_in(&ground, &tenant, &user, DEVELOPER);
        let refused = ground.identity.rotate_key(&developer, rotate(&for_bob.key.id, None)).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "auth.scope_missing"));
        let seen = ground.identity.list_keys(&developer, ListKeys { limit: 50, after: None }).await.unwrap();
        assert_eq!(seen.items.iter().map(|key| &key.id).collect::<Vec<_>>(), [&for_bob.key.id]);
        assert!(ground.identity.revoke_key(&developer, RevokeKey { id: for_bob.key.id }).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acts_for_a_person_makes_no_key_that_outlasts_the_deed() {
    each(async |ground: Ground| {
        let tenant = ground.tenant().await.tenant;
        let user = member(&ground, &tenant, "owner").await;
        let mut acting = signed_in(&ground, &tenant, &user, &["*"]);
        acting.principal.actor = Some(Subject::parse("shop").unwrap());
        acting.principal.whole = false;
        let made = ground.identity.create_key(&acting, new_key("ci", &["storage:read"])).await.unwrap();
        assert_eq!(made.key.expires_at, acting.principal.expires_at);
        let longer = change(&made.key.id, ChangeKey { expires_at: Some(None), ..ChangeKey::default() });
        let kept = ground.identity.update_key(&acting, longer).await.unwrap();
        assert_eq!(kept.expires_at, acting.principal.expires_at);
        // Nor does a program that a person let in, whatever the person may do.
        let program = signed_in(&ground, &tenant, &user, &["*"]);
        let program = Cx { principal: Principal { whole: false, ..program.principal.clone() }, ..program };
        let made = ground.identity.create_key(&program, new_key("ci", &["storage:read"])).await.unwrap();
        assert_eq!(made.key.expires_at, program.principal.expires_at);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_client_stays_within_it_and_stops_with_it() {
    each(async |ground: Ground| {
        let tenant = ground.tenant().await.tenant;
        let client = nsl_core::fresh("cli");
        let insert = "INSERT INTO oauth_clients (tenant_id, id, name, scopes, grants, networks, created_by, created_at)
            VALUES ($1, $2, 'shop', $3, $4, $5, 'key_1', $6)";
        let scopes = serde_json::json!(["identity:*", "storage:read"]);
        let grants = serde_json::json!(["client_credentials"]);
        let within = serde_json::json!(["10.0.0.0/8"]);
        let row = args![&tenant, client.as_str(), &scopes, &grants, &within, ground.clock.now()];
        set(&ground, insert, row).await;
        let mut machine = signed_in(&ground, &tenant, &client, &["identity:*", "storage:read"]);
        machine.principal.session = None;
        machine.principal.whole = false;
        let key = ground.identity.create_key(&machine, new_key("ci", &["storage:read"])).await.unwrap();
        assert_eq!(
            (key.key.owner.as_deref(), key.key.networks.as_slice()),
            (Some(&*client), &["10.0.0.0/8".to_owned()][..])
        );
        assert!(ground.authenticate(&key.secret.0).await.is_ok());
        let now = ground.clock.now();
        for (off, args) in [
            ("UPDATE oauth_clients SET suspended_at = $2 WHERE id = $1", args![client.as_str(), now]),
            (
                "UPDATE oauth_clients SET suspended_at = NULL, expires_at = $2 WHERE id = $1",
                args![client.as_str(), now],
            ),
            ("DELETE FROM oauth_clients WHERE id = $1", args![client.as_str()]),
        ] {
            set(&ground, off, args).await;
            let refused = ground.authenticate(&key.secret.0).await.unwrap_err();
            assert_eq!(refused.code, Code::Unauthenticated, "{off}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_has_two_secrets_until_the_overlap_is_over() {
    each(async |ground: Ground| {
        let made = ground.tenant().await;
        let owner = ground.as_key(&made.key).await;
        let old = ground.identity.create_key(&owner, new_key("ci", &["storage:read"])).await.unwrap();
        let id = old.key.id.as_str();
        let new = ground.identity.rotate_key(&owner, rotate(id, Some(60))).await.unwrap();
        assert!(new.key.id == id && new.secret.0 != old.secret.0 && new.key.prefix != old.key.prefix);
        let until = ground.clock.now().plus(Duration::from_secs(60));
        assert_eq!((new.key.overlap_until, new.key.rotated_at), (Some(until), Some(ground.clock.now())));
        assert_eq!(*ground.revoked.lock(), [digest_of(&old.secret.0)], "what is remembered of it had no end");
        let (by_old, by_new) = (ground.authenticate(&old.secret.0).await, ground.authenticate(&new.secret.0).await);
        let (by_old, by_new) = (by_old.unwrap(), by_new.unwrap());
        assert_eq!((by_old.expires_at, by_old.principal.expires_at), (Some(until), Some(until)));
        assert_eq!((by_new.expires_at, by_new.principal.credential), (None, by_old.principal.credential));

        let third = ground.identity.rotate_key(&owner, rotate(id, Some(60))).await.unwrap_err();
        assert_eq!((third.code, &*third.slug), (Code::Conflict, "identity.rotation_open"));
        assert_eq!(third.details["until"], until.rfc3339());
        ground.clock.advance(Duration::from_secs(60));
        assert_eq!(ground.authenticate(&old.secret.0).await.unwrap_err().code, Code::Unauthenticated);
        let third = ground.identity.rotate_key(&owner, rotate(id, None)).await.unwrap();
        assert_eq!(third.key.overlap_until, Some(ground.clock.now().plus(Duration::from_secs(86_400))));

        // What has leaked ends at once, and with it all from before.
        let last = ground.identity.rotate_key(&owner, rotate(id, Some(0))).await.unwrap();
        for (secret, works) in [(&old, false), (&new, false), (&third, false), (&last, true)] {
            assert_eq!(ground.authenticate(&secret.secret.0).await.is_ok(), works);
        }
        let revoked = ground.revoked.lock().clone();
        assert!([&new, &third].iter().all(|ended| revoked.contains(&digest_of(&ended.secret.0))));
        let refused = ground.identity.rotate_key(&owner, rotate(id, Some(604_801))).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Invalid, "identity.overlap"));
        ground.identity.revoke_key(&owner, RevokeKey { id: id.to_owned() }).await.unwrap();
        let refused = ground.identity.rotate_key(&owner, rotate(id, None)).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Conflict, "identity.key_ended"));
        let events = ground.events(&made.tenant).await;
        assert_eq!(events.iter().filter(|event| *event == "identity.key_rotated").count(), 3, "{events:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_end_when_a_key_is_revoked_or_expires() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        for revoke in [true, false] {
            let expires_at = Some(ground.clock.now().plus(Duration::from_secs(30)));
            let key = CreateKey { expires_at, ..new_key("ci", &["storage:read"]) };
            let old = ground.identity.create_key(&owner, key).await.unwrap();
            let new = ground.identity.rotate_key(&owner, rotate(&old.key.id, Some(3_600))).await.unwrap();
            assert_eq!(ground.authenticate(&old.secret.0).await.unwrap().expires_at, expires_at);
            ground.revoked.lock().clear();
            match revoke {
                true => {
                    ground.identity.revoke_key(&owner, RevokeKey { id: old.key.id.clone() }).await.unwrap();
                    let told = ground.revoked.lock().clone();
                    assert_eq!(told, [digest_of(&new.secret.0), digest_of(&old.secret.0)]);
                }
                false => ground.clock.advance(Duration::from_secs(30)),
            }
            assert!(
                ground.authenticate(&old.secret.0).await.is_err() && ground.authenticate(&new.secret.0).await.is_err()
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_rotations_at_once_one_is_done_and_a_repeat_shows_no_secret() {
    each(async |ground: Ground| {
        let mut owner = ground.as_key(&ground.tenant().await.key).await;
        let key = ground.identity.create_key(&owner, new_key("ci", &["storage:read"])).await.unwrap();
        let id = key.key.id.as_str();
        let all = (0..8).map(|_| ground.identity.rotate_key(&owner, rotate(id, Some(60))));
        let all = futures_util::future::join_all(all).await;
        let done: Vec<_> = all.iter().filter_map(|rotated| rotated.as_ref().ok()).collect();
        assert_eq!(done.len(), 1, "{all:?}");
        assert!(all.iter().filter_map(|rotated| rotated.as_ref().err()).all(|e| &*e.slug == "identity.rotation_open"));
        assert!(
            ground.authenticate(&key.secret.0).await.is_ok() && ground.authenticate(&done[0].secret.0).await.is_ok()
        );

        ground.clock.advance(Duration::from_secs(60));
        owner.once = Some(Once { key: "once".into(), fingerprint: "f".into() });
        let first = ground.identity.rotate_key(&owner, rotate(id, Some(60))).await.unwrap();
        let again = ground.identity.rotate_key(&owner, rotate(id, Some(60))).await.unwrap_err();
        assert_eq!((again.code, &*again.slug), (Code::Conflict, "identity.secret_shown_once"));
        assert!(ground.authenticate(&first.secret.0).await.is_ok(), "the repeat did not rotate once more");
        let mut kept = ground.db.query(Scope::Platform, "SELECT outcome FROM idempotency", args![]).await.unwrap();
        let outcome = kept[0].take::<String>(0).unwrap();
        assert!(!outcome.contains(&first.secret.0) && !outcome.contains(&digest_of(&first.secret.0)), "{outcome}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_the_secret_of_a_key_that_they_could_not_make() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let strong = ground.identity.create_key(&owner, new_key("strong", &["*"])).await.unwrap();
        let make = async |key: CreateKey| ground.as_key(&ground.identity.create_key(&owner, key).await.unwrap()).await;
        let own = &["identity:write", "storage:read"];
        let weak = make(new_key("weak", own)).await;
        let peer = ground.identity.create_key(&owner, new_key("peer", own)).await.unwrap();
        let bound = make(CreateKey { networks: networks(&["10.0.0.0/8"]), ..new_key("bound", own) }).await;
        let end = Some(ground.clock.now().plus(Duration::from_secs(60)));
        let short = make(CreateKey { expires_at: end, ..new_key("short", own) }).await;
        let expiry = |id: &str| change(id, ChangeKey { expires_at: Some(None), ..ChangeKey::default() });
        for (asks, id, slug) in [
            (&weak, &strong.key.id, "identity.scope_not_held"),
            (&bound, &peer.key.id, "identity.network_not_held"),
            (&short, &peer.key.id, "identity.expiry_not_held"),
        ] {
            let refused = ground.identity.rotate_key(asks, rotate(id, None)).await.unwrap_err();
            assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, slug));
        }
        assert!(ground.identity.rotate_key(&weak, rotate(&peer.key.id, None)).await.is_ok());
        // Nor do they let it do more.
        let limited = CreateKey { networks: networks(&["10.1.0.0/16"]), expires_at: end, ..new_key("limited", &["*"]) };
        let limited = ground.identity.create_key(&owner, limited).await.unwrap();
        let id = limited.key.id.as_str();
        let anywhere = ChangeKey { networks: Some(Vec::new()), ..ChangeKey::default() };
        let wider = ChangeKey { networks: Some(networks(&["10.0.0.0/8"])), ..ChangeKey::default() };
        for request in [expiry(id), change(id, anywhere.clone()), change(id, wider.clone())] {
            let refused = ground.identity.update_key(&weak, request).await.unwrap_err();
            assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "identity.scope_not_held"));
        }
        let narrower = ChangeKey { networks: Some(networks(&["10.1.2.0/24"])), ..ChangeKey::default() };
        let now = ground.identity.update_key(&weak, change(id, narrower)).await.unwrap();
        assert_eq!(now.networks, ["10.1.2.0/24"]);
        let now = ground.identity.update_key(&owner, change(id, anywhere)).await.unwrap();
        assert!(now.networks.is_empty());
        let now = ground.identity.update_key(&owner, expiry(id)).await.unwrap();
        assert_eq!(now.expires_at, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_networks_says_so_and_makes_none_that_reaches_further() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let wanted = networks(&["10.0.0.0/8", "203.0.113.7", "2001:DB8::/32", "10.0.0.0/8"]);
        let key = CreateKey { networks: wanted, ..new_key("bound", &["identity:write", "storage:read"]) };
        let key = ground.identity.create_key(&owner, key).await.unwrap();
        let written = ["10.0.0.0/8", "203.0.113.7/32", "2001:db8::/32"];
        assert_eq!(key.key.networks, written);
        assert_eq!(ground.authenticate(&key.secret.0).await.unwrap().networks, written);
        let bound = ground.as_key(&key).await;
        let child = ground.identity.create_key(&bound, new_key("child", &["storage:read"])).await.unwrap();
        assert_eq!(child.key.networks, written);
        for (asked, slug) in [
            ("10.1.0.0/16", None),
            ("203.0.113.0/24", Some("identity.network_not_held")),
            ("0.0.0.0/0", Some("identity.network_not_held")),
            ("::/0", Some("identity.network_not_held")),
            ("10.0.0.1/8", Some("identity.networks")),
            ("example.org", Some("identity.networks")),
        ] {
            let key = CreateKey { networks: networks(&[asked]), ..new_key("child", &["storage:read"]) };
            let made = ground.identity.create_key(&bound, key).await;
            assert_eq!(made.err().map(|refused| refused.slug.to_string()).as_deref(), slug, "{asked}");
        }
        let many = CreateKey { networks: vec!["10.0.0.1".to_owned(); 51], ..new_key("many", &["storage:read"]) };
        assert_eq!(&*ground.identity.create_key(&owner, many).await.unwrap_err().slug, "identity.networks");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_does_not_name_stays() {
    each(async |ground: Ground| {
        let owner = ground.as_key(&ground.tenant().await.key).await;
        let description = Some("nightly build".to_owned());
        let key = CreateKey { description, networks: networks(&["::1"]), ..new_key("ci", &["storage:read"]) };
        let key = ground.identity.create_key(&owner, key).await.unwrap();
        let id = key.key.id.as_str();
        let named = ChangeKey { name: Some("builds".to_owned()), ..ChangeKey::default() };
        let now = ground.identity.update_key(&owner, change(id, named)).await.unwrap();
        assert_eq!((now.name.as_str(), now.description.as_deref()), ("builds", Some("nightly build")));
        assert_eq!(now.networks, ["::1/128"]);
        let bare: ChangeKey = serde_json::from_value(serde_json::json!({ "description": null })).unwrap();
        let now = ground.identity.update_key(&owner, change(id, bare)).await.unwrap();
        assert_eq!((now.name.as_str(), now.description), ("builds", None));
        assert_eq!(*ground.revoked.lock(), [digest_of(&key.secret.0), digest_of(&key.secret.0)]);
        for (name, description) in [(Some(" x"), None), (None, Some("\u{1b}[2J"))] {
            let change = change(
                id,
                ChangeKey {
                    name: name.map(str::to_owned),
                    description: description.map(|text| Some(text.to_owned())),
                    ..ChangeKey::default()
                },
            );
            assert_eq!(ground.identity.update_key(&owner, change).await.unwrap_err().code, Code::Invalid);
        }
        let eve = ground.as_key(&ground.tenant().await.key).await;
        for refused in [
            ground.identity.update_key(&eve, change(id, ChangeKey::default())).await.unwrap_err(),
            ground.identity.rotate_key(&eve, rotate(id, None)).await.unwrap_err(),
        ] {
            assert_eq!((refused.code, &*refused.slug), (Code::NotFound, "identity.key_missing"));
        }
    })
    .await;
}
