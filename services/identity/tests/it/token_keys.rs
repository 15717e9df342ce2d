//! The keys that sign access tokens, over weeks and between processes.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use nsl_api::sessions::{TokenKeySet, TokenKeys, TokenReply};
use nsl_core::Clock;
use nsl_identity::Clients;
use nsl_sql::{Scope, args};
use nsl_token::{ACCESS, Expected, KeySet, Presented};

use crate::{
    ground::{Ground, each},
    signin::{claims, from, register},
    tokens::{next, refresh, run},
};

const HERE: &str = "192.0.2.7";

async fn keys(clients: &Clients) -> TokenKeySet {
    clients.sessions.token_keys(&from(HERE), TokenKeys {}).await.unwrap()
}

fn is_good(ground: &Ground, set: &TokenKeySet, reply: &TokenReply) -> bool {
    let keys = KeySet::parse(set.jwks.as_bytes()).unwrap();
    let expected = Expected {
        issuer: &set.issuer,
        audience: &set.audience,
        tenant_claim: "tenant",
        scope_claim: "scope",
        ours: true,
    };
    let presented = Presented::parse(&reply.access_token.0, &[ACCESS]).unwrap();
    presented.check(&keys, &expected, ground.clock.now()).is_ok()
}

fn kid(reply: &TokenReply) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = URL_SAFE_NO_PAD.decode(reply.access_token.0.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_what_it_must() {
    each(async |ground: Ground| {
        let reply = register(&ground, "ann@example.com", HERE).await;
        let said = claims(&reply);
        let now = ground.clock.now().0 / 1_000_000;
        assert_eq!((said["iss"].as_str(), said["aud"].as_str()), (Some("http://127.0.0.1:8080"), Some("nsl")));
        assert_eq!((said["iat"].as_i64(), said["exp"].as_i64()), (Some(now), Some(now + 900)));
        assert_eq!((said["scope"].as_str(), said["client_id"].as_str()), (Some("*"), Some("nsl")));
        assert_eq!(said["tenant"].as_str(), Some(reply.tenant.as_str()));
        assert_eq!(said["sid"].as_str(), reply.session_id.as_deref());
        assert_eq!((said["auth_time"].as_i64(), said["amr"][0].as_str()), (Some(now), Some("pwd")));
        assert!(said["jti"].as_str().unwrap().starts_with("jti_") && said["sub"].as_str().unwrap().starts_with("usr_"));
        assert!(said.get("mfa_time").is_none() && said.get("act").is_none() && said.get("cnf").is_none());
        assert!(is_good(&ground, &keys(&ground.all).await, &reply));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_every_week_and_nobody_notices() {
    each(async |ground: Ground| {
        let mut reply = register(&ground, "ann@example.com", HERE).await;
        let mut before = keys(&ground.all).await;
        let mut used = BTreeSet::from([kid(&reply)]);
        // Five weeks in steps of six hours; who checks tokens has a set that is nearly a day old.
        let mut old = std::collections::VecDeque::from([before.clone()]);
        for step in 0..140 {
            ground.clock.advance(Duration::from_secs(6 * 3_600));
            let last = reply;
            reply = refresh(&ground.all, next(&last)).await.unwrap();
            used.insert(kid(&reply));
            assert!(is_good(&ground, &before, &reply), "step {step}: a set of a moment ago");
            assert!(is_good(&ground, old.front().unwrap(), &reply), "step {step}: a set of most of a day ago");
            before = keys(&ground.all).await;
            assert!(is_good(&ground, &before, &reply));
            let size = KeySet::parse(before.jwks.as_bytes()).unwrap().len();
            assert!((1..=3).contains(&size), "step {step}: {size} keys");
            old.push_back(before.clone());
            if old.len() > 3 {
                old.pop_front();
            }
        }
        assert!((5..=6).contains(&used.len()), "{} keys in five weeks", used.len());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_in_the_set_until_its_last_token_has_ended() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        ground.clock.advance(Duration::from_secs(6 * 86_400 + 60));
        keys(&ground.all).await;
        ground.clock.advance(Duration::from_secs(86_400 - 90));
        let old = register(&ground, "bob@example.com", HERE).await;
        assert_eq!(kid(&first), kid(&old));
        ground.clock.advance(Duration::from_secs(95));
        let new = register(&ground, "eve@example.com", HERE).await;
        assert_ne!(kid(&new), kid(&old));
        for wait in [0, 300, 530] {
            ground.clock.advance(Duration::from_secs(wait));
            let set = keys(&ground.all).await;
            assert!(is_good(&ground, &set, &old) && is_good(&ground, &set, &new), "after {wait}");
        }
        ground.clock.advance(Duration::from_secs(2 * 3_600));
        assert!(!keys(&ground.all).await.jwks.contains(&kid(&old)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_sleep_the_old_key_signs_until_the_next_was_shown_for_a_day() {
    each(async |ground: Ground| {
        let first = register(&ground, "ann@example.com", HERE).await;
        ground.clock.advance(Duration::from_secs(40 * 86_400));
        let second = register(&ground, "bob@example.com", HERE).await;
        assert_eq!(kid(&first), kid(&second));
        ground.clock.advance(Duration::from_secs(86_460));
        let third = register(&ground, "eve@example.com", HERE).await;
        assert_ne!(kid(&second), kid(&third));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_start_at_once_make_one_key() {
    for _ in 0..3 {
        let ground = Ground::on(Some(nsl_sandbox::Database::fresh().unwrap()), 1_000).await;
        run(&ground, "DELETE FROM signing_keys", args![]).await;
        let (one, two) = (ground.all_beside().await, ground.all_beside().await);
        join_all((0..8).map(|n| keys(if n % 2 == 0 { &one } else { &two }))).await;
        let (here, there) = (keys(&one).await, keys(&two).await);
        assert_eq!(here.jwks, there.jwks);
        let mut rows = ground.db.query(Scope::Platform, "SELECT count(*) FROM signing_keys", args![]).await.unwrap();
        assert_eq!(rows[0].take::<i64>(0).unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn private_keys_lie_sealed() {
    each(async |ground: Ground| {
        register(&ground, "ann@example.com", HERE).await;
        let sql = "SELECT sealed, jwk FROM signing_keys";
        let mut rows = ground.db.query(Scope::Platform, sql, args![]).await.unwrap();
        let (sealed, jwk): (Vec<u8>, serde_json::Value) = (rows[0].take(0).unwrap(), rows[0].take(1).unwrap());
        // Neither PKCS#8, nor a part that a private key needs.
        assert!(nsl_token::SigningKey::from_pkcs8(&nsl_core::Secret::new(sealed)).is_err());
        let parts: BTreeSet<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(parts, BTreeSet::from(["alg", "e", "kid", "kty", "n", "use"]));
    })
    .await;
}
