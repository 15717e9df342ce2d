use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::{ADOPTED, KEY, Rig, problem};

#[tokio::test]
async fn every_failure_is_a_problem_and_tells_nothing_of_the_inside() {
    let rig = Rig::start(&[]).await;
    for (how, status, code) in [
        ("panic", 500, "internal"),
        ("internal", 500, "internal"),
        ("unavailable", 503, "peer.unreachable"),
        ("full", 507, "echo.full"),
        ("gone", 410, "echo.gone"),
        ("hidden", 410, "echo.gone"),
        ("forbidden", 403, "auth.scope_missing"),
        ("unlisted", 409, "echo.unlisted"),
    ] {
        let response = rig.get(&format!("/v1/echo/fail/{how}")).bearer_auth(KEY).send().await.unwrap();
        let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(retry.as_deref(), (how == "unavailable").then_some("2"), "{how}");
        let (got, slug, body) = problem(response).await;
        assert_eq!((got, slug.as_str()), (status, code), "{how}");
        let text = body.to_string();
        assert!(!text.contains("hunter2") && !text.contains("refused"), "{text}");
        if how == "full" {
            assert_eq!(body["details"], json!({ "limit": 7 }));
            assert_eq!(body["mend"], "shout less");
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_is_not_there_or_does_not_fit_is_a_problem_too() {
    let rig = Rig::start(&[]).await;
    let url = |path: &str| format!("{}{path}", rig.url);
    let post = |path: &str, kind: &'static str, body: &'static str| {
        rig.http.post(url(path)).bearer_auth(KEY).header("content-type", kind).body(body)
    };
    let json = "application/json";
    let store = "/v1/echo/store";
    for (request, status, code) in [
        (rig.get("/nowhere"), 404, "route.unknown"),
        (rig.get("/v1/echo"), 404, "route.unknown"),
        (rig.get("/api/nowhere"), 404, "route.unknown"),
        (rig.http.delete(url("/v1/echo/me")).bearer_auth(KEY), 405, "route.method"),
        (rig.http.request(reqwest::Method::TRACE, url("/v1/echo/me")).bearer_auth(KEY), 405, "route.method"),
        (rig.get("/v1/echo/big?size=x").bearer_auth(KEY), 400, "request.query"),
        (rig.get("/v1/echo/big").bearer_auth(KEY), 400, "request.query"),
        (post("/v1/echo/store/x", json, r#"{"key":"k","value":1}"#), 400, "request.path"),
        (post(store, "text/plain", r#"{"key":"k","value":1}"#), 415, "content.type"),
        (post(store, json, r#"{"key":"k","value":1"#), 400, "json.malformed"),
        (post(store, json, r#"{"key":"k","value":1} 2"#), 400, "json.malformed"),
        (post(store, json, r#"{"key":"k","value":{"a":1,"a":2}}"#), 400, "json.duplicate_key"),
        (post(store, json, r#"{"key":"k","value":1,"more":2}"#), 400, "json.unfit"),
        (post(store, json, ""), 400, "json.malformed"),
        (post("/v1/echo/store/7", json, r#"["k"]"#), 400, "json.unfit"),
        (post(store, json, r#"{"key":"k","value":1}"#).header("idempotency-key", "a b"), 400, "once.malformed"),
        (rig.get(&format!("/v1/echo/me?{}", "x".repeat(8_192))).bearer_auth(KEY), 414, "request.uri_too_long"),
    ] {
        let response = request.send().await.unwrap();
        if status == 405 {
            assert!(response.headers()["allow"].to_str().unwrap().contains("GET"));
        }
        let (got, slug, _) = problem(response).await;
        assert_eq!((got, slug.as_str()), (status, code));
    }
    let deep = format!(r#"{{"key":"k","value":{}{}}}"#, "[".repeat(64), "]".repeat(64));
    let response = rig.http.post(url(store)).bearer_auth(KEY).header("content-type", json).body(deep).send().await;
    assert_eq!(problem(response.unwrap()).await.1, "json.too_deep");
    let broken =
        rig.http.post(url(store)).bearer_auth(KEY).header("content-type", json).body(b"{\"key\":\"\xff\"}".to_vec());
    assert_eq!(problem(broken.send().await.unwrap()).await.1, "json.not_utf8");
    rig.stop().await;
}

#[tokio::test]
async fn an_idempotency_key_comes_with_the_fingerprint_of_its_request() {
    let rig = Rig::start(&[]).await;
    let send = async |body: &'static str, key: Option<&str>| {
        let mut request = rig.keyed(reqwest::Method::POST, "/v1/echo/store").header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer: Value = request.body(body).send().await.unwrap().json().await.unwrap();
        answer["once"].clone()
    };
    let one = r#"{"key":"k","value":1}"#;
    let first = send(one, Some("once-1")).await;
    assert_eq!(first["key"], "once-1");
    assert_eq!(first, send(one, Some("once-1")).await);
    assert_ne!(first["fingerprint"], send(r#"{"key":"k","value":2}"#, Some("once-1")).await["fingerprint"]);
    assert_eq!(send(one, None).await, Value::Null);
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_that_repeats_an_earlier_outcome_says_so() {
    let rig = Rig::start(&["cors.allowed_origins=https://app.example"]).await;
    for (name, key, replayed) in
        [("k", Some("once-1"), None), ("again", Some("once-1"), Some("true")), ("again", None, None)]
    {
        let request = rig.keyed(reqwest::Method::POST, "/v1/echo/store").header("origin", "https://app.example");
        let request =
            request.header("content-type", "application/json").body(format!(r#"{{"key":"{name}","value":1}}"#));
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let told = response.headers().get("idempotency-replayed").map(|told| told.to_str().unwrap());
        assert_eq!(told, replayed, "{name} {key:?}");
        let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("idempotency-replayed"), "pages may read it: {exposed}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_request_keeps_its_names() {
    let rig = Rig::start(&[]).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request =
        rig.get("/v1/echo/me").bearer_auth(KEY).header("x-request-id", "my-id-1").header("traceparent", parent);
    let long = "agent ".repeat(100);
    let response = request.header("x-correlation-id", "order/7").header("user-agent", &long).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "my-id-1");
    assert_eq!(response.headers()["x-correlation-id"], "order/7");
    let facts: Value = response.json().await.unwrap();
    assert_eq!((&facts["request_id"], &facts["correlation_id"]), (&"my-id-1".into(), &"order/7".into()));
    assert_eq!(facts["traceparent"], parent);
    assert!(ADOPTED.lock().iter().any(|known| known == parent), "the span of the request is the caller's child");
    assert_eq!(facts["user_agent"].as_str().unwrap().len(), 256);
    let response = rig.get("/v1/echo/me").bearer_auth(KEY).header("x-request-id", "no no").send().await.unwrap();
    assert!(response.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
    rig.stop().await;
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let rig = Rig::start(&[]).await;
    for request in [rig.get("/v1/echo/open"), rig.get("/v1/echo/me"), rig.get("/nowhere"), rig.get("/docs")] {
        let response = request.send().await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert_eq!(headers["x-xss-protection"], "1; mode=block");
        assert_eq!(headers["referrer-policy"], "strict-origin-when-cross-origin");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src") && !policy.contains("unsafe"), "{policy}");
        assert!(headers.contains_key("cache-control"));
        assert!(!headers.contains_key("strict-transport-security"), "plain HTTP says nothing of HTTPS");
    }
    assert_eq!(rig.get("/v1/echo/open").send().await.unwrap().headers()["cache-control"], "no-store");
    rig.stop().await;

    let behind = Rig::start(&["public.tls.mode=upstream"]).await;
    let response = behind.get("/v1/echo/open").send().await.unwrap();
    assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains; preload");
    behind.stop().await;
}

#[tokio::test]
async fn pages_of_named_origins_may_call() {
    let rig = Rig::start(&["cors.allowed_origins=https://app.example"]).await;
    let ask = |origin: &'static str| {
        let request = rig.http.request(reqwest::Method::OPTIONS, format!("{}/v1/echo/store", rig.url));
        request.header("origin", origin).header("access-control-request-method", "POST").send()
    };
    let response = ask("https://app.example").await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    assert!(response.headers()["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
    let response = ask("https://evil.example").await.unwrap();
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    assert_eq!(rig.service.was_reached(), 0, "a question does not reach the service");

    for (origin, allowed) in [("https://app.example", true), ("https://evil.example", false)] {
        for (path, key) in [("/v1/echo/me", KEY), ("/v1/echo/me", "nsl_wrong")] {
            let response = rig.get(path).bearer_auth(key).header("origin", origin).send().await.unwrap();
            assert_eq!(response.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
            assert!(response.headers().get_all("vary").iter().any(|value| value == "origin"));
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_asks() {
    let rig = Rig::start(&[]).await;
    let get = async |size: usize, accepts: Option<&str>| {
        let mut request = rig.get(&format!("/v1/echo/big?size={size}")).bearer_auth(KEY);
        if let Some(accepts) = accepts {
            request = request.header("accept-encoding", accepts);
        }
        let response = request.send().await.unwrap();
        let text = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (encoding, tag) = (text("content-encoding"), text("etag").unwrap());
        (encoding, tag, response.bytes().await.unwrap().len())
    };
    let plain = "\"7\"".to_owned();
    assert_eq!(get(20_000, None).await, (None, plain.clone(), 20_000));
    assert_eq!(get(20_000, Some("identity")).await, (None, plain.clone(), 20_000));
    assert_eq!(get(1_023, Some("gzip")).await, (None, plain, 1_023));
    for accepts in ["gzip", "zstd", "gzip;q=0.5, zstd"] {
        let (encoding, tag, size) = get(20_000, Some(accepts)).await;
        assert_eq!(encoding.as_deref(), accepts.split(", ").last());
        assert_eq!(tag, "W/\"7\"", "the tag names other bytes");
        assert!(size < 2_000, "{accepts}: {size}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn the_aliases_lead_to_the_same_routes() {
    let rig = Rig::start(&[]).await;
    for path in ["/v1/echo/me", "/api/v1/echo/me", "/api/echo/me"] {
        assert_eq!(rig.get(path).bearer_auth(KEY).send().await.unwrap().status(), 200, "{path}");
        assert_eq!(rig.get(path).send().await.unwrap().status(), 401, "{path}");
    }
    let answer = rig
        .keyed(reqwest::Method::POST, "/api/echo/store/7")
        .header("content-type", "application/json")
        .body(r#"{"key":"k","value":1}"#);
    assert_eq!(answer.send().await.unwrap().json::<Value>().await.unwrap()["place"], 7);
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_in_parts_passes_as_it_comes_for_longer_than_the_request_may_take() {
    let rig = Rig::start(&[]).await;
    let request = rig.keyed(reqwest::Method::GET, "/v1/echo/parts").header("accept-encoding", "gzip, zstd");
    let mut answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("content-encoding")), (200, false));
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: 0\n\n", "nothing else is let yet");
    // The route may take 100 ms.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for part in ["data: 1\n\n", "data: 2\n\n"] {
        rig.service.go_on.notify_one();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), part);
    }
    rig.service.go_on.notify_one();
    assert_eq!(answer.chunk().await.unwrap(), None);
    rig.stop().await;
}
