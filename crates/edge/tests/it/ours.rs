//! The tokens that the platform issues itself: what they stand for, and how they end.

use std::{sync::atomic::Ordering, time::Duration};

use nsl_token::{ACCESS, Actor};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    forge::NOW_S,
    issuer::{Holder, KEY, NEXT, OURS, access, at, signed},
    rig::{self, Rig, authenticated, digest_of, problem},
};

async fn start() -> Rig {
    Rig::start(&["limits.auth_per_15_minutes=1000000"]).await
}

/// Lets the edge ask for news: twice, since the first time it may have asked before there was any.
async fn news(rig: &Rig) {
    let stop = CancellationToken::new();
    let before = rig.sessions.news_asked.load(Ordering::SeqCst);
    let heard = async {
        while rig.sessions.news_asked.load(Ordering::SeqCst) < before + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
    };
    let (ran, ()) = tokio::join!(rig.edge.clone().run(stop.clone()), heard);
    ran.unwrap();
}

async fn refused(rig: &Rig, token: &str) -> (u16, String) {
    let (status, code, _) = problem(rig.with_bearer(token).await).await;
    (status, code)
}

#[tokio::test]
async fn a_token_of_ours_tells_of_its_session() {
    let rig = start().await;
    let mut access = access();
    access.mfa_time = Some(NOW_S - 60);
    for _ in 0..2 {
        let facts: Value = rig.with_bearer(&signed(&access)).await.json().await.unwrap();
        assert_eq!((&facts["tenant"], &facts["subject"]), (&"ten_1".into(), &"usr_alice".into()));
        assert_eq!((&facts["kind"], &facts["credential"]), (&"token".into(), &json!(access.jti)));
        assert_eq!((&facts["session"], &facts["actor"]), (&"ses_1".into(), &Value::Null));
        assert_eq!(facts["second_factor_at"], json!(at(NOW_S - 60)));
        assert_eq!(facts["scopes"], json!(["echo:read", "echo:write"]));
    }
    access.act = Some(Actor { sub: nsl_core::Subject::parse("bot").unwrap(), act: None });
    let facts: Value = rig.with_bearer(&signed(&access)).await.json().await.unwrap();
    assert_eq!(facts["actor"], "bot");
    rig.stop().await;
}

