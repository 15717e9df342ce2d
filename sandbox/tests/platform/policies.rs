//! Policies of a tenant on the running program: what they decide, in every process, and how soon.

use std::time::{Duration, Instant};

use nsl_sandbox::{Reply, http, nsl_command};
use serde_json::{Value, json};

use crate::ground::{Cut, Engines, Ground, ok, problem};

const PASSWORD: &str = "correct horse battery staple";

struct Stage {
    ground: Ground,
    tenant: String,
    /// Of a person who showed a second factor.
    admin: String,
    key: String,
}

fn send(url: &str, method: &str, path: &str, token: Option<&str>, from: &str, body: &Value) -> Reply {
    let mut headers = vec!["Content-Type: application/json".to_owned(), format!("X-Forwarded-For: {from}")];
    headers.extend(token.map(|token| format!("Authorization: Bearer {token}")));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    http(method, url, path, &headers, &body).unwrap()
}

const HOME: &str = "192.0.2.1";

impl Stage {
    fn set(engines: Engines, cut: Cut) -> Self {
        let ground = Ground::start(engines, cut, &[("NSL_HTTP__TRUSTED_PROXIES", "127.0.0.0/8,::1/128")]);
        let at = ground.nodes[0].public().to_owned();
        let post = |path: &str, token: Option<&str>, body: Value| send(&at, "POST", path, token, HOME, &body);
        let account = json!({ "email": "owner@example.com", "password": PASSWORD });
        let first = ok(&post("/v1/auth/register", None, account));
        let tenant = first["tenant"].as_str().unwrap().to_owned();
        let first = first["access_token"].as_str().unwrap().to_owned();
        let policy = json!({ "text": "forbid(principal, action == Action::\"storage:read\", resource);" });
        let refused = send(&at, "PUT", "/v1/access/policies/early", Some(&first), HOME, &policy);
        problem(&refused, 401, "auth.step_up");
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains("insufficient_user_authentication") && challenge.contains("max_age"), "{challenge}");
        let made = ok(&post("/v1/auth/totp", Some(&first), json!({ "password": PASSWORD })));
        let code = crate::signin::totp(made["secret"].as_str().unwrap(), -1);
        let codes = ok(&post("/v1/auth/totp/confirm", Some(&first), json!({ "code": code })))["recovery_codes"].clone();
        let raised = ok(&post("/v1/auth/step-up", Some(&first), json!({ "recovery_code": codes[0] })));
        let admin = raised["access_token"].as_str().unwrap().to_owned();
        let wanted = json!({ "name": "ci", "scopes": ["storage:read", "storage:write", "relay:write"] });
        let key = ok(&post("/v1/identity/keys", Some(&admin), wanted))["secret"].as_str().unwrap().to_owned();
        Self { ground, tenant, admin, key }
    }

    /// As the person, to the first process.
    fn admin(&self, method: &str, path: &str, body: &Value) -> Reply {
        send(self.ground.nodes[0].public(), method, path, Some(&self.admin), HOME, body)
    }

    fn save(&self, name: &str, text: &str) {
        let saved = ok(&self.admin("PUT", &format!("/v1/access/policies/{name}"), &json!({ "text": text })));
        assert_eq!(saved["saved"], json!(true), "{saved}");
    }

    fn remove(&self, name: &str) {
        ok(&self.admin("DELETE", &format!("/v1/access/policies/{name}"), &Value::Null));
    }

    /// With the key, to the last process, where nobody changed a policy.
    fn ask(&self, method: &str, path: &str, from: &str, body: &Value) -> Reply {
        send(self.ground.nodes.last().unwrap().public(), method, path, Some(&self.key), from, body)
    }

    fn read(&self, key: &str, from: &str) -> u16 {
        self.ask("GET", &format!("/v1/storage/retrieve/neo-n3/{key}"), from, &Value::Null).status
    }

    /// Waits for the answer to become this one, and says how long that took.
    fn within_a_second(&self, expected: u16, what: impl Fn() -> u16) {
        let began = Instant::now();
        while what() != expected {
            assert!(
                began.elapsed() < Duration::from_secs(1),
                "a policy takes effect within a second, not {} yet",
                expected
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("in effect after {:?}", began.elapsed());
    }
}

fn journey(engines: Engines, cut: Cut) {
    let stage = Stage::set(engines, cut);
    for (key, class) in [("open", "public"), ("hidden", "secret")] {
        let body = json!({ "key": key, "value": { "n": 1 }, "metadata": { "class": class } });
        ok(&stage.ask("POST", "/v1/storage/store/neo-n3", HOME, &body));
        assert_eq!(stage.read(key, HOME), 200);
    }

    // By tag: what is marked cannot be read, nor written over, nor seen in a list.
    stage.save(
        "secrets",
        "@explain(\"ask the owner\") forbid(principal, action in [Action::\"storage:read\", Action::\"storage:write\"], \
         resource) when { resource.hasTag(\"class\") && resource.getTag(\"class\") == \"secret\" };",
    );
    stage.within_a_second(403, || stage.read("hidden", HOME));
    assert_eq!(stage.read("open", HOME), 200);
    let refused = stage.ask("GET", "/v1/storage/retrieve/neo-n3/hidden", HOME, &Value::Null);
    problem(&refused, 403, "auth.policy_denied");
    let body = refused.json().unwrap();
    assert_eq!(body["details"]["policies"], json!([{ "policy": "secrets", "explain": "ask the owner" }]), "{body}");
    assert!(body["details"].get("refused").is_none(), "{body}");
    let plain = json!({ "key": "hidden", "value": 2, "metadata": { "class": "public" } });
    problem(&stage.ask("POST", "/v1/storage/store/neo-n3", HOME, &plain), 403, "auth.policy_denied");
    let marked = json!({ "key": "more", "value": 2, "metadata": { "class": "secret" } });
    problem(&stage.ask("POST", "/v1/storage/store/neo-n3", HOME, &marked), 403, "auth.policy_denied");
    let listed = ok(&stage.ask("GET", "/v1/storage/neo-n3/items", HOME, &Value::Null));
    assert!(!listed.to_string().contains("hidden") && listed.to_string().contains("open"), "{listed}");

    // By address.
    stage.save(
        "office",
        "forbid(principal, action == Action::\"storage:read\", resource) \
         unless { context has ip && context.ip.isInRange(ip(\"192.0.2.0/24\")) };",
    );
    stage.within_a_second(403, || stage.read("open", "203.0.113.9"));
    assert_eq!(stage.read("open", HOME), 200);
    let refused = stage.ask("GET", "/v1/storage/retrieve/neo-n3/open", "203.0.113.9", &Value::Null);
    problem(&refused, 403, "auth.policy_denied");
    assert!(!refused.body.contains("office"), "a policy that explains nothing is not named: {}", refused.body);
    stage.remove("office");
    stage.within_a_second(200, || stage.read("open", "203.0.113.9"));

    // By time.
    let from = |time: &str| {
        format!(
            "forbid(principal, action == Action::\"storage:read\", resource) when {{ context.now > datetime(\"{time}\") }};"
        )
    };
    stage.save("later", &from("2100-01-01"));
    stage.save("now", &from("2020-01-01"));
    stage.within_a_second(403, || stage.read("open", HOME));
    stage.remove("now");
    stage.within_a_second(200, || stage.read("open", HOME));

    // By amount, whatever the chain: no chain is set up here, so what is permitted gets another answer.
    stage.save(
        "large",
        "forbid(principal, action == Action::\"relay:write\", resource) \
         when { context has amount && context.amount > 150000000 && context has chain && context.chain == \"neo-x\" };",
    );
    let send = |wei: &str| {
        let to = format!("0x{}", "12".repeat(20));
        let body = json!({ "account": to, "to": to, "value": wei });
        let reply = stage.ask("POST", "/v1/tx/neo-x", HOME, &body);
        (reply.status, reply.json().unwrap()["code"].as_str().unwrap_or_default().to_owned())
    };
    let (large, small) = ("1500000000000000001", "1500000000000000000");
    stage.within_a_second(403, || send(large).0);
    assert_eq!(send(large).1, "auth.policy_denied");
    assert!(!send(small).1.starts_with("auth."), "{:?}", send(small));

    // What is explained is what was decided.
    for (amount, allowed) in [("1.500000000000000001", false), ("1.5", true)] {
        let asked = json!({ "permission": "relay:write", "context": { "amount": amount, "chain": "neo-x" } });
        let said = ok(&stage.ask("POST", "/v1/access/explain", HOME, &asked));
        assert_eq!(said["allowed"], json!(allowed), "{said}");
    }
    let broken = json!({ "text": "forbid(principal, action, resource) when { context.amount > 1 };" });
    let refused = stage.admin("PUT", "/v1/access/policies/broken", &broken);
    problem(&refused, 400, "access.policy_invalid");
    assert_eq!(refused.json().unwrap()["details"]["faults"][0]["line"], json!(1));
    let locks = json!({ "text": "forbid(principal, action, resource);" });
    problem(&stage.admin("PUT", "/v1/access/policies/all", &locks), 409, "access.locks_out");
    // An operator can remove what nobody of the tenant can any more.
    let mut command = nsl_command(["tenant", "remove-policy", &stage.tenant, "secrets", "--json"]).unwrap();
    let output = command.envs(stage.ground.environment.iter().cloned()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stage.within_a_second(200, || stage.read("hidden", HOME));
    // No other tenant is touched by any of it.
    let key = json!({ "key": "theirs", "value": 1, "metadata": { "class": "secret" } });
    ok(&stage.ground.ask("POST", "/v1/storage/store/neo-n3", &key));
}

#[test]
fn policies_hold_in_one_process() {
    journey(Engines::Embedded, Cut::One);
}

#[test]
fn policies_hold_in_both_of_two_processes() {
    journey(Engines::Real, Cut::Pair);
}

#[test]
fn policies_hold_with_a_process_for_each_service() {
    journey(Engines::Real, Cut::Each);
}
