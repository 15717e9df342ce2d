use std::{os::unix::fs::PermissionsExt, time::Instant};

use nsl_sandbox::{Launch, http, nsl_command};
use serde_json::{Value, json};

#[test]
fn the_first_start_makes_a_tenant_and_a_key_and_later_ones_keep_them() {
    let room = tempfile::tempdir().unwrap();
    let data = room.path().join("data");
    let first = Launch::dev_in(&data).unwrap().start().unwrap();
    let (tenant, key) = (first.ready().tenant.clone().unwrap(), first.api_key().to_owned());
    assert!(key.starts_with("nsl_") && key.len() == 47);
    let stored = first.request("PUT", "/v1/storage/neo-n3/items/kept", r#"{"value":{"n":1.50}}"#).unwrap();
    assert!(stored.status < 300, "{stored:?}");
    assert!(first.terminate().unwrap().success());

    // The key is on disk in one place, for its owner alone.
    for file in ["nsl.db", "dev.lock"] {
        assert_eq!(std::fs::metadata(data.join(file)).unwrap().permissions().mode() & 0o077, 0, "{file}");
    }
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("client.json"), mode(".")), (0o600, 0o700));

    let second = Launch::dev_in(&data).unwrap().start().unwrap();
    assert_eq!(second.ready().api_key, None, "shown once");
    assert_eq!(second.ready().tenant.as_deref(), Some(tenant.as_str()));
    let headers = [format!("X-API-Key: {key}")];
    let kept = http("GET", second.public(), "/v1/storage/retrieve/neo-n3/kept", &headers, "").unwrap();
    assert_eq!(kept.status, 200);
    assert!(kept.body.contains(r#""value":{"n":1.50}"#), "byte for byte: {}", kept.body);
    assert!(second.terminate().unwrap().success());

    let third = Launch::dev_in(&data).unwrap().arg("--show-key").start().unwrap();
    assert_eq!(third.ready().api_key.as_deref(), Some(key.as_str()));
    assert!(!third.output().replace(&format!("\"api_key\":\"{key}\""), "").contains(&key), "never in the logs");
}

#[test]
fn the_listeners_answer_for_themselves_and_on_loopback_only() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    for url in [nsl.public(), nsl.internal(), nsl.ops()] {
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    }
    for (at, path, status) in [
        (nsl.ops(), "/health", 200),
        (nsl.ops(), "/health/live", 200),
        (nsl.ops(), "/health/ready", 200),
        (nsl.ops(), "/ready", 200),
        (nsl.ops(), "/metrics", 200),
        (nsl.ops(), "/api/info", 200),
        (nsl.public(), "/health", 200),
        (nsl.public(), "/health/ready", 200),
        (nsl.public(), "/api/info", 200),
        (nsl.public(), "/openapi.json", 200),
        (nsl.public(), "/docs", 200),
        (nsl.public(), "/metrics", 404),
        (nsl.public(), "/rpc/identity/create_tenant", 404),
        (nsl.internal(), "/v1/storage/usage", 401),
        (nsl.internal(), "/rpc/identity/authenticate", 401),
        (nsl.ops(), "/v1/storage/usage", 404),
    ] {
        assert_eq!(http("GET", at, path, &[], "").unwrap().status, status, "{path} on {at}");
    }
    let info = http("GET", nsl.ops(), "/api/info", &[], "").unwrap().json().unwrap();
    assert_eq!(info["services"], json!(["audit", "identity", "storage", "relay", "contracts"]));
    let metrics = http("GET", nsl.ops(), "/metrics", &[], "").unwrap().body;
    let families = metrics.lines().filter(|line| line.starts_with("# TYPE")).count();
    assert!(families >= 10 && metrics.contains("http_requests_total"), "{families} families");
}

