//! What happens to a key or its owner in one process is so in the other within a second, also where the key is
//! remembered.

use std::time::{Duration, Instant};

use nsl_sandbox::{Nsl, Reply, http};
use serde_json::{Value, json};

use crate::ground::{Cut, Engines, Ground, ok};

const PASSWORD: &str = "correct horse battery staple";

fn send(nsl: &Nsl, bearer: Option<&str>, method: &str, path: &str, body: &Value) -> Value {
    let mut headers = vec!["Content-Type: application/json".to_owned()];
    headers.extend(bearer.map(|token| format!("Authorization: Bearer {token}")));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ok(&http(method, nsl.public(), path, &headers, &body).unwrap())
}

fn show(nsl: &Nsl, key: &Value) -> Reply {
    let headers = [format!("X-API-Key: {}", key["secret"].as_str().unwrap())];
    http("GET", nsl.public(), "/v1/storage/neo-n3/items", &headers, "").unwrap()
}

/// The key, which this process remembers, is answered so within a second.
#[track_caller]
fn becomes(nsl: &Nsl, what: &str, key: &Value, status: u16) {
    let began = Instant::now();
    loop {
        let reply = show(nsl, key);
        if reply.status == status {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{what}: {} {}", reply.status, reply.body);
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{what}: {status} elsewhere after {:?}", began.elapsed());
}

#[test]
fn what_becomes_of_a_key_here_is_so_there_within_a_second() {
    let ground = Ground::start(Engines::Real, Cut::Pair, &[]);
    let [here, there] = &ground.nodes[..] else { panic!("two processes") };
    let register =
        |email: &str| send(here, None, "POST", "/v1/auth/register", &json!({ "email": email, "password": PASSWORD }));
    let ann = register("ann@example.com");
    let ann_token = ann["access_token"].as_str().unwrap();
    let make = |bearer: &str, name: &str| {
        let body = json!({ "name": name, "scopes": ["storage:read"] });
        let key = send(here, Some(bearer), "POST", "/v1/identity/keys", &body);
        // Both remember it from here on.
        assert_eq!((show(here, &key).status, show(there, &key).status), (200, 200), "{name}");
        key
    };
    let path = |key: &Value, rest: &str| format!("/v1/identity/keys/{}{rest}", key["id"].as_str().unwrap());

    let key = make(ann_token, "revoked");
    send(here, Some(ann_token), "DELETE", &path(&key, ""), &Value::Null);
    assert_eq!(show(here, &key).status, 401, "at once where it was done");
    becomes(there, "a revoked key", &key, 401);

    let key = make(ann_token, "moved");
    send(here, Some(ann_token), "PATCH", &path(&key, ""), &json!({ "networks": ["192.0.2.0/24"] }));
    assert_eq!(show(here, &key).status, 403, "at once where it was done");
    becomes(there, "a key that moved to other networks", &key, 403);
    send(there, Some(ann_token), "PATCH", &path(&key, ""), &json!({ "networks": [] }));
    becomes(here, "a key that may be used from anywhere again", &key, 200);

    let key = make(ann_token, "rotated");
    let next = send(here, Some(ann_token), "POST", &path(&key, "/rotate"), &json!({ "overlap_s": 0 }));
    becomes(there, "a secret that was replaced", &key, 401);
    assert_eq!((show(here, &next).status, show(there, &next).status), (200, 200));

    let bob = register("bob@example.com");
    let invite = send(here, Some(ann_token), "POST", "/v1/users/invites", &json!({ "roles": ["developer"] }));
    let token = json!({ "token": invite["token"] });
    send(here, bob["access_token"].as_str(), "POST", "/v1/users/invites/accept", &token);
    let body = json!({ "email": "bob@example.com", "password": PASSWORD, "tenant": ann["tenant"] });
    let bob = send(there, None, "POST", "/v1/auth/login", &body);
    let bob_token = bob["access_token"].as_str().unwrap();
    let who = send(there, Some(bob_token), "GET", "/v1/identity/whoami", &Value::Null);
    let bob_id = who["subject"].as_str().unwrap();
    send(here, Some(ann_token), "POST", "/v1/roles", &json!({ "name": "auditor", "permissions": ["audit:read"] }));
    let key = make(bob_token, "of bob");
    let member = format!("/v1/members/{bob_id}");
    send(here, Some(ann_token), "PUT", &member, &json!({ "roles": ["auditor"] }));
    becomes(there, "a key of somebody with another role", &key, 403);
    send(here, Some(ann_token), "PUT", &member, &json!({ "roles": ["developer"] }));
    becomes(there, "a key of somebody with the first role again", &key, 200);
    send(here, Some(ann_token), "DELETE", &member, &Value::Null);
    becomes(there, "a key of somebody who was removed", &key, 401);
    ground.assert_whole();
}
