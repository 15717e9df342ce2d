//! Users, tenants, members, roles and invites.

use std::time::Duration;

use nsl_api::{
    Revealed,
    people::{
        AcceptInvite, CreateRole, DeleteMe, FindMe, InviteUser, ListInvites, ListMembers, ListOwnTenants, ListRoles,
        ListUsers, MemberStatus, NameInvite, NameMember, NameRole, NameTenant, NameUser, OpenTenant, RenameTenant,
        SetMember, SetRole, TenantStatus, UpdateMe, UserStatus,
    },
    sessions::TokenReply,
    signin::Register,
};
use nsl_core::{Clock, Cx, Once, PrincipalKind, Result, TenantId};
use nsl_sql::{Scope, args};

use crate::{
    ground::{BUDGET, Ground, each, new_key},
    signin::{PASSWORD, from, login, login_of, person, register, register_of, slug, tokens},
};

const HOME: &str = "192.0.2.1";

pub(crate) fn id(cx: &Cx) -> String {
    cx.principal.subject.to_string()
}

fn named(id: &str) -> NameUser {
    NameUser { id: id.to_owned() }
}

pub(crate) fn roles(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) async fn invite(ground: &Ground, cx: &Cx, email: Option<&str>, names: &[&str]) -> Result<Revealed> {
    let request = InviteUser { email: email.map(str::to_owned), roles: roles(names) };
    ground.all.people.invite_user(cx, request).await.map(|made| made.token)
}

/// A person who makes an account by an invite of this member.
pub(crate) async fn joins(ground: &Ground, by: &Cx, email: &str, names: &[&str]) -> Cx {
    let token = invite(ground, by, Some(email), names).await.unwrap();
    let request = Register { invite: Some(token), ..register_of(email) };
    person(&tokens(ground.all.signin.register(&from(HOME), request).await.unwrap()), HOME)
}

pub(crate) async fn owner(ground: &Ground, email: &str) -> Cx {
    person(&register(ground, email, HOME).await, HOME)
}

/// As after `nsl step-up`: the person showed a second factor just now.
pub(crate) fn stepped_up(ground: &Ground, cx: &Cx) -> Cx {
    let mut cx = cx.clone();
    cx.principal.second_factor_at = Some(ground.clock.now());
    cx
}

pub(crate) async fn set(ground: &Ground, by: &Cx, user: &Cx, names: &[&str]) -> String {
    slug(ground.all.people.set_member(by, SetMember { user: id(user), roles: roles(names) }).await)
}

async fn remove(ground: &Ground, by: &Cx, user: &Cx) -> String {
    slug(ground.all.people.remove_member(by, NameMember { user: id(user) }).await)
}

