//! Users, members and roles on the running program, also as one process a service.

use std::time::{Duration, Instant};

use nsl_sandbox::{Reply, eventually, http, nsl_command};
use serde_json::{Value, json};

use crate::ground::{Cut, Engines, Ground, ok, problem};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A signed-in person.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) tenant: String,
}

pub(crate) fn signed_in(ground: &Ground, reply: &Reply) -> Person {
    let tokens = ok(reply);
    let token = tokens["access_token"].as_str().unwrap().to_owned();
    let me = ok(&ground.ask_as(&token, "GET", "/v1/users/me", &[], &Value::Null));
    Person { id: me["id"].as_str().unwrap().to_owned(), token, tenant: tokens["tenant"].as_str().unwrap().to_owned() }
}

pub(crate) fn register(ground: &Ground, email: &str, invite: Option<&str>) -> Person {
    let mut body = json!({ "email": email, "password": PASSWORD });
    if let Some(invite) = invite {
        body["invite"] = json!(invite);
    }
    signed_in(ground, &stranger(ground, "/v1/auth/register", &body))
}

/// Without a credential, to some process.
fn stranger(ground: &Ground, path: &str, body: &Value) -> Reply {
    let headers = ["Content-Type: application/json".to_owned()];
    http("POST", ground.nodes[0].public(), path, &headers, &body.to_string()).unwrap()
}

pub(crate) fn login(ground: &Ground, email: &str) -> Reply {
    stranger(ground, "/v1/auth/login", &json!({ "email": email, "password": PASSWORD }))
}

impl Person {
    pub(crate) fn ask(&self, ground: &Ground, method: &str, path: &str, body: &Value) -> Reply {
        ground.ask_as(&self.token, method, path, &[], body)
    }

