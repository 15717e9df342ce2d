use nsl_sandbox::eventually;
use serde_json::{Value, json};

use crate::ground::{Cut, Engines, Ground, make_tenant, ok, problem};

#[test]
fn in_one_process_on_embedded_engines() {
    all(Engines::Embedded, Cut::One);
}

#[test]
fn as_one_process_a_service_on_embedded_engines() {
    all(Engines::Embedded, Cut::Each);
}

#[test]
fn in_one_process_on_real_engines() {
    all(Engines::Real, Cut::One);
}

#[test]
fn as_one_process_a_service_on_real_engines() {
    all(Engines::Real, Cut::Each);
}

#[test]
fn in_two_equal_processes_on_real_engines() {
    all(Engines::Real, Cut::Pair);
}

#[test]
fn in_two_equal_processes_behind_pgbouncer() {
    all(Engines::Pooled, Cut::Pair);
}

fn all(engines: Engines, cut: Cut) {
    let ground = Ground::start(engines, cut, &[]);
    a_value_lives(&ground);
    many_values_at_once(&ground);
    a_request_is_repeated(&ground);
    tenants_and_persons_are_apart(&ground);
    keys_come_and_go(&ground);
    a_person_is_exported_and_erased(&ground);
    everything_left_evidence(&ground);
    everything_is_there_after_a_restart(ground);
}

fn a_value_lives(ground: &Ground) {
    let item = "/v1/storage/neo-n3/items/life";
    for n in 1..=3 {
        let stored = ground.post(
            "/v1/storage/store/neo-n3",
            &json!({ "key": "life", "value": { "n": n, "text": "ä€𝄞 \u{0}" }, "encrypted": true }),
        );
        assert_eq!((&stored["version"], &stored["created"]), (&json!(n), &json!(n == 1)));
        // Every process sees it at once.
        for _ in &ground.nodes {
            let found = ground.get("/v1/storage/retrieve/neo-n3/life?fresh=true");
            assert_eq!(found["value"], json!({ "n": n, "text": "ä€𝄞 \u{0}" }));
            assert_eq!((&found["version"], &found["encrypted"]), (&json!(n), &json!(true)));
        }
    }
    problem(&ground.ask("GET", "/v1/storage/neo-x/items/life", &Value::Null), 404, "storage.not_found");
    let past = ground.get(&format!("{item}?version=1"));
    assert_eq!(past["value"]["n"], json!(1));
    let history = ground.get(&format!("{item}/versions"));
    assert_eq!(history["items"].as_array().unwrap().len(), 3, "{history}");
    assert_eq!(ground.post(&format!("{item}/versions/1/restore"), &json!({}))["version"], json!(4));
    let stale = json!({ "value": 5, "expected_version": 3 });
    problem(&ground.ask("PUT", item, &stale), 409, "storage.version_conflict");
    ok(&ground.ask("PUT", item, &json!({ "value": 5, "expected_version": 4 })));
    assert_eq!(ground.ask("DELETE", item, &Value::Null).status / 100, 2);
    problem(&ground.ask("GET", &format!("{item}?fresh=true"), &Value::Null), 404, "storage.not_found");
    let restored = ground.post(&format!("{item}/versions/2/restore"), &json!({}));
    assert_eq!(ground.get(&format!("{item}?fresh=true"))["value"]["n"], json!(2), "{restored}");
}

fn many_values_at_once(ground: &Ground) {
    let items: Vec<Value> =
        (0..20).map(|n| json!({ "key": format!("many:{n:02}"), "value": [n], "encrypted": n % 2 == 0 })).collect();
    assert_eq!(ground.post("/v1/storage/neo-n3/batch", &json!({ "items": items }))["items"][19]["version"], json!(1));
    // One that may not be stored keeps all the others out.
    let refused = json!({ "items": [{ "key": "many:new", "value": 1 }, { "key": "not a key", "value": 1 }] });
    problem(&ground.ask("POST", "/v1/storage/neo-n3/batch", &refused), 400, "storage.key_malformed");
    let found = ground.post("/v1/storage/neo-n3/batch/get", &json!({ "keys": ["many:07", "many:new", "many:00"] }));
    assert_eq!((&found["items"][0]["value"], &found["items"][1]["value"]), (&json!([7]), &json!([0])));
    assert_eq!(found["missing"], json!(["many:new"]));
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = ground.get(&format!("/v1/storage/neo-n3/items?prefix=many:&limit=7{after}"));
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (0..20).map(|n| format!("many:{n:02}")).collect::<Vec<_>>());
    let usage = ground.get("/v1/storage/usage");
    assert!(usage.to_string().contains("items"), "{usage}");
}