/// Whether tokens of before are refused by now.
async fn revoked(ground: &Ground, what: &str) -> bool {
    let sql = "SELECT count(*) FROM revocations WHERE what = $1";
    let mut rows = ground.db.query(Scope::Platform, sql, args![what]).await.unwrap();
    rows[0].take::<i64>(0).unwrap() > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_and_changes_their_own_account() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let people = &ground.all.people;
        let name = UpdateMe { name: Some("Ada Lovelace".to_owned()), ..UpdateMe::default() };
        let seen = people.update_me(&ada, name).await.unwrap();
        assert_eq!((seen.name.as_deref(), seen.email.as_deref()), (Some("Ada Lovelace"), Some("ada@example.com")));
        assert_eq!((seen.tenants.len(), seen.tenants[0].roles.clone()), (1, roles(&["owner"])));

        let to = |email: &str, password: Option<&str>| UpdateMe {
            email: Some(email.to_owned()),
            password: password.map(|text| Revealed(text.to_owned())),
            ..UpdateMe::default()
        };
        assert_eq!(slug(people.update_me(&ada, to("x@example.com", None)).await), "signin.password_needed");
        assert_eq!(slug(people.update_me(&ada, to("x@example.com", Some("wrong password"))).await), "signin.wrong");
        owner(&ground, "bob@example.com").await;
        assert_eq!(slug(people.update_me(&ada, to("Bob@Example.com", Some(PASSWORD))).await), "people.email_taken");
        assert_eq!(slug(people.update_me(&ada, to("not an address", Some(PASSWORD))).await), "signin.email");
        let moved = people.update_me(&ada, to("Ada@New.example", Some(PASSWORD))).await.unwrap();
        assert_eq!(moved.email.as_deref(), Some("ada@new.example"));
        assert!(login(&ground, "ada@new.example", PASSWORD, HOME).await.is_ok());
        assert_eq!(slug(login(&ground, "ada@example.com", PASSWORD, HOME).await), "signin.wrong");
        // Neither a key nor one who acts in the person's name does any of it.
        let mut key = ada.clone();
        (key.principal.kind, key.principal.session) = (PrincipalKind::ApiKey, None);
        assert_eq!(slug(people.update_me(&key, UpdateMe::default()).await), "auth.person_needed");
        assert_eq!(slug(people.delete_me(&key, DeleteMe::default()).await), "auth.person_needed");
        let mut acting = ada.clone();
        acting.principal.actor = Some(nsl_core::Subject::fresh());
        assert_eq!(slug(people.update_me(&acting, UpdateMe::default()).await), "auth.person_needed");
        assert_eq!(slug(people.find_me(&from(HOME), FindMe {}).await), "auth.missing");
        let machine = ground.as_key(&ground.tenant().await.key).await;
        assert_eq!(slug(people.find_me(&machine, FindMe {}).await), "people.not_a_person");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_is_good_once_for_its_person_and_for_its_time() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let people = &ground.all.people;
        let token = invite(&ground, &ada, Some("Bob@example.com"), &["viewer"]).await.unwrap();
        assert!(token.0.starts_with("nsi_"));
        let accept = |token: &Revealed| AcceptInvite { token: token.clone() };
        // Eve got hold of it; then Bob, who has an account already, uses it, twice.
        let eve = owner(&ground, "eve@example.com").await;
        assert_eq!(slug(people.accept_invite(&eve, accept(&token)).await), "people.invite_other");
        let register_eve = Register { invite: Some(token.clone()), ..register_of("eve2@example.com") };
        assert_eq!(slug(ground.all.signin.register(&from(HOME), register_eve).await), "people.invite_other");
        let bob = owner(&ground, "bob@example.com").await;
        let joined = people.accept_invite(&bob, accept(&token)).await.unwrap();
        assert_eq!((&joined.tenant, joined.roles), (&ada.tenant, roles(&["viewer"])));
        assert_eq!(slug(people.accept_invite(&bob, accept(&token)).await), "people.invite_invalid");
        let again = invite(&ground, &ada, None, &["admin"]).await.unwrap();
        assert_eq!(slug(people.accept_invite(&bob, accept(&again)).await), "people.member_already");
        assert_eq!(
            slug(people.accept_invite(&eve, accept(&Revealed("nsi_guess".to_owned()))).await),
            "people.invite_invalid"
        );
        // Withdrawn, and too old.
        let listed = people.list_invites(&ada, ListInvites { limit: 10, after: None }).await.unwrap().items;
        assert_eq!((listed.len(), listed[1].email.clone(), listed[1].accepted_by.clone()), (2, None, Some(id(&bob))));
        people.withdraw_invite(&ada, NameInvite { id: listed[0].id.clone() }).await.unwrap();
        assert_eq!(slug(people.accept_invite(&eve, accept(&again)).await), "people.invite_invalid");
        let old = invite(&ground, &ada, None, &["viewer"]).await.unwrap();
        ground.clock.advance(Duration::from_secs(7 * 86_400));
        assert_eq!(slug(people.accept_invite(&eve, accept(&old)).await), "people.invite_invalid");
        // The token lies nowhere.
        let mut kept = ground.db.query(Scope::Platform, "SELECT digest FROM invites", args![]).await.unwrap();
        assert!(kept.iter_mut().all(|row| row.take::<String>(0).unwrap().len() == 64));
        let mut once = ada.clone();
        once.once = Some(Once { key: "once".into(), fingerprint: "f".into() });
        assert!(invite(&ground, &once, None, &["viewer"]).await.is_ok());
        assert_eq!(slug(invite(&ground, &once, None, &["viewer"]).await), "people.invite_shown_once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_themselves_or_others_more_than_they_are() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let people = &ground.all.people;
        let admin = joins(&ground, &ada, "admin@example.com", &["admin"]).await;
        let dev = joins(&ground, &ada, "dev@example.com", &["developer"]).await;
        let viewer = joins(&ground, &ada, "viewer@example.com", &["viewer"]).await;
        assert!(!admin.principal.holds("identity:owner") && admin.principal.holds("identity:admin"));
        assert!(dev.principal.holds("storage:write") && !dev.principal.holds("identity:admin"));
        assert!(viewer.principal.holds("storage:read") && !viewer.principal.holds("storage:write"));
        // By themselves.
        assert_eq!(set(&ground, &viewer, &viewer, &["owner"]).await, "auth.scope_missing");
        assert_eq!(set(&ground, &dev, &dev, &["admin"]).await, "auth.scope_missing");
        assert_eq!(set(&ground, &admin, &admin, &["owner"]).await, "people.grant_not_held");
        // By each other, and over those who hold more.
        assert_eq!(set(&ground, &admin, &dev, &["owner"]).await, "people.grant_not_held");
        assert_eq!(set(&ground, &admin, &ada, &["viewer"]).await, "people.grant_not_held");
        assert_eq!(remove(&ground, &admin, &ada).await, "people.grant_not_held");
        assert_eq!(slug(people.suspend_user(&admin, named(&id(&ada))).await), "people.grant_not_held");
        // By an invite, or a role of their own.
        assert_eq!(slug(invite(&ground, &admin, None, &["owner"]).await), "people.grant_not_held");
        assert_eq!(slug(invite(&ground, &dev, None, &["viewer"]).await), "auth.scope_missing");
        let role =
            |name: &str, permissions: &[&str]| CreateRole { name: name.to_owned(), permissions: roles(permissions) };
        for (name, permissions, expected) in [
            ("root", &["*"][..], "people.permission_unknown"),
            ("root", &["storage:*"], "people.permission_unknown"),
            ("root", &["keys:sign"], "people.permission_unknown"),
            ("root", &["identity:owner"], "people.grant_not_held"),
            ("owner", &["storage:read"], "people.role_built_in"),
            ("Root", &["storage:read"], "people.role_name"),
            ("root", &[], "people.permissions"),
        ] {
            assert_eq!(
                slug(people.create_role(&admin, role(name, permissions)).await),
                expected,
                "{name} {permissions:?}"
            );
        }
        assert_eq!(slug(people.create_role(&dev, role("mine", &["storage:read"])).await), "auth.scope_missing");
        // A custom role that an owner filled is not an admin's to give, to widen or to take.
        people.create_role(&ada, role("closer", &["identity:owner"])).await.unwrap();
        assert_eq!(set(&ground, &admin, &dev, &["closer"]).await, "people.grant_not_held");
        let narrow = SetRole { name: "closer".to_owned(), permissions: roles(&["storage:read"]) };
        assert_eq!(slug(people.set_role(&admin, narrow).await), "people.grant_not_held");
        assert_eq!(
            slug(people.delete_role(&admin, NameRole { name: "closer".to_owned() }).await),
            "people.grant_not_held"
        );
        // A token with fewer scopes than its person has gives no more than these.
        let mut narrowed = ada.clone();
        narrowed.principal.scopes = ["identity:admin".to_owned()].into();
        assert_eq!(set(&ground, &narrowed, &viewer, &["developer"]).await, "people.grant_not_held");
        assert_eq!(set(&ground, &admin, &viewer, &["nonsense"]).await, "people.role_unknown");
        assert_eq!(set(&ground, &admin, &viewer, &["viewer", "viewer"]).await, "people.roles");
        assert_eq!(set(&ground, &admin, &viewer, &["developer"]).await, "fine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_keeps_an_owner() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        assert_eq!(remove(&ground, &ada, &ada).await, "people.last_owner");
        assert_eq!(set(&ground, &ada, &ada, &["viewer"]).await, "people.last_owner");
        assert_eq!(slug(ground.all.people.suspend_user(&ada, named(&id(&ada))).await), "people.last_owner");
        let bob = joins(&ground, &ada, "bob@example.com", &["owner"]).await;
        let gone = DeleteMe { password: Some(Revealed(PASSWORD.to_owned())) };
        // Two owners who leave at once: one of them stays.
        let (one, other) = tokio::join!(remove(&ground, &ada, &ada), remove(&ground, &bob, &bob));
        let mut both = [one.as_str(), other.as_str()];
        both.sort_unstable();
        assert_eq!(both, ["fine", "people.last_owner"]);
        let left = if one == "fine" { &bob } else { &ada };
        joins(&ground, left, "cem@example.com", &["viewer"]).await;
        assert_eq!(slug(ground.all.people.delete_me(left, gone).await), "people.last_owner");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_defined_used_and_deleted_and_each_change_ends_tokens_of_before() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let people = &ground.all.people;
        let role = CreateRole { name: "ops".to_owned(), permissions: roles(&["storage:read"]) };
        people.create_role(&ada, role.clone()).await.unwrap();
        assert_eq!(slug(people.create_role(&ada, role).await), "people.role_exists");
        let bob = joins(&ground, &ada, "bob@example.com", &["ops"]).await;
        assert_eq!(&*bob.principal.scopes, ["storage:read"]);
        let within = format!("sub:{}@{}", id(&bob), ada.tenant);
        assert!(!revoked(&ground, &within).await);
        let wider = SetRole { name: "ops".to_owned(), permissions: roles(&["storage:read", "storage:write"]) };
        people.set_role(&ada, wider).await.unwrap();
        assert!(revoked(&ground, &within).await);
        let now = person(&tokens(login(&ground, "bob@example.com", PASSWORD, HOME).await.unwrap()), HOME);
        assert_eq!(&*now.principal.scopes, ["storage:read", "storage:write"]);
        assert_eq!(slug(people.delete_role(&ada, NameRole { name: "ops".to_owned() }).await), "people.role_in_use");
        assert_eq!(set(&ground, &ada, &bob, &["viewer"]).await, "fine");
        invite(&ground, &ada, Some("cem@example.com"), &["ops"]).await.unwrap();
        assert_eq!(slug(people.delete_role(&ada, NameRole { name: "ops".to_owned() }).await), "people.role_in_use");
        ground.clock.advance(Duration::from_secs(8 * 86_400));
        people.delete_role(&ada, NameRole { name: "ops".to_owned() }).await.unwrap();
        let named: Vec<String> =
            people.list_roles(&ada, ListRoles {}).await.unwrap().items.into_iter().map(|role| role.name).collect();
        assert_eq!(named, ["owner", "admin", "developer", "viewer"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_or_removed_is_out_with_all_their_keys_and_invites() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let people = &ground.all.people;
        let bob = joins(&ground, &ada, "bob@example.com", &["admin"]).await;
        let key = ground.all.identity.create_key(&bob, new_key("bob's", &["storage:read"])).await.unwrap();
        let left = invite(&ground, &bob, None, &["viewer"]).await.unwrap();
        assert!(ground.authenticate(&key.secret.0).await.is_ok());
        let seen = people.suspend_user(&ada, named(&id(&bob))).await.unwrap();
        assert_eq!((seen.member, seen.status), (MemberStatus::Suspended, UserStatus::Active));
        assert!(revoked(&ground, &format!("sub:{}@{}", id(&bob), ada.tenant)).await);
        assert_eq!(slug(ground.authenticate(&key.secret.0).await), "auth.key_unknown");
        assert!(!ground.revoked.lock().is_empty(), "this process forgets the key at once");
        let eve = owner(&ground, "eve@example.com").await;
        assert_eq!(slug(people.accept_invite(&eve, AcceptInvite { token: left }).await), "people.invite_invalid");
        assert_ne!(slug(login(&ground, "bob@example.com", PASSWORD, HOME).await), "fine");
        people.resume_user(&ada, named(&id(&bob))).await.unwrap();
        assert!(login(&ground, "bob@example.com", PASSWORD, HOME).await.is_ok());
        assert_eq!(remove(&ground, &ada, &bob).await, "fine");
        assert_eq!(remove(&ground, &ada, &bob).await, "people.user_missing");
        assert_ne!(slug(login(&ground, "bob@example.com", PASSWORD, HOME).await), "fine");
        assert_eq!(people.list_own_tenants(&bob, ListOwnTenants {}).await.unwrap().items.len(), 0);
        // An operator keeps somebody out of everything.
        let system = Cx::system(TenantId::parse("platform").unwrap(), BUDGET);
        people.suspend_user(&system, named(&id(&eve))).await.unwrap();
        assert!(revoked(&ground, &format!("sub:{}", id(&eve))).await);
        assert_eq!(slug(login(&ground, "eve@example.com", PASSWORD, HOME).await), "signin.suspended");
        assert_eq!(slug(people.find_me(&eve, FindMe {}).await), "people.not_a_person");
        people.resume_user(&system, named(&id(&eve))).await.unwrap();
        assert!(login(&ground, "eve@example.com", PASSWORD, HOME).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_listed_and_searched_by_those_who_may() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let people = &ground.all.people;
        for number in 0..5 {
            let cx = joins(&ground, &ada, &format!("dev{number}@example.com"), &["developer"]).await;
            let name = UpdateMe { name: Some(format!("Dev {number}")), ..UpdateMe::default() };
            people.update_me(&cx, name).await.unwrap();
        }
        let bob = joins(&ground, &ada, "bob_%@example.com", &["viewer"]).await;
        owner(&ground, "dev9@example.com").await;
        let ask = |email: &str, name: &str| ListUsers {
            limit: 10,
            email: Some(email.to_owned()).filter(|text| !text.is_empty()),
            name: Some(name.to_owned()).filter(|text| !text.is_empty()),
            ..ListUsers::default()
        };
        let count = async |ask: ListUsers| people.list_users(&ada, ask).await.unwrap().items.len();
        assert_eq!(count(ask("", "")).await, 7);
        assert_eq!(count(ask("DEV", "")).await, 5);
        assert_eq!(count(ask("dev3", "")).await, 1);
        assert_eq!(count(ask("", "dev ")).await, 5);
        assert_eq!(count(ask("%", "")).await, 0);
        assert_eq!(count(ask("bob_", "")).await, 1);
        assert_eq!(count(ListUsers { role: Some("viewer".to_owned()), ..ask("", "") }).await, 1);
        assert_eq!(count(ListUsers { role: Some("%".to_owned()), ..ask("", "") }).await, 0);
        assert_eq!(count(ListUsers { status: Some(MemberStatus::Suspended), ..ask("", "") }).await, 0);
        let first = people.list_users(&ada, ListUsers { limit: 4, ..ListUsers::default() }).await.unwrap();
        let rest = ListUsers { limit: 4, after: first.next.clone(), ..ListUsers::default() };
        let rest = people.list_users(&ada, rest).await.unwrap();
        assert_eq!((first.items.len(), rest.items.len(), rest.next), (4, 3, None));
        // A viewer sees who is there, and no address.
        assert_eq!(slug(people.list_users(&bob, ask("", "")).await), "auth.scope_missing");
        assert_eq!(slug(people.find_user(&bob, named(&id(&ada))).await), "auth.scope_missing");
        assert!(people.find_user(&bob, named(&id(&bob))).await.is_ok());
        let seen = people.list_members(&bob, ListMembers { limit: 10, after: None }).await.unwrap().items;
        assert!(seen.len() == 7 && seen.iter().all(|user| user.email.is_none()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_ids_of_another_tenant_nothing_is_seen_or_done() {
    each(async |ground: Ground| {
        let (ada, eve) = (owner(&ground, "ada@example.com").await, owner(&ground, "eve@example.com").await);
        let people = &ground.all.people;
        let bob = joins(&ground, &ada, "bob@example.com", &["viewer"]).await;
        invite(&ground, &ada, None, &["viewer"]).await.unwrap();
        let of_ada = people.list_invites(&ada, ListInvites { limit: 1, after: None }).await.unwrap().items.remove(0).id;
        let role = CreateRole { name: "ops".to_owned(), permissions: roles(&["storage:read"]) };
        people.create_role(&ada, role).await.unwrap();
        assert_eq!(slug(people.find_user(&eve, named(&id(&bob))).await), "people.user_missing");
        assert_eq!(slug(people.suspend_user(&eve, named(&id(&bob))).await), "people.user_missing");
        assert_eq!(slug(people.resume_user(&eve, named(&id(&bob))).await), "people.user_missing");
        assert_eq!(slug(people.delete_user(&eve, named(&id(&bob))).await), "identity.platform_only");
        assert_eq!(set(&ground, &eve, &bob, &["owner"]).await, "people.user_missing");
        assert_eq!(remove(&ground, &eve, &bob).await, "people.user_missing");
        assert_eq!(slug(people.withdraw_invite(&eve, NameInvite { id: of_ada }).await), "people.invite_missing");
        let theirs = SetRole { name: "ops".to_owned(), permissions: roles(&["storage:read"]) };
        assert_eq!(slug(people.set_role(&eve, theirs).await), "people.role_missing");
        assert_eq!(slug(people.delete_role(&eve, NameRole { name: "ops".to_owned() }).await), "people.role_missing");
        assert_eq!(slug(invite(&ground, &eve, None, &["ops"]).await), "people.role_unknown");
        assert_eq!(
            people.list_users(&eve, ListUsers { limit: 10, ..ListUsers::default() }).await.unwrap().items.len(),
            1
        );
        assert_eq!(people.list_invites(&eve, ListInvites { limit: 10, after: None }).await.unwrap().items.len(), 0);
        let tenant = ada.tenant.clone();
        let (rename, name) = (RenameTenant { tenant: tenant.clone(), name: "mine".to_owned() }, NameTenant { tenant });
        assert_eq!(slug(people.rename_tenant(&eve, rename).await), "people.tenant_missing");
        let sure = stepped_up(&ground, &eve);
        assert_eq!(slug(people.delete_tenant(&sure, name.clone()).await), "people.tenant_missing");
        let before = ground.events(&ada.tenant).await.len();
        assert_eq!(slug(people.restore_tenant(&sure, name).await), "people.tenant_missing");
        assert_eq!(ground.events(&ada.tenant).await.len(), before, "not even evidence is written over there");
        let wanted =
            nsl_api::signin::Login { tenant: Some(ada.tenant.clone()), ..login_of("eve@example.com", PASSWORD) };
        assert_ne!(slug(ground.all.signin.login(&from(HOME), wanted).await), "fine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_made_renamed_closed_and_restored() {
    each(async |ground: Ground| {
        let ada = owner(&ground, "ada@example.com").await;
        let people = &ground.all.people;
        let second = people.open_tenant(&ada, OpenTenant { name: "second".to_owned() }).await.unwrap();
        assert_eq!((second.roles.clone(), second.status), (roles(&["owner"]), TenantStatus::Active));
        assert_eq!(people.list_own_tenants(&ada, ListOwnTenants {}).await.unwrap().items.len(), 2);
        let rename = RenameTenant { tenant: ada.tenant.clone(), name: "renamed".to_owned() };
        assert_eq!(people.rename_tenant(&ada, rename).await.unwrap().name, "renamed");
        let bob = joins(&ground, &ada, "bob@example.com", &["admin"]).await;
        let key = ground.all.identity.create_key(&ada, new_key("ci", &["storage:read"])).await.unwrap();
        let name = NameTenant { tenant: ada.tenant.clone() };
        // An admin may not, an owner without a fresh factor may not, a key may not.
        assert_eq!(slug(people.delete_tenant(&stepped_up(&ground, &bob), name.clone()).await), "auth.scope_missing");
        assert_eq!(slug(people.delete_tenant(&ada, name.clone()).await), "auth.step_up");
        let mut machine = stepped_up(&ground, &ada);
        machine.principal.kind = PrincipalKind::ApiKey;
        assert_eq!(slug(people.delete_tenant(&machine, name.clone()).await), "auth.person_needed");
        let closed = people.delete_tenant(&stepped_up(&ground, &ada), name.clone()).await.unwrap();
        assert_eq!(closed.status, TenantStatus::Deleting);
        assert_eq!(closed.erase_at.unwrap(), ground.clock.now().plus(Duration::from_secs(7 * 86_400)));
        for who in [&ada, &bob] {
            assert!(revoked(&ground, &format!("sub:{}@{}", id(who), ada.tenant)).await);
        }
        assert_eq!(slug(ground.authenticate(&key.secret.0).await), "auth.key_unknown");
        assert_ne!(slug(login(&ground, "bob@example.com", PASSWORD, HOME).await), "fine");
        // Its owner comes in to the other tenant by default, and into this one with nothing but the way back.
        let into: TokenReply = tokens(login(&ground, "ada@example.com", PASSWORD, HOME).await.unwrap());
        assert_eq!(into.tenant, second.tenant);
        let wanted =
            nsl_api::signin::Login { tenant: Some(ada.tenant.clone()), ..login_of("ada@example.com", PASSWORD) };
        let waiting = tokens(ground.all.signin.login(&from(HOME), wanted).await.unwrap());
        assert_eq!(waiting.scope, "");
        assert_eq!(slug(people.delete_tenant(&stepped_up(&ground, &ada), name.clone()).await), "people.tenant_closed");
        let ada_elsewhere = stepped_up(&ground, &person(&into, HOME));
        assert_eq!(slug(people.restore_tenant(&person(&into, HOME), name.clone()).await), "auth.step_up");
        assert_eq!(
            slug(people.restore_tenant(&stepped_up(&ground, &bob), name.clone()).await),
            "people.tenant_missing"
        );
        let back = people.restore_tenant(&ada_elsewhere, name).await.unwrap();
        assert_eq!((back.status, back.erase_at), (TenantStatus::Active, None));
        assert!(login(&ground, "bob@example.com", PASSWORD, HOME).await.is_ok());
        assert!(ground.authenticate(&key.secret.0).await.is_ok());
    })
    .await;
}
