use nsl_sandbox::{Launch, eventually, http};
use serde_json::json;

#[test]
fn plain_routes_of_the_public_listener_are_hardened_and_show_metrics_only_when_asked() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    for path in ["/health", "/health/live", "/health/ready", "/ready", "/api/info"] {
        let reply = http("GET", nsl.public(), path, &[], "").unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{path}");
    }
    assert_eq!(http("GET", nsl.public(), "/metrics", &[], "").unwrap().status, 404);
    let info = http("GET", nsl.public(), "/api/info", &[], "").unwrap().json().unwrap();
    let commit = info["commit"].as_str().unwrap();
    let built = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(built || option_env!("NSL_COMMIT") == Some(commit) || !in_a_checkout(), "{commit}");

    let open = Launch::dev().unwrap().env("NSL_PUBLIC__METRICS", "true").start().unwrap();
    let reply = http("GET", open.public(), "/metrics", &[], "").unwrap();
    assert!(reply.status == 200 && reply.body.contains("process_resident_memory_bytes"), "{reply:?}");
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn what_is_asked_for_by_no_known_name_is_refused() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    let headers = [format!("X-API-Key: {}", nsl.api_key()), "Content-Type: application/json".to_owned()];
    for (method, path, body, known) in [
        ("PUT", "/v1/storage/neo-n3/items/a?owner=bob", r#"{"value":1}"#, json!([])),
        ("GET", "/v1/storage/neo-n3/items/a?ownr=bob", "", json!(["owner", "version", "fresh", "max_stale_ms"])),
        ("GET", "/api/identity/keys?limt=1", "", json!(["limit", "after"])),
        ("GET", "/v1/identity/whoami?all=true", "", json!([])),
    ] {
        let reply = http(method, nsl.public(), path, &headers, body).unwrap();
        assert_eq!(reply.status, 400, "{method} {path}");
        let problem = reply.json().unwrap();
        assert_eq!((&problem["code"], &problem["details"]["known"]), (&json!("request.query_unknown"), &known));
    }
    let start = http("GET", nsl.public(), "/", &[], "").unwrap().json().unwrap();
    for link in ["docs", "openapi", "problems", "health"] {
        let there = start[link].as_str().unwrap();
        assert_eq!(http("GET", nsl.public(), there, &[], "").unwrap().status, 200, "{there}");
    }
}

fn in_a_checkout() -> bool {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.git").exists()
}

#[test]
fn log_lines_carry_the_callers_trace_also_where_no_traces_are_sent() {
    let nsl = Launch::dev().unwrap().env("NSL_LOG__LEVEL", "debug").start().unwrap();
    let headers = [
        format!("X-API-Key: {}", nsl.api_key()),
        "X-Request-Id: req_0123".to_owned(),
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    ];
    assert_eq!(http("GET", nsl.public(), "/v1/storage/usage", &headers, "").unwrap().status, 200);
    let tenant = nsl.ready().tenant.clone().unwrap();
    let mut found = None;
    eventually("the line of the request", 10, || {
        let all = nsl.output();
        found =
            all.lines().find(|line| line.contains("request answered") && line.contains("req_0123")).map(str::to_owned);
        Ok(found.is_some())
    })
    .unwrap();
    let line: serde_json::Value = serde_json::from_str(&found.unwrap()).unwrap();
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(line["span_id"], "b7ad6b7169203331");
    assert_eq!((line["request_id"].as_str(), line["tenant"].as_str()), (Some("req_0123"), Some(tenant.as_str())));
}