#[tokio::test]
async fn only_access_tokens_of_ours_are_taken() {
    let rig = start().await;
    let good = access();
    let changed = |name: &str, value: Value| {
        let mut claims = serde_json::to_value(&good).unwrap();
        claims[name] = value;
        KEY.sign(ACCESS, &claims).unwrap()
    };
    for (what, token) in [
        ("an ID token", KEY.sign("JWT", &good).unwrap()),
        ("a logout token", KEY.sign("logout+jwt", &good).unwrap()),
        ("no issuer", changed("iss", Value::Null)),
        ("another issuer", changed("iss", json!("https://evil.example"))),
        ("another audience", changed("aud", json!("nsl"))),
        ("no name", changed("jti", Value::Null)),
        ("no time", changed("iat", Value::Null)),
        ("no revision", changed("rev", Value::Null)),
        ("a negative revision", changed("rev", json!(-1))),
        ("the platform", changed("sub", json!("system"))),
        ("the tenant of the platform", changed("tenant", json!("platform"))),
        ("a binding by certificate", changed("cnf", json!({ "x5t#S256": "A".repeat(43) }))),
        ("a key of the future", NEXT.sign(ACCESS, &good).unwrap()),
    ] {
        assert_eq!(refused(&rig, &token).await, (401, "auth.token_invalid".to_owned()), "{what}");
    }
    assert_eq!(refused(&rig, &changed("exp", json!(NOW_S - 30))).await, (401, "auth.token_expired".to_owned()));
    assert_eq!(rig.with_bearer(&signed(&good)).await.status(), 200);
    assert_eq!(rig.service.was_reached(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it() {
    let rig = start().await;
    assert_eq!(rig.with_bearer(&signed(&access())).await.status(), 200);
    rig.sessions.rotated.store(true, Ordering::SeqCst);
    // Forgeries can't make the edge ask again and again.
    let asked = rig.sessions.keys_asked.load(Ordering::SeqCst);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    for _ in 0..20 {
        assert_eq!(rig.with_bearer(&NEXT.sign(ACCESS, &access()).unwrap()).await.status(), 200);
        let stranger = KEY.sign(ACCESS, &access()).unwrap().replacen("ey", "eyJ", 1);
        refused(&rig, &stranger).await;
    }
    assert_eq!(rig.sessions.keys_asked.load(Ordering::SeqCst), asked + 1);
    rig.stop().await;
}

#[tokio::test]
async fn what_was_taken_back_is_refused_also_where_it_is_remembered() {
    let rig = start().await;
    let token = |rev: i64| {
        let mut access = access();
        access.rev = rev;
        (access.jti.clone(), signed(&access))
    };
    let (id, old) = token(0);
    assert_eq!(rig.with_bearer(&old).await.status(), 200);
    for (seq, what) in [
        (1, "sid:ses_2".to_owned()),
        (2, "sub:usr_alice@ten_2".to_owned()),
        (3, "sub:usr_ali".to_owned()),
        (4, "jti:other".to_owned()),
    ] {
        rig.sessions.revoke(seq, &what);
    }
    news(&rig).await;
    assert_eq!(rig.with_bearer(&old).await.status(), 200, "nothing of it was taken back");
    for (seq, what) in [(5, format!("jti:{id}")), (7, "sid:ses_1".to_owned()), (9, "sub:usr_alice@ten_1".to_owned())] {
        let (_, other) = token(seq - 1);
        let expected = if seq == 5 { old.as_str() } else { other.as_str() };
        assert_eq!(rig.with_bearer(expected).await.status(), 200, "{what}");
        rig.sessions.revoke(seq, &what);
        news(&rig).await;
        for _ in 0..2 {
            assert_eq!(refused(&rig, expected).await, (401, "auth.token_revoked".to_owned()), "{what}");
        }
        let (_, newer) = token(seq);
        assert_eq!(rig.with_bearer(&newer).await.status(), 200, "{what}: given out afterwards");
    }
    rig.sessions.revoke(10, "sub:usr_alice");
    news(&rig).await;
    let (_, never_seen) = token(9);
    let response = rig.with_bearer(&never_seen).await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"nsl\", error=\"invalid_token\"");
    assert_eq!(problem(response).await.1, "auth.token_revoked");
    rig.stop().await;
}

#[tokio::test]
async fn without_news_nobody_is_let_in_and_others_are_as_before() {
    let rig = start().await;
    let token = signed(&access());
    assert_eq!(rig.with_bearer(&token).await.status(), 200);
    rig.sessions.away.store(true, Ordering::SeqCst);
    assert_eq!(rig.with_bearer(&token).await.status(), 200, "for a while");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    let response = rig.with_bearer(&token).await;
    assert!(response.headers().contains_key("retry-after"));
    let (status, code, _) = problem(response).await;
    assert_eq!((status, code.as_str()), (503, "auth.unavailable"));
    assert_eq!(refused(&rig, &signed(&access())).await, (503, "auth.unavailable".to_owned()), "a new one as well");
    assert_eq!(rig.keyed(reqwest::Method::GET, "/v1/echo/me").send().await.unwrap().status(), 200, "keys work on");
    // Back again: the first request asks.
    rig.sessions.away.store(false, Ordering::SeqCst);
    rig.sessions.revoke(1, "sid:ses_2");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(rig.with_bearer(&token).await.status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn nothing_is_known_before_the_issuer_was_heard() {
    let rig = start().await;
    rig.sessions.away.store(true, Ordering::SeqCst);
    assert_eq!(refused(&rig, &signed(&access())).await, (503, "auth.unavailable".to_owned()));
    rig.stop().await;
}

#[tokio::test]
async fn a_bound_token_is_its_holders_alone() {
    let rig = start().await;
    let (holder, thief) = (Holder::fresh(), Holder::fresh());
    let mut access = access();
    access.cnf = Some(holder.confirmation());
    let token = signed(&access);
    let url = format!("{}/v1/echo/me", rig.url);
    let show = |scheme: &str, proofs: Vec<String>, path: &str| {
        let mut request = rig.get(path).header("authorization", format!("{scheme} {token}"));
        for proof in proofs {
            request = request.header("dpop", proof);
        }
        request.send()
    };
    let proof = |change: fn(&mut Value)| holder.proof("GET", &url, &token, change);
    let good = proof(|_| {});
    assert_eq!(show("DPoP", vec![good.clone()], "/v1/echo/me").await.unwrap().status(), 200);
    assert_eq!(
        show("dpop", vec![proof(|_| {})], "/v1/echo/me?a=b").await.unwrap().status(),
        200,
        "a query does not count"
    );
    let alias = holder.proof("GET", &format!("{}/api/echo/me", rig.url), &token, |_| {});
    assert_eq!(show("DPoP", vec![alias], "/api/echo/me").await.unwrap().status(), 200);
    let public = holder.proof("GET", &format!("{OURS}/v1/echo/me"), &token, |_| {});
    assert_eq!(show("DPoP", vec![public], "/v1/echo/me").await.unwrap().status(), 200, "behind a proxy");
    for (what, scheme, proofs) in [
        ("as a bearer's", "Bearer", vec![]),
        ("as a bearer's with a proof", "Bearer", vec![proof(|_| {})]),
        ("without a proof", "DPoP", vec![]),
        ("with two proofs", "DPoP", vec![proof(|_| {}), proof(|_| {})]),
        ("with an empty proof", "DPoP", vec![String::new()]),
        ("with a proof shown before", "DPoP", vec![good]),
        ("by another key", "DPoP", vec![thief.proof("GET", &url, &token, |_| {})]),
        ("for another method", "DPoP", vec![proof(|claims| claims["htm"] = json!("POST"))]),
        ("for another path", "DPoP", vec![proof(|claims| claims["htu"] = json!("http://127.0.0.1/v1/echo/open"))]),
        ("for another host", "DPoP", vec![proof(|claims| claims["htu"] = json!("https://evil.example/v1/echo/me"))]),
        ("for another token", "DPoP", vec![holder.proof("GET", &url, "a.b.c", |_| {})]),
        ("too old", "DPoP", vec![proof(|claims| claims["iat"] = json!(NOW_S - 61))]),
        ("from ahead", "DPoP", vec![proof(|claims| claims["iat"] = json!(NOW_S + 31))]),
        ("without a name", "DPoP", vec![proof(|claims| claims["jti"] = Value::Null)]),
        ("with itself", "DPoP", vec![token.clone()]),
    ] {
        let response = show(scheme, proofs, "/v1/echo/me").await.unwrap();
        let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(challenge.starts_with("DPoP ") && challenge.contains("invalid_dpop_proof"), "{what}: {challenge}");
        let (status, code, body) = problem(response).await;
        assert_eq!((status, code.as_str()), (401, "auth.proof_invalid"), "{what}: {body}");
    }
    let free = signed(&crate::issuer::access());
    let response = rig.get("/v1/echo/me").header("authorization", format!("DPoP {free}")).send().await.unwrap();
    assert_eq!(problem(response).await.1, "auth.token_invalid", "a token that is bound to nothing");
    rig.stop().await;
}

#[tokio::test]
async fn a_key_that_changed_is_looked_up_anew() {
    let rig = start().await;
    let mut found = authenticated("ten_1", "alice");
    found.owner = Some("usr_alice".into());
    rig.identity.keys.lock().insert(digest_of(rig::KEY), found.clone());
    let me = async || rig.with_bearer(rig::KEY).await;
    assert_eq!((me().await.status(), me().await.status()), (StatusCode::OK, StatusCode::OK));
    for (seq, what) in [(1, "key:key_1"), (2, "sub:usr_alice"), (3, "sub:usr_alice@ten_1")] {
        rig.sessions.revoke(seq, what);
        let asked = rig.identity.asked.load(Ordering::SeqCst);
        assert_eq!(me().await.status(), 200);
        news(&rig).await;
        found.revision = seq;
        rig.identity.keys.lock().insert(digest_of(rig::KEY), found.clone());
        assert_eq!((me().await.status(), me().await.status()), (StatusCode::OK, StatusCode::OK));
        assert_eq!(rig.identity.asked.load(Ordering::SeqCst), asked + 1, "{what}: once");
    }
    rig.sessions.revoke(4, "key:key_1");
    news(&rig).await;
    rig.identity.away.store(true, Ordering::SeqCst);
    assert_eq!(problem(me().await).await.1, "auth.unavailable", "what is remembered of it may be over");
    rig.stop().await;
}

#[tokio::test]
async fn a_key_with_networks_is_for_them_alone() {
    let rig = start().await;
    for (networks, fits) in [
        (vec!["127.0.0.0/8"], true),
        (vec!["10.0.0.0/8", "127.0.0.1"], true),
        (vec!["10.0.0.0/8"], false),
        (vec!["::1"], false),
        (vec!["nonsense"], false),
    ] {
        let key = format!("nsl_{}", nsl_core::fresh("k").replace('_', "0"));
        let mut found = authenticated("ten_1", "alice");
        found.networks = networks.iter().map(|&text| text.to_owned()).collect();
        rig.identity.keys.lock().insert(digest_of(&key), found);
        for _ in 0..2 {
            let response = rig.with_bearer(&key).await;
            if fits {
                assert_eq!(response.status(), 200, "{networks:?}");
            } else {
                assert_eq!(problem(response).await.1, "auth.network", "{networks:?}");
            }
        }
    }
    rig.edge.clone().run(stopped()).await.unwrap();
    let told = rig.audit.told.lock().clone();
    assert!(told.iter().all(|refusal| refusal.reason == "auth.network" && refusal.subject.is_some()), "{told:?}");
    rig.stop().await;
}

fn stopped() -> CancellationToken {
    let stop = CancellationToken::new();
    stop.cancel();
    stop
}

#[tokio::test]
async fn what_is_sensitive_asks_a_person_for_a_second_factor() {
    let rig = start().await;
    let ask = |token: String| rig.get("/v1/echo/careful").bearer_auth(token).send();
    let person = |mfa_time: Option<i64>| {
        let mut access = access();
        (access.scope, access.mfa_time) = ("echo:*".into(), mfa_time);
        access
    };
    assert_eq!(ask(signed(&person(Some(NOW_S - 299)))).await.unwrap().status(), 200);
    for stale in [None, Some(NOW_S - 301)] {
        let response = ask(signed(&person(stale))).await.unwrap();
        let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
        for part in
            ["Bearer ", "error=\"insufficient_user_authentication\"", "max_age=300", "acr_values=\"urn:nsl:mfa\""]
        {
            assert!(challenge.contains(part), "{part} in {challenge}");
        }
        let (status, code, body) = problem(response).await;
        assert_eq!((status, code.as_str()), (401, "auth.step_up"));
        assert_eq!((&body["details"]["max_age"], &body["details"]["acr_values"]), (&json!(300), &json!("urn:nsl:mfa")));
    }
    let mut client = person(Some(NOW_S));
    client.sid = None;
    let mut delegate = person(Some(NOW_S));
    delegate.act = Some(Actor { sub: nsl_core::Subject::parse("bot").unwrap(), act: None });
    for other in [signed(&client), signed(&delegate), rig::KEY.to_owned()] {
        let (status, code, _) = problem(ask(other).await.unwrap()).await;
        assert_eq!((status, code.as_str()), (403, "auth.person_needed"));
    }
    let poor = ask(signed(&access())).await.unwrap();
    let challenge = poor.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert_eq!(challenge, "Bearer realm=\"nsl\", error=\"insufficient_scope\", scope=\"echo:export\"");
    assert_eq!(problem(poor).await.1, "auth.scope_missing");
    rig.edge.clone().run(stopped()).await.unwrap();
    let told = rig.audit.told.lock().clone();
    let missing = told.iter().find(|refusal| refusal.reason == "auth.scope_missing").unwrap();
    assert_eq!(missing.facts["needs"], "echo:export");
    rig.stop().await;
}

#[tokio::test]
async fn oauth_routes_speak_as_the_standard_does() {
    let rig = start().await;
    let post = |how: &str| rig.http.post(format!("{}/v1/echo/oauth/{how}", rig.url));
    let plain = post("look").basic_auth("client", Some("secret")).send().await.unwrap();
    assert_eq!(plain.status(), 200);
    assert!(plain.text().await.unwrap().starts_with("Anonymous Basic "), "the handler reads it");
    for two in [
        post("look").basic_auth("client", Some("secret")).header("x-api-key", rig::KEY),
        post("look").basic_auth("client", Some("secret")).bearer_auth(rig::KEY),
    ] {
        assert_eq!(two.send().await.unwrap().status(), 400, "two credentials");
    }
    let elsewhere = rig.get("/v1/echo/open").basic_auth("client", Some("secret")).send().await.unwrap();
    assert_eq!(problem(elsewhere).await.1, "auth.malformed", "only there");

    let response = post("grant").send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["content-type"]),
        (StatusCode::GONE, &"application/json".parse().unwrap())
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body: Value = response.json().await.unwrap();
    assert_eq!((&body["error"], &body["code"]), (&"invalid_grant".into(), &"echo.gone".into()));
    assert_eq!((&body["error_description"], &body["details"]), (&"the 'code' is spent".into(), &json!({ "limit": 7 })));
    let response = post("client").send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"nsl\"");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"], "invalid_client");
    rig.stop().await;
}

#[tokio::test]
async fn what_is_for_all_every_page_may_read() {
    let rig = Rig::start(&["cors.allowed_origins=https://app.example"]).await;
    let ask = |path: &str| rig.get(path).header("origin", "https://other.example").send();
    assert_eq!(ask("/v1/echo/shared").await.unwrap().headers()["access-control-allow-origin"], "*");
    assert!(!ask("/v1/echo/open").await.unwrap().headers().contains_key("access-control-allow-origin"));
    rig.stop().await;
}
