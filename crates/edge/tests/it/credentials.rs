use std::{sync::atomic::Ordering, time::Duration};

use nsl_core::Timestamp;
use serde_json::Value;

use crate::rig::{KEY, Rig, START, authenticated, digest_of, problem};

#[tokio::test]
async fn a_known_key_is_its_owner_in_either_header() {
    let rig = Rig::start(&[]).await;
    let facts: Value = rig.with_bearer(KEY).await.json().await.unwrap();
    assert_eq!((&facts["tenant"], &facts["subject"]), (&"ten_1".into(), &"alice".into()));
    assert_eq!((&facts["kind"], &facts["ip"]), (&"api_key".into(), &"127.0.0.1".into()));
    let facts: Value = rig.get("/v1/echo/me").header("x-api-key", KEY).send().await.unwrap().json().await.unwrap();
    assert_eq!(facts["subject"], "alice");
    assert_eq!(rig.identity.asked.load(Ordering::SeqCst), 1, "the second time it is remembered");
    rig.stop().await;
}

#[tokio::test]
async fn every_bad_key_gets_the_same_answer() {
    let rig = Rig::start(&[]).await;
    rig.identity.keys.lock().insert(digest_of("nsl_expired"), {
        let mut known = authenticated("ten_1", "bob");
        known.expires_at = Some(Timestamp(START.0 - 1));
        known
    });
    let mut seen = Vec::new();
    for key in ["nsl_never_heard_of", "nsl_expired", "nsl_", &KEY[..KEY.len() - 1], &format!("{KEY}x")] {
        let response = rig.with_bearer(key).await;
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"nsl\"");
        let (status, code, mut body) = problem(response).await;
        assert_eq!((status, code.as_str()), (401, "auth.key_unknown"));
        body["instance"] = Value::Null;
        seen.push(body);
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(rig.service.was_reached(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn closed_routes_are_closed_before_the_body_is_read() {
    let rig = Rig::start(&[]).await;
    let (status, code, _) = problem(rig.get("/v1/echo/me").send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (401, "auth.missing"));
    let post = rig.http.post(format!("{}/v1/echo/store", rig.url)).body("not even JSON");
    assert_eq!(problem(post.send().await.unwrap()).await.1, "auth.missing");
    assert_eq!(rig.service.was_reached(), 0);
    let facts: Value = rig.get("/v1/echo/open").send().await.unwrap().json().await.unwrap();
    assert_eq!((&facts["kind"], &facts["tenant"]), (&"anonymous".into(), &"anonymous".into()));
    let facts: Value = rig.get("/v1/echo/open").bearer_auth(KEY).send().await.unwrap().json().await.unwrap();
    assert_eq!(facts["subject"], "alice");
    assert_eq!(rig.get("/v1/echo/open").bearer_auth("nsl_wrong").send().await.unwrap().status(), 401);
    rig.stop().await;
}

#[tokio::test]
async fn two_credentials_are_one_too_many() {
    let rig = Rig::start(&[]).await;
    let both = rig.get("/v1/echo/me").bearer_auth("a.b.c").header("x-api-key", KEY);
    let (status, code, _) = problem(both.send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (400, "auth.ambiguous"));
    let twice = rig.get("/v1/echo/me").header("x-api-key", KEY).header("x-api-key", KEY);
    assert_eq!(problem(twice.send().await.unwrap()).await.1, "auth.ambiguous");
    assert_eq!(rig.service.was_reached(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_revoked_key_works_no_longer_than_it_is_remembered() {
    let rig = Rig::start(&[]).await;
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    rig.identity.keys.lock().clear();
    rig.clock.advance(Duration::from_millis(3_900));
    assert_eq!(rig.with_bearer(KEY).await.status(), 200, "still remembered");
    rig.clock.advance(Duration::from_millis(1_200));
    assert_eq!(rig.with_bearer(KEY).await.status(), 401);

    rig.identity.keys.lock().insert(digest_of(KEY), authenticated("ten_1", "alice"));
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    rig.identity.keys.lock().clear();
    rig.edge.forget(&digest_of(KEY));
    assert_eq!(rig.with_bearer(KEY).await.status(), 401, "forgotten at once");
    rig.stop().await;
}

#[tokio::test]
async fn a_key_in_use_is_asked_for_again_before_it_is_forgotten() {
    let rig = Rig::start(&[]).await;
    for _ in 0..5 {
        assert_eq!(rig.with_bearer(KEY).await.status(), 200);
        rig.clock.advance(Duration::from_millis(4_200));
    }
    assert_eq!(rig.identity.asked.load(Ordering::SeqCst), 5);
    rig.stop().await;
}

#[tokio::test]
async fn an_expiry_is_kept_although_the_key_is_remembered() {
    let rig = Rig::start(&[]).await;
    let mut known = authenticated("ten_1", "alice");
    known.expires_at = Some(Timestamp(START.0 + 2_000_000));
    rig.identity.keys.lock().insert(digest_of(KEY), known);
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(rig.with_bearer(KEY).await.status(), 401);
    rig.stop().await;
}

#[tokio::test]
async fn an_absent_identity_service_is_503_and_never_401() {
    let rig = Rig::start(&[]).await;
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    rig.identity.away.store(true, Ordering::SeqCst);
    rig.clock.advance(Duration::from_millis(4_500));
    assert_eq!(rig.with_bearer(KEY).await.status(), 200, "what is remembered still works");
    let response = rig.with_bearer("nsl_another").await;
    assert_eq!(response.headers()["retry-after"], "1");
    let (status, code, _) = problem(response).await;
    assert_eq!((status, code.as_str()), (503, "auth.unavailable"));
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(rig.with_bearer(KEY).await.status(), 503, "after 5 s it is not");
    rig.identity.away.store(false, Ordering::SeqCst);
    assert_eq!(rig.with_bearer(KEY).await.status(), 200, "and heals by itself");
    rig.stop().await;
}

#[tokio::test]
async fn guessing_costs_the_address_and_spares_who_was_here_before() {
    let rig = Rig::start(&["limits.auth_per_15_minutes=5"]).await;
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    for guess in 0..5 {
        assert_eq!(rig.with_bearer(&format!("nsl_guess{guess}")).await.status(), 401);
    }
    let asked = rig.identity.asked.load(Ordering::SeqCst);
    let response = rig.with_bearer("nsl_guess6").await;
    assert_eq!(response.headers()["ratelimit-policy"], "\"auth\";q=5;w=900");
    assert_eq!(response.headers()["retry-after"], "180");
    assert_eq!(problem(response).await.0, 429);
    assert_eq!(rig.identity.asked.load(Ordering::SeqCst), asked, "nobody was asked");
    rig.clock.advance(Duration::from_secs(6));
    assert_eq!(rig.with_bearer(KEY).await.status(), 200, "its neighbour's guesses do not lock a known key out");
    rig.clock.advance(Duration::from_secs(180));
    assert_eq!(rig.with_bearer("nsl_guess7").await.status(), 401);
    rig.stop().await;
}