fn a_request_is_repeated(ground: &Ground) {
    let store = |key: &str, value: i64| {
        let body = json!({ "key": "repeated", "value": value, "encrypted": false });
        let header = format!("Idempotency-Key: {key}");
        ground.ask_as(&ground.key, "POST", "/v1/storage/store/neo-n3", &[&header], &body)
    };
    let fresh = store("once-1", 1);
    assert_eq!(fresh.header("idempotency-replayed"), None);
    let first = ok(&fresh);
    // Whichever process gets the repetition, nothing is done again, and the answer says so.
    for _ in 0..3 {
        let again = store("once-1", 1);
        assert_eq!((ok(&again), again.header("idempotency-replayed")), (first.clone(), Some("true")));
    }
    problem(&store("once-1", 2), 409, "idempotency.key_reused");
    assert_eq!(ok(&store("once-2", 2))["version"], json!(2));
}

fn tenants_and_persons_are_apart(ground: &Ground) {
    let (other_tenant, stranger) = make_tenant(&ground.environment);
    assert_ne!(other_tenant, ground.tenant);
    let neighbour = ground.make_key(Some("neighbour"), &["storage:read"]);
    for (access, key) in [("private", "p"), ("tenant", "t"), ("shared", "s"), ("public", "o")] {
        let mut body = json!({ "key": format!("apart:{key}"), "value": access, "encrypted": true, "access": access });
        if access == "shared" {
            body["shared_with"] = json!(["neighbour"]);
        }
        ground.post("/v1/storage/store/neo-n3", &body);
        let path = format!("/v1/storage/retrieve/neo-n3/apart:{key}?owner=owner");
        let by_neighbour = ground.ask_as(&neighbour, "GET", &path, &[], &Value::Null);
        assert_eq!(by_neighbour.status, if access == "private" { 404 } else { 200 }, "{access}: {}", by_neighbour.body);
        let by_stranger = ground.ask_as(&stranger, "GET", &path, &[], &Value::Null);
        problem(&by_stranger, 404, "storage.not_found");
        let path = format!("/v1/storage/public/neo-n3/{}/owner/apart:{key}", ground.tenant);
        let by_anyone = nsl_sandbox::http("GET", ground.nodes[0].public(), &path, &[], "").unwrap();
        assert_eq!(by_anyone.status, if access == "public" { 200 } else { 404 }, "{access}: {}", by_anyone.body);
    }
    let listed = ground.ask_as(&stranger, "GET", "/v1/storage/neo-n3/items", &[], &Value::Null);
    assert_eq!(ok(&listed)["items"], json!([]));
    let write = json!({ "key": "k", "value": 1 });
    problem(&ground.ask_as(&neighbour, "POST", "/v1/storage/store/neo-n3", &[], &write), 403, "auth.scope_missing");
    let forgery = format!("{}x", &ground.key[..ground.key.len() - 1]);
    problem(&ground.ask_as(&forgery, "GET", "/v1/storage/usage", &[], &Value::Null), 401, "auth.key_unknown");
}