#[test]
fn the_load_test_of_old_goes_through_unchanged() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    let body = json!({ "key": "load_test_1_2", "value": "some test data", "encrypted": true }).to_string();
    for path in ["/v1/storage/store/neo-n3", "/api/v1/storage/store/neo-n3", "/api/storage/store/neo-n3"] {
        let authorized =
            [format!("Authorization: Bearer {}", nsl.api_key()), "Content-Type: application/json".to_owned()];
        let reply = http("POST", nsl.public(), path, &authorized, &body).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        let anonymous = http("POST", nsl.public(), path, &authorized[1..], &body).unwrap();
        assert_eq!(anonymous.status, 401, "{path}");
    }
    let read = nsl.request("GET", "/v1/storage/retrieve/neo-n3/load_test_1_2", "").unwrap().json().unwrap();
    assert_eq!(
        (&read["value"], &read["version"], &read["encrypted"]),
        (&json!("some test data"), &json!(3), &json!(true))
    );
}

#[test]
fn limits_are_lifted_and_quotas_set_by_the_environment() {
    let start = |name: &str, value: &str| Launch::dev().unwrap().env(name, value).start().unwrap();
    let nsl = start("NSL_LIMITS__GENERAL_PER_MINUTE", "5");
    let mut statuses: Vec<u16> = Vec::new();
    for _ in 0..8 {
        let reply = nsl.request("GET", "/v1/storage/usage", "").unwrap();
        if reply.status == 429 {
            assert!(reply.head.to_ascii_lowercase().contains("retry-after:"), "{}", reply.head);
        }
        statuses.push(reply.status);
    }
    assert_eq!((statuses[0], statuses[7]), (200, 429), "{statuses:?}");
    drop(nsl);
    let nsl = start("NSL_QUOTA__ITEMS", "2");
    let put = |key: &str| {
        let body = json!({ "key": key, "value": 1, "encrypted": false }).to_string();
        nsl.request("POST", "/v1/storage/store/neo-x", &body).unwrap().status
    };
    assert_eq!((put("a"), put("b"), put("c"), put("a")), (200, 200, 507, 200));
}

#[test]
fn two_cannot_run_on_one_directory() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    let (status, said) = Launch::dev_in(nsl.directory()).unwrap().ends().unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    let key = nsl.directory().join("client.json");
    for part in ["another nsl dev runs on", "stop it first", &key.display().to_string()] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(nsl.request("GET", "/v1/storage/usage", "").unwrap().status, 200);
}

#[test]
fn a_key_that_was_revoked_stops_at_once() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    let made: Value = serde_json::from_str(
        &nsl.cli(&["apikey", "create", "ci", "--scope", "storage:read,storage:write", "--json"]).unwrap(),
    )
    .unwrap();
    let headers = [format!("X-API-Key: {}", made["secret"].as_str().unwrap())];
    let usage = || http("GET", nsl.public(), "/v1/storage/usage", &headers, "").unwrap().status;
    assert_eq!(usage(), 200);
    let revoked = nsl.cli(&["apikey", "revoke", made["id"].as_str().unwrap()]).unwrap();
    assert!(revoked.contains("revoked key_"), "{revoked}");
    assert_eq!(usage(), 401);
}

#[test]
fn a_stop_signal_ends_it_well_within_ten_seconds_and_loses_nothing() {
    let mut nsl = Launch::dev().unwrap().start().unwrap();
    for number in 0..20 {
        let body = json!({ "key": format!("k{number}"), "value": number }).to_string();
        assert_eq!(nsl.request("POST", "/v1/storage/store/neo-n3", &body).unwrap().status, 200);
    }
    // An idle keep-alive connection must not hold up the end.
    let idle = std::net::TcpStream::connect(nsl.public().trim_start_matches("http://")).unwrap();
    let began = Instant::now();
    assert!(nsl.terminate().unwrap().success());
    assert!(began.elapsed().as_secs() < 10);
    drop(idle);
    let verified = nsl_command(["audit", "verify", "--data-dir"]).unwrap().arg(nsl.directory()).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    nsl.start_again().unwrap();
    let listed = nsl.cli(&["storage", "list", "--prefix", "k", "--limit", "7", "--all", "--json"]).unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 20);
}
