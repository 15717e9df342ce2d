//! Sessions, refresh tokens, and what was taken back.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use nsl_api::{
    Revealed,
    sessions::{
        EndOtherSessions, EndSession, ListSessions, Logout, RefreshTokens, Revocation, RevokedSince, TokenReply,
    },
};
use nsl_core::{Clock, Code, Cx, Once, Result, TenantId};
use nsl_identity::Clients;
use nsl_ledger::Search;
use nsl_sql::{Scope, Statement, args};

use crate::{
    ground::{BUDGET, Ground, each},
    signin::{PASSWORD, claims, from, login, person, register, slug, tokens as signed_in},
};

const HERE: &str = "192.0.2.7";

pub(crate) fn refresh_of(token: &str) -> RefreshTokens {
    RefreshTokens { refresh_token: Revealed(token.to_owned()), tenant: None, client: None, scope: None, proof: None }
}

pub(crate) async fn refresh(clients: &Clients, token: &str) -> Result<TokenReply> {
    clients.sessions.refresh_tokens(&from(HERE), refresh_of(token)).await
}

/// The same with an idempotency key.
async fn refresh_once(clients: &Clients, token: &str, key: &str) -> Result<TokenReply> {
    let mut cx = from(HERE);
    cx.once = Some(Once { key: key.into(), fingerprint: "f".into() });
    clients.sessions.refresh_tokens(&cx, refresh_of(token)).await
}

pub(crate) fn next(reply: &TokenReply) -> &str {
    &reply.refresh_token.as_ref().unwrap().0
}

pub(crate) async fn revocations(clients: &Clients, after: i64) -> Vec<Revocation> {
    let cx = Cx::system(TenantId::parse("anonymous").unwrap(), BUDGET);
    let mut all = Vec::new();
    let mut seq = after;
    loop {
        let found = clients.sessions.revoked_since(&cx, RevokedSince { seq }).await.unwrap();
        seq = found.items.last().map_or(seq, |item| item.seq);
        all.extend(found.items);
        if !found.more {
            return all;
        }
    }
}

pub(crate) async fn events(ground: &Ground, tenant: &TenantId, event: &str) -> usize {
    let found = ground.ledger.search(tenant, Search { limit: 1_000, ..Search::default() }).await.unwrap();
    found.iter().filter(|entry| entry.event_type == event).count()
}