    pub(crate) fn invites(&self, ground: &Ground, email: &str, role: &str) -> String {
        let body = json!({ "email": email, "roles": [role] });
        ok(&self.ask(ground, "POST", "/v1/users/invites", &body))["token"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_team_forms_changes_and_parts_in_one_process() {
    a_team(&Ground::start(Engines::Embedded, Cut::One, &[]));
}

#[test]
fn a_team_forms_changes_and_parts_across_processes() {
    a_team(&Ground::start(Engines::Real, Cut::Each, &[]));
}

fn a_team(ground: &Ground) {
    let ada = register(ground, "ada@example.com", None);
    let invite = ada.invites(ground, "bob@example.com", "developer");
    let bob = register(ground, "bob@example.com", Some(&invite));
    assert_eq!(bob.tenant, ada.tenant);
    let used = json!({ "email": "cem@example.com", "password": PASSWORD, "invite": invite });
    problem(&stranger(ground, "/v1/auth/register", &used), 404, "people.invite_invalid");
    let store = json!({ "key": "work", "value": 1 });
    ok(&bob.ask(ground, "POST", "/v1/storage/store/neo-n3", &store));
    problem(&bob.ask(ground, "GET", "/v1/users", &Value::Null), 403, "auth.scope_missing");
    let mine = format!("/v1/members/{}", bob.id);
    problem(&bob.ask(ground, "PUT", &mine, &json!({ "roles": ["owner"] })), 403, "auth.scope_missing");
    problem(
        &bob.ask(ground, "POST", "/v1/roles", &json!({ "name": "root", "permissions": ["*"] })),
        403,
        "auth.scope_missing",
    );
    // A role of their own; what it allows is known to every process as soon as the next token tells.
    let role = json!({ "name": "reader", "permissions": ["storage:read"] });
    assert_eq!(ada.ask(ground, "POST", "/v1/roles", &role).status, 201);
    problem(
        &ada.ask(ground, "POST", "/v1/roles", &json!({ "name": "x", "permissions": ["*"] })),
        400,
        "people.permission_unknown",
    );
    ok(&ada.ask(ground, "PUT", &mine, &json!({ "roles": ["reader"] })));
    let began = Instant::now();
    eventually("the token of before is refused everywhere", 10, || {
        Ok((0..ground.nodes.len() * 2).all(|_| bob.ask(ground, "GET", "/v1/users/me", &Value::Null).status == 401))
    })
    .unwrap();
    println!("a changed role ended the token of before after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let bob = signed_in(ground, &login(ground, "bob@example.com"));
    ok(&bob.ask(ground, "GET", "/v1/storage/retrieve/neo-n3/work", &Value::Null));
    problem(&bob.ask(ground, "POST", "/v1/storage/store/neo-n3", &store), 403, "auth.scope_missing");
    // Found by those who administer, and by nobody of another tenant.
    let found = ok(&ada.ask(ground, "GET", "/v1/users?email=BOB&status=active", &Value::Null));
    assert_eq!(found["items"][0]["id"], json!(bob.id));
    let eve = register(ground, "eve@example.com", None);
    for (method, path, body) in [
        ("GET", format!("/v1/users/{}", bob.id), Value::Null),
        ("POST", format!("/v1/users/{}/suspend", bob.id), Value::Null),
        ("POST", format!("/v1/users/{}/resume", bob.id), Value::Null),
        ("PUT", mine.clone(), json!({ "roles": ["owner"] })),
        ("DELETE", mine.clone(), Value::Null),
    ] {
        problem(&eve.ask(ground, method, &path, &body), 404, "people.user_missing");
    }
    for (method, path) in [("DELETE", ""), ("POST", "/restore")] {
        let path = format!("/v1/tenants/{}{path}", ada.tenant);
        assert!(matches!(eve.ask(ground, method, &path, &Value::Null).status, 401 | 404), "{path}");
    }
    // A tenant is closed by a second factor alone, and keeps an owner.
    problem(&ada.ask(ground, "DELETE", &format!("/v1/tenants/{}", ada.tenant), &Value::Null), 401, "auth.step_up");
    problem(&ada.ask(ground, "DELETE", &format!("/v1/members/{}", ada.id), &Value::Null), 409, "people.last_owner");
    ok(&ada.ask(ground, "POST", &format!("/v1/users/{}/suspend", bob.id), &Value::Null));
    eventually("who is suspended is out", 10, || {
        Ok((0..ground.nodes.len() * 2).all(|_| bob.ask(ground, "GET", "/v1/users/me", &Value::Null).status == 401))
    })
    .unwrap();
    assert_eq!(login(ground, "bob@example.com").status, 403);
    let second = json!({ "name": "second" });
    assert_eq!(ada.ask(ground, "POST", "/v1/tenants", &second).status, 201);
    let own = ok(&ada.ask(ground, "GET", "/v1/tenants", &Value::Null));
    assert_eq!(own["items"].as_array().unwrap().len(), 2);
    operators(ground, &eve);
    for node in &ground.nodes {
        let said = node.output();
        assert!(!said.contains("bob@example.com") && !said.contains("nsi_"), "an address or an invite is in a log");
    }
}

/// What is done on the machine, with the database at hand.
fn operators(ground: &Ground, eve: &Person) {
    let person = |words: &[&str]| {
        let words = ["person"].iter().chain(words).chain(&["--json"]);
        let output = nsl_command(words).unwrap().envs(ground.environment.iter().cloned()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(person(&["suspend", &eve.id])["status"], "suspended");
    problem(&login(ground, "eve@example.com"), 403, "signin.suspended");
    eventually("who is suspended by an operator is out", 10, || {
        Ok(eve.ask(ground, "GET", "/v1/users/me", &Value::Null).status == 401)
    })
    .unwrap();
    assert_eq!(person(&["resume", &eve.id])["status"], "active");
    ok(&login(ground, "eve@example.com"));
    assert_eq!(person(&["delete", &eve.id])["status"], "erased");
    problem(&login(ground, "eve@example.com"), 401, "signin.wrong");
    let report = person(&["report"]);
    assert!(report["open"].as_u64().unwrap() + report["done"].as_u64().unwrap() == 1, "{report}");
}
