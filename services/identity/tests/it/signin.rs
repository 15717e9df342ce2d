//! Accounts and passwords.

use std::{net::IpAddr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nsl_api::{
    Revealed,
    sessions::TokenReply,
    signin::{ChangePassword, IssueReset, Login, Nothing, Register, ResetPassword, SignedIn},
};
use nsl_core::{Code, Cx, Error, Principal, PrincipalKind, Result, Source, Subject, TenantId, Timestamp};
use nsl_ledger::Search;
use nsl_sql::{Scope, args};
use serde_json::Value;

use crate::ground::{BUDGET, Ground, each, lasting};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A stranger at this address.
pub(crate) fn from(address: &str) -> Cx {
    let mut cx = Cx::system(TenantId::parse("anonymous").unwrap(), BUDGET);
    cx.principal = Principal::anonymous();
    cx.source = Source { ip: Some(address.parse::<IpAddr>().unwrap()), user_agent: Some("test".into()) };
    cx
}

pub(crate) fn login_of(email: &str, password: &str) -> Login {
    Login { email: email.to_owned(), password: Revealed(password.to_owned()), tenant: None }
}

pub(crate) fn register_of(email: &str) -> Register {
    Register {
        email: email.to_owned(),
        password: Revealed(PASSWORD.to_owned()),
        name: None,
        tenant_name: None,
        invite: None,
    }
}

pub(crate) fn tokens(signed_in: SignedIn) -> TokenReply {
    match signed_in {
        SignedIn::Tokens(tokens) => tokens,
        SignedIn::SecondFactor(asked) => panic!("asked for a second factor: {asked:?}"),
    }
}

pub(crate) fn claims(tokens: &TokenReply) -> Value {
    let payload = tokens.access_token.0.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// What a request with this access token runs under.
pub(crate) fn person(tokens: &TokenReply, address: &str) -> Cx {
    let claims = claims(tokens);
    let mut cx = lasting(from(address));
    cx.tenant = tokens.tenant.clone();
    cx.principal = Principal {
        kind: PrincipalKind::Token,
        subject: Subject::parse(claims["sub"].as_str().unwrap()).unwrap(),
        scopes: tokens.scope.split(' ').map(str::to_owned).collect(),
        session: tokens.session_id.as_deref().map(Into::into),
        whole: claims["whole"] == true,
        second_factor_at: claims["mfa_time"].as_i64().map(|seconds| Timestamp(seconds * 1_000_000)),
        ..Principal::anonymous()
    };
    cx
}

pub(crate) async fn register(ground: &Ground, email: &str, address: &str) -> TokenReply {
    tokens(ground.all.signin.register(&from(address), register_of(email)).await.unwrap())
}

pub(crate) async fn login(ground: &Ground, email: &str, password: &str, address: &str) -> Result<SignedIn> {
    ground.all.signin.login(&from(address), login_of(email, password)).await
}

pub(crate) fn slug<T>(outcome: Result<T>) -> String {
    outcome.map(|_| "fine".to_owned()).unwrap_or_else(|error| error.slug.into_owned())
}

pub(crate) async fn events(ground: &Ground, prefix: &str) -> Vec<String> {
    let search = Search { limit: 100, ..Search::default() };
    let found = ground.ledger.search(&TenantId::parse("platform").unwrap(), search).await.unwrap();
    found.into_iter().map(|entry| entry.event_type).filter(|event| event.starts_with(prefix)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_with_a_tenant_of_its_own_and_found_by_its_address_in_any_case() {
    each(async |ground: Ground| {
        let made = register(&ground, "Alice@Example.com", "192.0.2.1").await;
        assert_eq!((made.scope.as_str(), made.refresh_token.is_some()), ("*", true));
        let again = tokens(login(&ground, "aLICE@example.COM", PASSWORD, "198.51.100.1").await.unwrap());
        assert_eq!((&again.tenant, claims(&again)["sub"].clone()), (&made.tenant, claims(&made)["sub"].clone()));
        assert_eq!(claims(&again)["amr"], serde_json::json!(["pwd"]));
        let taken = ground.all.signin.register(&from("192.0.2.1"), register_of("alice@example.com")).await;
        assert_eq!(slug(taken), "people.email_taken");
        let other = register(&ground, "bob@example.com", "192.0.2.1").await;
        assert_ne!(other.tenant, made.tenant);
        let wanted = Login { tenant: Some(other.tenant.clone()), ..login_of("alice@example.com", PASSWORD) };
        let refused = ground.all.signin.login(&from("192.0.2.1"), wanted).await.unwrap_err();
        assert_eq!(refused.code, Code::Forbidden, "{refused}");
        assert_eq!(
            events(&ground, "signin.").await,
            ["signin.ok", "signin.ok", "signin.registered", "signin.ok", "signin.ok", "signin.registered"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_addresses_and_passwords_is_asked() {
    each(async |ground: Ground| {
        for (email, password, slug_of, reason) in [
            ("alice", PASSWORD, "signin.email", ""),
            ("alice@localhost", PASSWORD, "signin.email", ""),
            ("alice@example.com", "short", "signin.password_weak", "too_short"),
            ("alice@example.com", "alice@example.com", "signin.password_weak", "is_email"),
        ] {
            let request = Register { password: Revealed(password.to_owned()), ..register_of(email) };
            let refused = ground.all.signin.register(&from("192.0.2.1"), request).await.unwrap_err();
            assert_eq!((&*refused.slug, refused.code), (slug_of, Code::Invalid));
            assert_eq!(refused.details.get("reason").and_then(Value::as_str).unwrap_or(""), reason);
        }
    })
    .await;
}

fn shown(error: &Error) -> (Code, String, String, String) {
    let details = serde_json::to_string(&error.details).unwrap();
    (error.code, error.slug.clone().into_owned(), error.message.clone(), details)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_answers_as_one_with_another_password_does_until_it_is_locked_and_after() {
    each(async |ground: Ground| {
        register(&ground, "alice@example.com", "192.0.2.1").await;
        for round in 0..8 {
            let known = login(&ground, "alice@example.com", "wrong horse", "203.0.113.1").await.unwrap_err();
            let unknown = login(&ground, "nobody@example.com", "wrong horse", "203.0.113.1").await.unwrap_err();
            assert_eq!(shown(&known), shown(&unknown), "round {round}");
            let expected = if round < 5 { "signin.wrong" } else { "signin.locked" };
            assert_eq!(known.slug, expected, "round {round}");
            assert_eq!(known.retry_after_ms, unknown.retry_after_ms);
        }
        let weird = login(&ground, "alice@example.com", &"x".repeat(10_000), "203.0.114.1").await.unwrap_err();
        assert_eq!(weird.slug, "signin.wrong");
        let failed = events(&ground, "signin.failed").await.len();
        assert_eq!(failed, 11, "each wrong try is in the trail, also at an account that is not there");
        assert_eq!(events(&ground, "signin.locked").await.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessers_lock_themselves_out_and_never_the_owner() {
    each(async |ground: Ground| {
        register(&ground, "alice@example.com", "192.0.2.1").await;
        // One network: five tries, then waits that double.
        for _ in 0..5 {
            assert_eq!(slug(login(&ground, "alice@example.com", "wrong horse", "203.0.113.1").await), "signin.wrong");
        }
        let locked = login(&ground, "alice@example.com", PASSWORD, "203.0.113.99").await.unwrap_err();
        assert_eq!((&*locked.slug, locked.retry_after_ms), ("signin.locked", Some(30_000)), "neighbours share it");
        ground.clock.advance(Duration::from_secs(30));
        assert_eq!(slug(login(&ground, "alice@example.com", "wrong horse", "203.0.113.1").await), "signin.wrong");
        let locked = login(&ground, "alice@example.com", PASSWORD, "203.0.113.1").await.unwrap_err();
        assert_eq!(locked.retry_after_ms, Some(60_000));
        // The owner elsewhere notices nothing.
        assert_eq!(slug(login(&ground, "alice@example.com", PASSWORD, "198.51.100.7").await), "fine");
        // Many networks: strangers are slowed down together, where the owner was before stays open.
        for number in 0..100 {
            let from = format!("10.{}.{}.1", number / 200, number % 200);
            let refused = login(&ground, "alice@example.com", "wrong horse", &from).await.unwrap_err();
            assert!(matches!(&*refused.slug, "signin.wrong" | "signin.locked"), "{refused}");
        }
        let stranger = login(&ground, "alice@example.com", PASSWORD, "172.16.0.1").await.unwrap_err();
        assert_eq!(stranger.slug, "signin.locked");
        assert!(stranger.retry_after_ms.unwrap() <= 60_000);
        assert_eq!(slug(login(&ground, "alice@example.com", PASSWORD, "192.0.2.77").await), "fine");
        assert_eq!(slug(login(&ground, "alice@example.com", PASSWORD, "198.51.100.7").await), "fine");
        ground.clock.advance(Duration::from_secs(60));
        assert_eq!(slug(login(&ground, "alice@example.com", PASSWORD, "172.16.0.1").await), "fine");
        // A right password lets the network begin anew.
        for _ in 0..2 {
            for _ in 0..4 {
                assert_eq!(slug(login(&ground, "alice@example.com", "wrong horse", "192.0.2.1").await), "signin.wrong");
            }
            assert_eq!(slug(login(&ground, "alice@example.com", PASSWORD, "192.0.2.1").await), "fine");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_guesses_at_once_are_no_more_than_five() {
    each(async |ground: Ground| {
        register(&ground, "alice@example.com", "192.0.2.1").await;
        let tries = (0..50).map(|_| login(&ground, "alice@example.com", "wrong horse", "203.0.113.1"));
        let outcomes: Vec<String> = futures_util::future::join_all(tries).await.into_iter().map(slug).collect();
        let wrong = outcomes.iter().filter(|slug| *slug == "signin.wrong").count();
        assert_eq!(wrong, 5, "{outcomes:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_hold_in_all_processes() {
    let ground = Ground::on(Some(nsl_sandbox::Database::fresh().unwrap()), 1_000).await;
    let beside = ground.all_beside().await;
    register(&ground, "alice@example.com", "192.0.2.1").await;
    let guess = || login_of("alice@example.com", "wrong horse");
    for _ in 0..3 {
        assert_eq!(slug(ground.all.signin.login(&from("203.0.113.1"), guess()).await), "signin.wrong");
    }
    for _ in 0..2 {
        assert_eq!(slug(beside.signin.login(&from("203.0.113.1"), guess()).await), "signin.wrong");
    }
    assert_eq!(slug(ground.all.signin.login(&from("203.0.113.1"), guess()).await), "signin.locked");
    assert_eq!(slug(beside.signin.login(&from("203.0.113.1"), guess()).await), "signin.locked");
    assert_eq!(slug(beside.signin.login(&from("192.0.2.1"), login_of("alice@example.com", PASSWORD)).await), "fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suspended_are_told_so_when_they_know_the_password() {
    each(async |ground: Ground| {
        register(&ground, "alice@example.com", "192.0.2.1").await;
        let sql = "UPDATE users SET status = 'suspended'";
        ground.db.write_platform(nsl_sql::Statement { sql, args: args![] }).await.unwrap();
        assert_eq!(slug(login(&ground, "alice@example.com", "wrong horse", "192.0.2.1").await), "signin.wrong");
        let refused = login(&ground, "alice@example.com", PASSWORD, "192.0.2.1").await.unwrap_err();
        assert_eq!((&*refused.slug, refused.code), ("signin.suspended", Code::Forbidden));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_what_the_old_one_began() {
    each(async |ground: Ground| {
        let first = register(&ground, "alice@example.com", "192.0.2.1").await;
        tokens(login(&ground, "alice@example.com", PASSWORD, "192.0.2.1").await.unwrap());
        let cx = person(&first, "192.0.2.1");
        let change = |current: &str, new: &str| ChangePassword {
            current_password: Revealed(current.to_owned()),
            new_password: Revealed(new.to_owned()),
        };
        let signin = &ground.all.signin;
        assert_eq!(slug(signin.change_password(&cx, change("wrong horse", "another horse")).await), "signin.wrong");
        assert_eq!(slug(signin.change_password(&cx, change(PASSWORD, "short")).await), "signin.password_weak");
        let changed = signin.change_password(&cx, change(PASSWORD, "another horse")).await.unwrap();
        assert_eq!(changed.sessions_ended, 1);
        assert_eq!(slug(login(&ground, "alice@example.com", PASSWORD, "192.0.2.1").await), "signin.wrong");
        assert_eq!(slug(login(&ground, "alice@example.com", "another horse", "192.0.2.1").await), "fine");
        let mut machine = cx.clone();
        machine.principal.session = None;
        assert_eq!(slug(signin.change_password(&machine, change(PASSWORD, PASSWORD)).await), "auth.person_needed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_token_works_once_and_only_for_those_below() {
    each(async |ground: Ground| {
        let signin = &ground.all.signin;
        let alice = register(&ground, "alice@example.com", "192.0.2.1").await;
        let bob = register(&ground, "bob@example.com", "192.0.2.1").await;
        let (alice_id, bob_id) =
            (claims(&alice)["sub"].as_str().unwrap().to_owned(), claims(&bob)["sub"].as_str().unwrap().to_owned());
        let issue = |user: &str| IssueReset { user: user.to_owned() };
        let mut admin = person(&alice, "192.0.2.1");
        assert_eq!(slug(signin.issue_reset(&admin, issue(&alice_id)).await), "auth.step_up");
        admin.principal.second_factor_at = Some(nsl_core::Clock::now(&*ground.clock));
        assert_eq!(slug(signin.issue_reset(&admin, issue(&bob_id)).await), "people.user_missing", "a stranger");
        assert_eq!(slug(signin.issue_reset(&admin, issue("usr_none")).await), "people.user_missing");
        // A member who has a tenant of his own, too: his password would open that.
        let sql = "INSERT INTO members (tenant_id, user_id, roles, status, since) VALUES ($1, $2, $3, 'active', $4)";
        let now = nsl_core::Clock::now(&*ground.clock);
        let args = args![&alice.tenant, bob_id.clone(), &serde_json::json!(["viewer"]), now];
        ground.db.write_platform(nsl_sql::Statement { sql, args }).await.unwrap();
        assert_eq!(slug(signin.issue_reset(&admin, issue(&bob_id)).await), "signin.reset_not_yours");
        // One who is of this tenant alone, and below.
        let sql = "DELETE FROM members WHERE tenant_id = $1";
        ground.db.write_platform(nsl_sql::Statement { sql, args: args![&bob.tenant] }).await.unwrap();
        let mut below = admin.clone();
        below.principal.scopes = ["identity:admin".to_owned()].into();
        assert_eq!(slug(signin.issue_reset(&below, issue(&alice_id)).await), "signin.reset_not_yours", "the owner");
        let first = signin.issue_reset(&admin, issue(&bob_id)).await.unwrap();
        let issued = signin.issue_reset(&admin, issue(&bob_id)).await.unwrap();
        let stranger = lasting(from("198.51.100.1"));
        let reset = |token: &Revealed, password: &str| ResetPassword {
            reset_token: token.clone(),
            new_password: Revealed(password.to_owned()),
        };
        let outcome = signin.reset_password(&stranger, reset(&first.reset_token, "another horse")).await;
        assert_eq!(slug(outcome), "signin.reset_token", "a later one replaces it");
        let both = [(); 8].map(|()| signin.reset_password(&stranger, reset(&issued.reset_token, "another horse")));
        let outcomes: Vec<String> = futures_util::future::join_all(both).await.into_iter().map(slug).collect();
        assert_eq!(outcomes.iter().filter(|slug| *slug == "fine").count(), 1, "{outcomes:?}");
        assert_eq!(slug(login(&ground, "bob@example.com", PASSWORD, "192.0.2.1").await), "signin.wrong");
        assert_eq!(slug(login(&ground, "bob@example.com", "another horse", "192.0.2.1").await), "fine");
        let late = signin.issue_reset(&admin, issue(&bob_id)).await.unwrap();
        ground.clock.advance(Duration::from_secs(3_600));
        let outcome = signin.reset_password(&stranger, reset(&late.reset_token, "a third horse")).await;
        assert_eq!(slug(outcome), "signin.reset_token");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_has_neither_a_password_nor_an_address_that_was_tried() {
    each(async |ground: Ground| {
        register(&ground, "alice@example.com", "192.0.2.1").await;
        login(&ground, "alice@example.com", "wrong horse", "203.0.113.1").await.unwrap_err();
        login(&ground, "nobody@example.com", "wrong horse", "203.0.113.1").await.unwrap_err();
        for sql in [
            "SELECT phc FROM passwords",
            "SELECT account || network FROM signin_attempts",
            "SELECT network FROM signin_networks",
            "SELECT coalesce(user_address, '') || CAST(request_data AS text) FROM audit_logs WHERE request_data IS NOT NULL",
        ] {
            let rows = ground.db.query(Scope::Platform, sql, args![]).await.unwrap();
            assert!(!rows.is_empty(), "{sql}");
            for mut row in rows {
                let text: String = row.take(0).unwrap();
                let bare = ["horse", "example.com", "192.0.2", "203.0.113"];
                assert!(bare.iter().all(|word| !text.contains(word)), "{sql}: {text}");
            }
        }
        let phc: String =
            ground.db.query(Scope::Platform, "SELECT phc FROM passwords", args![]).await.unwrap()[0].take(0).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_kept_with_less_is_hashed_anew_at_the_next_sign_in() {
    each(async |ground: Ground| {
        register(&ground, "alice@example.com", "192.0.2.1").await;
        // Made by the reference implementation, of "password".
        let old = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let sql = "UPDATE passwords SET phc = $1";
        ground.db.write_platform(nsl_sql::Statement { sql, args: args![old] }).await.unwrap();
        assert_eq!(slug(login(&ground, "alice@example.com", "password", "192.0.2.1").await), "fine");
        let rows = ground.db.query(Scope::Platform, "SELECT phc FROM passwords", args![]).await.unwrap();
        let kept: String = rows.into_iter().next().unwrap().take(0).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=64,"), "{kept}");
        assert_eq!(slug(login(&ground, "alice@example.com", "password", "192.0.2.1").await), "fine");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_can_show_is_told_to_its_owner() {
    each(async |ground: Ground| {
        let made = register(&ground, "alice@example.com", "192.0.2.1").await;
        let factors = ground.all.signin.list_factors(&person(&made, "192.0.2.1"), Nothing {}).await.unwrap();
        assert!(factors.password && factors.factors.is_empty() && factors.recovery_codes_left == 0);
        assert_eq!(slug(ground.all.signin.list_factors(&from("192.0.2.1"), Nothing {}).await), "auth.missing");
    })
    .await;
}