fn keys_come_and_go(ground: &Ground) {
    let narrow = ground.make_key(None, &["storage:read", "identity:write"]);
    let more = json!({ "name": "more", "scopes": ["storage:write"] });
    let granted = ground.ask_as(&narrow, "POST", "/v1/identity/keys", &[], &more);
    assert_eq!(granted.status, 403, "{}", granted.body);
    let doomed = ground.post("/v1/identity/keys", &json!({ "name": "doomed", "scopes": ["storage:read"] }));
    let (id, secret) = (doomed["id"].as_str().unwrap(), doomed["secret"].as_str().unwrap());
    let used = || ground.ask_as(secret, "GET", "/v1/storage/usage", &[], &Value::Null).status;
    for _ in &ground.nodes {
        assert_eq!(used(), 200);
    }
    assert_eq!(ground.ask("DELETE", &format!("/v1/identity/keys/{id}"), &Value::Null).status / 100, 2);
    // Processes remember a good key for some seconds; none does so for longer.
    eventually("a revoked key works nowhere", 15, || Ok((0..ground.nodes.len() * 2).all(|_| used() == 401))).unwrap();
}

fn a_person_is_exported_and_erased(ground: &Ground) {
    let person = ground.make_key(Some("person"), &["storage:*", "privacy:*"]);
    let store = json!({ "key": "mine", "value": "a secret of mine", "encrypted": true });
    ok(&ground.ask_as(&person, "POST", "/v1/storage/store/neo-n3", &[], &store));
    let ask = |kind: &str| {
        let asked = ground.ask_as(&person, "POST", "/v1/storage/privacy/requests", &[], &json!({ "kind": kind }));
        assert_eq!(asked.status, 202, "{}", asked.body);
        let path = format!("/v1/storage/privacy/requests/{}", ok(&asked)["id"].as_str().unwrap());
        eventually("the request is done", 60, || {
            let found = ok(&ground.ask("GET", &path, &Value::Null));
            assert_ne!(found["status"], json!("failed"), "{found}");
            Ok(found["status"] == json!("done"))
        })
        .unwrap();
        path
    };
    let exported = ask("export");
    let export = ground.ask_as(&person, "GET", &format!("{exported}/export"), &[], &Value::Null);
    assert!(ok(&export).to_string().contains("a secret of mine"));
    let erased = ask("erasure");
    assert!(ok(&ground.ask("GET", &erased, &Value::Null))["receipt"].is_object());
    let gone = ground.ask_as(&person, "GET", "/v1/storage/retrieve/neo-n3/mine", &[], &Value::Null);
    assert!(!gone.body.contains("a secret of mine") && gone.status >= 400, "{}", gone.body);
    ground.assert_whole();
}

fn everything_left_evidence(ground: &Ground) {
    let mut seen = std::collections::BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = ground.get(&format!("/v1/audit/entries?limit=50{after}"));
        for entry in page["items"].as_array().unwrap() {
            seen.insert(entry["event_type"].as_str().unwrap().to_owned());
            assert!(!entry.to_string().contains("a secret of mine") && !entry.to_string().contains("nsl_"), "{entry}");
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    for event in [
        "storage.value_stored",
        "storage.value_deleted",
        "identity.key_created",
        "identity.key_revoked",
        "storage.privacy_asked",
    ] {
        assert!(seen.contains(event), "no {event} among {seen:?}");
    }
    ground.assert_whole();
}

fn everything_is_there_after_a_restart(mut ground: Ground) {
    for node in &ground.nodes {
        assert!(node.terminate().unwrap().success(), "{}", node.process().tail());
        // Nobody's secrets are in what the processes said.
        let said = node.output();
        assert!(!said.contains(&ground.key) && !said.contains("a secret of mine"));
    }
    for node in &mut ground.nodes {
        node.start_again().unwrap();
    }
    assert_eq!(ground.get("/v1/storage/neo-n3/items/life")["value"]["n"], json!(2));
    assert_eq!(ground.get("/v1/storage/retrieve/neo-n3/many:07")["value"], json!([7]));
    ground.assert_whole();
    if let Some(database) = &ground.database {
        let unbound =
            "select count(*) from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
            where c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
              and relnamespace = 'neo_service_layer'::regnamespace";
        assert_eq!(database.query(unbound).unwrap(), "0", "a table with tenants lacks row-level security");
    }
}