pub(crate) async fn run(ground: &Ground, sql: &'static str, args: Vec<nsl_sql::Value>) {
    ground.db.write_platform(Statement { sql, args }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refresh_spends_its_token_and_a_second_use_ends_the_session() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        let bystander = register(&ground, "bob@example.com", HERE).await;
        let second = refresh(&ground.all, next(&first)).await.unwrap();
        let third = refresh(&ground.all, next(&second)).await.unwrap();
        assert_eq!((&third.session_id, &third.tenant), (&first.session_id, &first.tenant));
        assert_ne!(claims(&third)["jti"], claims(&second)["jti"]);

        // A thief comes late: the thief and the owner both lose.
        assert_eq!(slug(refresh(&ground.all, next(&first)).await), "tokens.reuse");
        for token in [&first, &second, &third] {
            let refused = refresh(&ground.all, next(token)).await.unwrap_err();
            assert_eq!((refused.code, &*refused.slug), (Code::Unauthenticated, "tokens.refresh_unknown"));
        }
        let revoked = revocations(&ground.all, 0).await;
        let what = format!("sid:{}", first.session_id.as_ref().unwrap());
        assert_eq!(revoked.iter().map(|item| &item.what).collect::<Vec<_>>(), [&what]);
        assert!(claims(&third)["rev"].as_i64().unwrap() < revoked[0].seq, "the tokens of the session are refused");
        assert_eq!(events(&ground, &first.tenant, "tokens.reuse").await, 1);
        assert_eq!(events(&ground, &first.tenant, "tokens.refreshed").await, 2);
        assert!(refresh(&ground.all, next(&bystander)).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_uses_at_once_one_wins() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        let beside = if ground.is_shared() { ground.all_beside().await } else { ground.all.clone() };
        let uses = (0..100).map(|n| refresh(if n % 2 == 0 { &ground.all } else { &beside }, next(&first)));
        let replies = join_all(uses).await;
        let won: Vec<_> = replies.iter().filter_map(|reply| reply.as_ref().ok()).collect();
        assert_eq!(won.len(), 1);
        assert!(
            replies.iter().filter_map(|reply| reply.as_ref().err()).all(|error| error.code == Code::Unauthenticated)
        );
        // All others were a second use, which nobody can tell from theft.
        assert_eq!(slug(refresh(&ground.all, next(won[0])).await), "tokens.refresh_unknown");
        assert_eq!(events(&ground, &first.tenant, "tokens.reuse").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_given_again_for_ten_seconds_under_its_key_and_no_longer() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        let second = refresh_once(&ground.all, next(&first), "k1").await.unwrap();
        ground.clock.advance(Duration::from_secs(10));
        let again = refresh_once(&ground.all, next(&first), "k1").await.unwrap();
        assert_eq!(next(&again), next(&second));
        let third = refresh_once(&ground.all, next(&again), "k2").await.unwrap();
        // What came after was used: whoever repeats the first now is not who has that.
        assert_eq!(slug(refresh_once(&ground.all, next(&first), "k1").await), "tokens.reuse");
        assert_eq!(slug(refresh(&ground.all, next(&third)).await), "tokens.refresh_unknown");

        for (key, wait) in [("other", 1), ("k1", 11)] {
            let first = signed_in(login(&ground, "ann@example.com", PASSWORD, HERE).await.unwrap());
            refresh_once(&ground.all, next(&first), "k1").await.unwrap();
            ground.clock.advance(Duration::from_secs(wait));
            assert_eq!(slug(refresh_once(&ground.all, next(&first), key).await), "tokens.reuse", "{key} after {wait}");
        }
        let first = signed_in(login(&ground, "ann@example.com", PASSWORD, HERE).await.unwrap());
        refresh_once(&ground.all, next(&first), "k1").await.unwrap();
        assert_eq!(slug(refresh(&ground.all, next(&first)).await), "tokens.reuse", "without a key");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_kept_is_a_token() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        let second = refresh_once(&ground.all, next(&first), "k1").await.unwrap();
        for sql in [
            "SELECT outcome FROM idempotency",
            "SELECT digest || coalesce(next, '') FROM refresh_tokens",
            "SELECT works_in || amr FROM sessions",
        ] {
            for mut row in ground.db.query(Scope::Platform, sql, args![]).await.unwrap() {
                let text: String = row.take(0).unwrap();
                for token in [next(&first), next(&second), &first.access_token.0, &second.access_token.0] {
                    assert!(!text.contains(token) && !text.contains(&token[4..]), "{sql}");
                }
            }
        }
        let printed = format!("{first:?} {:?}", refresh_of(next(&first)));
        assert!(!printed.contains(next(&first)) && !printed.contains(&first.access_token.0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sixth_session_ends_the_oldest() {
    each(async |ground: Ground| {
        let mut all = vec![register(&ground, "ann@example.com", HERE).await];
        for _ in 0..6 {
            ground.clock.advance(Duration::from_secs(60));
            all.push(signed_in(login(&ground, "ann@example.com", PASSWORD, HERE).await.unwrap()));
        }
        let cx = person(&all[6], HERE);
        let listed = ground.all.sessions.list_sessions(&cx, ListSessions::default()).await.unwrap().items;
        let ids: Vec<_> = listed.iter().map(|session| session.id.clone()).collect();
        let newest: Vec<_> = all.iter().rev().take(5).map(|reply| reply.session_id.clone().unwrap()).collect();
        assert_eq!(ids, newest);
        assert!(listed[0].current && !listed[1].current);
        assert_eq!((listed[0].address.as_deref(), listed[0].agent.as_deref()), (Some(HERE), Some("test")));
        for (at, reply) in all.iter().enumerate() {
            assert_eq!(refresh(&ground.all, next(reply)).await.is_ok(), at >= 2, "session {at}");
        }
        assert_eq!(events(&ground, &all[0].tenant, "tokens.session_ended").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_at_once_leave_no_more_than_five_sessions() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        let many = (0..12).map(|n| {
            let ground = &ground;
            async move { login(ground, "ann@example.com", PASSWORD, &format!("192.0.2.{n}")).await.map(signed_in) }
        });
        let all: Vec<_> = join_all(many).await.into_iter().filter_map(Result::ok).collect();
        assert!(all.len() >= 6, "{}", all.len());
        let cx = person(&first, HERE);
        let listed = ground.all.sessions.list_sessions(&cx, ListSessions::default()).await.unwrap().items;
        assert_eq!(listed.len(), 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_a_week_after_its_last_use_and_three_months_at_most() {
    each(async |ground: Ground| {
        const DAY: Duration = Duration::from_secs(86_400);
        let idle = register(&ground, "ann@example.com", HERE).await;
        ground.clock.advance(7 * DAY);
        assert_eq!(slug(refresh(&ground.all, next(&idle)).await), "tokens.refresh_unknown");

        let mut busy = signed_in(login(&ground, "ann@example.com", PASSWORD, HERE).await.unwrap());
        for _ in 0..14 {
            ground.clock.advance(6 * DAY);
            busy = refresh(&ground.all, next(&busy)).await.unwrap();
        }
        ground.clock.advance(6 * DAY - Duration::from_secs(60));
        busy = refresh(&ground.all, next(&busy)).await.unwrap();
        assert_eq!(busy.expires_in, 60, "no access token outlives its session");
        ground.clock.advance(Duration::from_secs(60));
        assert_eq!(slug(refresh(&ground.all, next(&busy)).await), "tokens.refresh_unknown");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_looked_up_anew_and_the_tenant_may_change() {
    each(async |ground: Ground| {
        let ann = register(&ground, "ann@example.com", HERE).await;
        let bob = register(&ground, "bob@example.com", HERE).await;
        assert_eq!(ann.scope, "*");
        let elsewhere = RefreshTokens { tenant: Some(bob.tenant.clone()), ..refresh_of(next(&ann)) };
        let refused = ground.all.sessions.refresh_tokens(&from(HERE), elsewhere.clone()).await.unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "tokens.not_a_member"));

        let user = claims(&ann)["sub"].as_str().unwrap().to_owned();
        let member = args![&bob.tenant, user.as_str(), &serde_json::json!(["viewer"]), ground.clock.now()];
        run(
            &ground,
            "INSERT INTO members (tenant_id, user_id, roles, status, since) VALUES ($1, $2, $3, 'active', $4)",
            member,
        )
        .await;
        // The refusal before spent nothing.
        let there = ground.all.sessions.refresh_tokens(&from(HERE), elsewhere).await.unwrap();
        assert_eq!((&there.tenant, there.scope.as_str()), (&bob.tenant, "identity:read storage:read"));
        let stays = refresh(&ground.all, next(&there)).await.unwrap();
        assert_eq!(stays.tenant, bob.tenant);

        let role = args![&bob.tenant, user.as_str(), &serde_json::json!(["developer"])];
        run(&ground, "UPDATE members SET roles = $3 WHERE tenant_id = $1 AND user_id = $2", role).await;
        let more = refresh(&ground.all, next(&stays)).await.unwrap();
        assert!(more.scope.contains("storage:write"));
        let less = RefreshTokens { scope: Some("storage:read keys:sign".to_owned()), ..refresh_of(next(&more)) };
        let less = ground.all.sessions.refresh_tokens(&from(HERE), less).await.unwrap();
        assert_eq!(less.scope, "storage:read");

        // Put out of the tenant: what is left goes on.
        let gone = args![&bob.tenant, user.as_str()];
        run(&ground, "DELETE FROM members WHERE tenant_id = $1 AND user_id = $2", gone).await;
        let home = refresh(&ground.all, next(&less)).await.unwrap();
        assert_eq!((&home.tenant, home.scope.as_str()), (&ann.tenant, "*"));
        run(&ground, "UPDATE users SET status = 'suspended' WHERE id = $1", args![user.as_str()]).await;
        assert_eq!(slug(refresh(&ground.all, next(&home)).await), "tokens.suspended");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_their_persons_own_business() {
    each(async |ground: Ground| {
        let ann = register(&ground, "ann@example.com", HERE).await;
        let more = signed_in(login(&ground, "ann@example.com", PASSWORD, HERE).await.unwrap());
        let eve = register(&ground, "eve@example.com", HERE).await;
        let (of_ann, of_eve) = (person(&ann, HERE), person(&eve, HERE));
        let sessions = &ground.all.sessions;
        let id = || EndSession { id: more.session_id.clone().unwrap() };

        let hidden = sessions.end_session(&of_eve, id()).await.unwrap_err();
        assert_eq!((hidden.code, &*hidden.slug), (Code::NotFound, "tokens.session_missing"));
        let ann_id = of_ann.principal.subject.to_string();
        // An owner elsewhere sees nothing of them.
        let seen = sessions.list_sessions(&of_eve, ListSessions { user: Some(ann_id.clone()) }).await.unwrap();
        assert!(seen.items.is_empty());
        // A key of hers, or one who acts for her, is not she.
        let mut key = of_ann.clone();
        key.principal.session = None;
        key.principal.scopes = ["storage:read".to_owned()].into();
        assert_eq!(slug(sessions.list_sessions(&key, ListSessions::default()).await), "auth.scope_missing");
        assert_eq!(slug(sessions.end_session(&key, id()).await), "tokens.session_missing");
        assert_eq!(slug(sessions.end_other_sessions(&key, EndOtherSessions {}).await), "auth.person_needed");
        // Nor is a program that she let in for less.
        let mut narrow = of_ann.clone();
        narrow.principal.whole = false;
        assert_eq!(slug(sessions.end_other_sessions(&narrow, EndOtherSessions {}).await), "auth.person_needed");
        let mut acting = of_ann.clone();
        acting.principal.actor = Some(of_eve.principal.subject.clone());
        assert_eq!(slug(sessions.end_other_sessions(&acting, EndOtherSessions {}).await), "auth.person_needed");

        assert_eq!(sessions.end_session(&of_ann, id()).await.unwrap().id, more.session_id.clone().unwrap());
        assert_eq!(slug(refresh(&ground.all, next(&more)).await), "tokens.refresh_unknown");
        let third = signed_in(login(&ground, "ann@example.com", PASSWORD, HERE).await.unwrap());
        assert_eq!(sessions.end_other_sessions(&of_ann, EndOtherSessions {}).await.unwrap().ended, 1);
        assert_eq!(slug(refresh(&ground.all, next(&third)).await), "tokens.refresh_unknown");
        assert!(refresh(&ground.all, next(&ann)).await.is_ok() && refresh(&ground.all, next(&eve)).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_also_with_a_spent_token_and_says_nothing_of_unknown_ones() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        let second = refresh(&ground.all, next(&first)).await.unwrap();
        let logout = async |token: &str| {
            let request = Logout { refresh_token: Revealed(token.to_owned()) };
            ground.all.sessions.logout(&from(HERE), request).await.unwrap().ended
        };
        for unknown in ["", "nsr_x", &format!("nsr_{}", "A".repeat(43)), &first.access_token.0] {
            assert_eq!(logout(unknown).await, 0, "{unknown}");
            assert_eq!(slug(refresh(&ground.all, unknown).await), "tokens.refresh_unknown");
        }
        assert_eq!((logout(next(&first)).await, logout(next(&second)).await), (1, 0));
        assert_eq!(slug(refresh(&ground.all, next(&second)).await), "tokens.refresh_unknown");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_revocations_misses_none_however_many_write() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        let beside = if ground.is_shared() { ground.all_beside().await } else { ground.all.clone() };
        let mut all = vec![first];
        for n in 0..40 {
            all.push(register(&ground, &format!("u{n}@example.com"), &format!("198.51.100.{n}")).await);
        }
        let done = AtomicBool::new(false);
        let reader = async {
            let (mut seen, mut last) = (Vec::new(), 0);
            loop {
                let over = done.load(Ordering::SeqCst);
                let found = revocations(&ground.all, last).await;
                last = found.last().map_or(last, |item| item.seq);
                seen.extend(found);
                if over {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        };
        let writers = async {
            let ends = all.iter().enumerate().map(|(n, reply)| {
                let clients = if n % 2 == 0 { &ground.all } else { &beside };
                let request = Logout { refresh_token: reply.refresh_token.clone().unwrap() };
                async move { clients.sessions.logout(&from(HERE), request).await.unwrap().ended }
            });
            assert_eq!(join_all(ends).await.into_iter().sum::<u32>(), 41);
            done.store(true, Ordering::SeqCst);
        };
        let (seen, ()) = tokio::join!(reader, writers);
        let ended: BTreeSet<_> =
            all.iter().map(|reply| format!("sid:{}", reply.session_id.as_ref().unwrap())).collect();
        assert_eq!(seen.len(), 41);
        assert_eq!(seen.iter().map(|item| item.what.clone()).collect::<BTreeSet<_>>(), ended);
        assert!(seen.windows(2).all(|pair| pair[0].seq < pair[1].seq));

        // They are kept for as long as a token that they refuse may live, and then go.
        ground.clock.advance(Duration::from_secs(3_600 + 601));
        let gone = async {
            while !revocations(&ground.all, 0).await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
    })
    .await;
}
