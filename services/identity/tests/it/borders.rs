//! What reaches neither into another tenant nor past the rights that it came from.

use std::time::Duration;

use nsl_api::{
    Revealed,
    identity::{CreateKey, RevokeKey, RotateKey},
    oauth::{ClientGrant, CreateClient},
    people::{AcceptInvite, CreateRole, FindMe, ListInvites, ListOwnTenants, NameTenant, SetRole},
    signin::{IssueReset, Register, ResetPassword},
};
use nsl_core::{Clock, Cx, Subject, TenantId};
use nsl_sql::{Scope, Statement, args};

use crate::{
    ground::{Ground, each, new_key},
    people::{id, invite, joins, owner, roles, set, stepped_up},
    signin::{from, register_of, slug},
};

fn key_for(subject: &str, scopes: &[&str]) -> CreateKey {
    CreateKey { subject: Some(Subject::parse(subject).unwrap()), ..new_key("for another", scopes) }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_shows_a_person_but_to_themselves() {
    each(async |ground: Ground| {
        let (mallory, victim) =
            (owner(&ground, "mallory@example.com").await, owner(&ground, "victim@example.com").await);
        let (people, identity) = (&ground.all.people, &ground.all.identity);
        for subject in [id(&victim).as_str(), "usr_none"] {
            let refused = identity.create_key(&mallory, key_for(subject, &["identity:read"])).await;
            assert_eq!(slug(refused), "identity.subject_not_member");
        }
        // One of a member, and one from before that names the victim.
        let bob = joins(&ground, &mallory, "bob@example.com", &["viewer"]).await;
        let of_bob = identity.create_key(&mallory, key_for(&id(&bob), &["identity:read"])).await.unwrap();
        let old = identity.create_key(&mallory, key_for("ci", &["identity:read"])).await.unwrap();
        let sql = "UPDATE api_keys SET subject = $2 WHERE id = $1";
        ground.db.write_platform(Statement { sql, args: args![old.key.id.as_str(), id(&victim)] }).await.unwrap();
        for key in [&of_bob, &old] {
            let cx = ground.as_key(key).await;
            assert_eq!(slug(people.find_me(&cx, FindMe {}).await), "people.not_a_person");
            assert_eq!(slug(people.list_own_tenants(&cx, ListOwnTenants {}).await), "people.not_a_person");
        }
        let mut lent = victim.clone();
        lent.principal.session = None;
        assert_eq!(slug(people.find_me(&lent, FindMe {}).await), "people.not_a_person");
        // Their own key and their own session do.
        let own = identity.create_key(&mallory, new_key("own", &["identity:read"])).await.unwrap();
        let seen = people.find_me(&ground.as_key(&own).await, FindMe {}).await.unwrap();
        assert_eq!(seen.email.as_deref(), Some("mallory@example.com"));
        assert!(people.find_me(&victim, FindMe {}).await.is_ok());
    })
    .await;
}

async fn reset(ground: &Ground, reset_token: Revealed) -> String {
    let new_password = Revealed("another horse battery".to_owned());
    slug(ground.all.signin.reset_password(&from("192.0.2.9"), ResetPassword { reset_token, new_password }).await)
}

async fn open_invites(ground: &Ground, by: &Cx) -> usize {
    let all = ground.all.people.list_invites(by, ListInvites { limit: 100, after: None }).await.unwrap();
    all.items.iter().filter(|invite| invite.ended_at.is_none()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_do_less_does_not_come_back_by_their_own_invite() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let eve = owner(&ground, "eve@example.com").await;
        let people = &ground.all.people;
        let accept = async |token: Revealed| slug(people.accept_invite(&eve, AcceptInvite { token }).await);
        let adm = joins(&ground, &ada, "adm@example.com", &["admin"]).await;
        let key = ground.all.identity.create_key(&adm, key_for("ci", &["*"])).await;
        assert_eq!(slug(key), "identity.scope_not_held");
        let key = key_for("ci", &["identity:admin", "identity:read", "storage:read"]);
        let key = ground.all.identity.create_key(&adm, key).await.unwrap();
        let own = invite(&ground, &adm, None, &["admin"]).await.unwrap();
        let by_key = invite(&ground, &ground.as_key(&key).await, None, &["viewer"]).await.unwrap();
        invite(&ground, &ada, None, &["viewer"]).await.unwrap();
        assert_eq!(set(&ground, &ada, &adm, &["admin", "viewer"]).await, "fine");
        assert_eq!(open_invites(&ground, &ada).await, 3, "they may do no less than before");
        assert_eq!(set(&ground, &ada, &adm, &["viewer"]).await, "fine");
        assert_eq!(open_invites(&ground, &ada).await, 1, "the owner's own stays");
        assert_eq!(accept(own).await, "people.invite_invalid");
        assert_eq!(accept(by_key).await, "people.invite_invalid");

        let lead = |permissions: &[&str]| SetRole { name: "lead".to_owned(), permissions: roles(permissions) };
        let SetRole { name, permissions } = lead(&["identity:admin", "identity:read", "storage:read"]);
        people.create_role(&ada, CreateRole { name, permissions }).await.unwrap();
        let cem = joins(&ground, &ada, "cem@example.com", &["lead"]).await;
        let own = invite(&ground, &cem, None, &["viewer"]).await.unwrap();
        people
            .set_role(&ada, lead(&["identity:admin", "identity:read", "storage:read", "storage:write"]))
            .await
            .unwrap();
        assert_eq!(open_invites(&ground, &ada).await, 2, "a wider role takes nothing back");
        people.set_role(&ada, lead(&["identity:read", "storage:read"])).await.unwrap();
        assert_eq!(open_invites(&ground, &ada).await, 1);
        assert_eq!(accept(own).await, "people.invite_invalid");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_token_does_not_reach_what_its_person_became_afterwards() {
    each(async |ground: Ground| {
        let ada = stepped_up(&ground, &owner(&ground, "ada@example.com").await);
        let eve = owner(&ground, "eve@example.com").await;
        let people = &ground.all.people;
        let role = CreateRole { name: "ops".to_owned(), permissions: roles(&["storage:read"]) };
        people.create_role(&ada, role).await.unwrap();
        let bob = joins(&ground, &ada, "bob@example.com", &["ops"]).await;
        let issue = async || ground.all.signin.issue_reset(&ada, IssueReset { user: id(&bob) }).await.unwrap();
        let before = issue().await.reset_token;
        let wider = SetRole { name: "ops".to_owned(), permissions: roles(&["storage:read", "storage:write"]) };
        people.set_role(&ada, wider).await.unwrap();
        assert_eq!(reset(&ground, before).await, "signin.reset_token");
        let before = issue().await.reset_token;
        assert_eq!(set(&ground, &ada, &bob, &["admin"]).await, "fine");
        assert_eq!(reset(&ground, before).await, "signin.reset_token");
        let before = issue().await.reset_token;
        let token = invite(&ground, &eve, None, &["viewer"]).await.unwrap();
        people.accept_invite(&bob, AcceptInvite { token }).await.unwrap();
        assert_eq!(reset(&ground, before).await, "signin.reset_token");
        // Where nothing changed, it works.
        let cem = joins(&ground, &ada, "cem@example.com", &["viewer"]).await;
        let works = ground.all.signin.issue_reset(&ada, IssueReset { user: id(&cem) }).await.unwrap();
        assert_eq!(reset(&ground, works.reset_token).await, "fine");
    })
    .await;
}

/// Whether tokens of before are refused from now on.
async fn refuses(ground: &Ground, what: &str) -> bool {
    let sql = "SELECT count(*) FROM revocations WHERE what = $1 AND until > $2";
    let mut rows = ground.db.query(Scope::Platform, sql, args![what, ground.clock.now()]).await.unwrap();
    rows[0].take::<i64>(0).unwrap() > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_ends_for_its_clients_and_keys_when_it_is_closed_and_when_it_is_erased() {
    each(async |ground: Ground| {
        let ada = stepped_up(&ground, &owner(&ground, "ada@example.com").await);
        let client = CreateClient {
            name: "robot".to_owned(),
            scopes: roles(&["storage:write"]),
            grants: Some(vec![ClientGrant::ClientCredentials]),
            public: false,
            networks: None,
            expires_at: None,
        };
        let client = ground.all.oauth.create_client(&ada, client).await.unwrap();
        let key = ground.all.identity.create_key(&ada, new_key("ci", &["storage:read"])).await.unwrap();
        let tenant: &TenantId = &ada.tenant;
        let marks = [
            format!("sub:{}@{tenant}", id(&ada)),
            format!("sub:{}@{tenant}", client.client.id),
            format!("key:{}", key.key.id),
        ];
        for mark in &marks {
            assert!(!refuses(&ground, mark).await, "{mark}");
        }
        ground.all.people.delete_tenant(&ada, NameTenant { tenant: tenant.clone() }).await.unwrap();
        for mark in &marks {
            assert!(refuses(&ground, mark).await, "{mark}");
        }
        ground.clock.advance(Duration::from_secs(7 * 86_400));
        assert!(!refuses(&ground, &marks[1]).await);
        ground.tend().await;
        for mark in &marks {
            assert!(refuses(&ground, mark).await, "{mark}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_while_the_right_was_going_is_not_taken() {
    each(async |ground: Ground| {
        let ada = stepped_up(&ground, &owner(&ground, "ada@example.com").await);
        let eve = owner(&ground, "eve@example.com").await;
        // With a token that an edge elsewhere took a moment longer.
        let adm = stepped_up(&ground, &joins(&ground, &ada, "adm@example.com", &["admin"]).await);
        let bob = joins(&ground, &ada, "bob@example.com", &["viewer"]).await;
        assert_eq!(set(&ground, &ada, &adm, &["viewer"]).await, "fine");
        let token = invite(&ground, &adm, None, &["admin"]).await.unwrap();
        let accepted = ground.all.people.accept_invite(&eve, AcceptInvite { token: token.clone() }).await;
        assert_eq!(slug(accepted), "people.invite_invalid");
        let comes = Register { invite: Some(token), ..register_of("zoe@example.com") };
        let comes = ground.all.signin.register(&from("192.0.2.9"), comes).await;
        assert_eq!(slug(comes), "people.invite_invalid");
        let issue = async |by: &Cx| ground.all.signin.issue_reset(by, IssueReset { user: id(&bob) }).await.unwrap();
        let late = issue(&adm).await;
        assert_eq!(reset(&ground, late.reset_token).await, "signin.reset_token");
        // As if it was issued just before the person came into another tenant, and kept just after.
        let token = issue(&ada).await;
        let sql = "INSERT INTO members (tenant_id, user_id, roles, status, since) VALUES ($1, $2, $3, 'active', $4)";
        let args = args![&eve.tenant, id(&bob), &serde_json::json!(["viewer"]), ground.clock.now()];
        ground.db.write_platform(Statement { sql, args }).await.unwrap();
        assert_eq!(reset(&ground, token.reset_token).await, "signin.reset_token");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_a_narrow_program_tells_of_its_own_tenant_alone() {
    each(async |ground: Ground| {
        let (ada, eve) = (owner(&ground, "ada@example.com").await, owner(&ground, "eve@example.com").await);
        let bob = joins(&ground, &ada, "bob@example.com", &["developer"]).await;
        let token = invite(&ground, &eve, None, &["viewer"]).await.unwrap();
        ground.all.people.accept_invite(&bob, AcceptInvite { token }).await.unwrap();
        let (people, identity) = (&ground.all.people, &ground.all.identity);
        let everywhere = people.list_own_tenants(&bob, ListOwnTenants {}).await.unwrap().items.len();
        assert_eq!(everywhere, 2);
        let key = identity.create_key(&bob, new_key("own", &["identity:read", "storage:read"])).await.unwrap();
        let mut narrow = bob.clone();
        narrow.principal.whole = false;
        for cx in [&ground.as_key(&key).await, &narrow] {
            let seen = people.list_own_tenants(cx, ListOwnTenants {}).await.unwrap().items;
            assert_eq!(seen.iter().map(|own| &own.tenant).collect::<Vec<_>>(), [&ada.tenant]);
            assert_eq!(people.find_me(cx, FindMe {}).await.unwrap().tenants.len(), 1);
        }
        narrow.principal.scopes = ["storage:read".to_owned()].into();
        assert_eq!(slug(people.find_me(&narrow, FindMe {}).await), "auth.scope_missing");
        // Nor does somebody else get at the key.
        let rotate = || RotateKey { id: key.key.id.clone(), overlap_s: None };
        assert_eq!(slug(identity.rotate_key(&ada, rotate()).await), "identity.key_of_another");
        assert_eq!(slug(identity.rotate_key(&bob, rotate()).await), "fine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_made_ends_with_it_unless_it_administers() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let identity = &ground.all.identity;
        for (scopes, ends) in
            [(["identity:write", "storage:read"], true), (["identity:write", "identity:admin"], false)]
        {
            let first = identity.create_key(&ada, new_key("first", &scopes)).await.unwrap();
            let second = identity.create_key(&ground.as_key(&first).await, new_key("second", &scopes)).await.unwrap();
            let third = identity
                .create_key(&ground.as_key(&second).await, new_key("third", &["identity:write"]))
                .await
                .unwrap();
            identity.revoke_key(&ada, RevokeKey { id: first.key.id.clone() }).await.unwrap();
            for made in [&second, &third] {
                let lives = slug(ground.authenticate(&made.secret.0).await);
                assert_eq!(lives, if ends { "auth.key_unknown" } else { "fine" });
                assert_eq!(refuses(&ground, &format!("key:{}", made.key.id)).await, ends, "and edges hear of it");
            }
        }
        let mut lent = ada.clone();
        lent.principal.whole = false;
        for scope in ["identity:admin", "identity:*", "*"] {
            assert_eq!(slug(identity.create_key(&lent, new_key("lent", &[scope])).await), "identity.scope_lent");
        }
        assert_eq!(slug(identity.create_key(&lent, new_key("lent", &["identity:write"])).await), "fine");
    })
    .await;
}
