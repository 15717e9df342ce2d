//! Tokens of those who should not get in, shown to the real program: in one process on each SQL engine, and where
//! the edge that is asked and the identity service are two processes.

mod forge;
mod sessions;
mod tokens;
mod wallets;

use std::cell::RefCell;

use nsl_sandbox::{Reply, http};
use serde_json::{Value, json};

use self::forge::Outside;
use crate::ground::{Cut, Engines, Ground, both, dev, ok, problem};

#[test]
fn nobody_gets_in_by_a_forged_token_on_embedded_engines() {
    all(Engines::Embedded, Cut::One);
}

#[test]
fn nobody_gets_in_by_a_forged_token_on_real_engines() {
    all(Engines::Real, Cut::One);
}

#[test]
fn nobody_gets_in_by_a_forged_token_where_the_edge_asks_another_process() {
    all(Engines::Real, Cut::Each);
}

#[test]
fn a_token_ends_and_its_session_goes_on() {
    for database in both() {
        let nsl = dev(database.as_ref()).with_movable_clock().unwrap().start().unwrap();
        let show = |token: &str| http("GET", nsl.public(), DOOR, &[bearer(token)], "").unwrap();
        let post = |path: &str, body: Value| {
            http("POST", nsl.public(), path, &["Content-Type: application/json".to_owned()], &body.to_string()).unwrap()
        };
        let body = json!({ "email": "alice@example.com", "password": PASSWORD });
        let first = Person::of(&ok(&post("/v1/auth/register", body)));
        assert_eq!(show(&first.access).status, 200);
        nsl.move_clock(1_000).unwrap();
        problem(&show(&first.access), 401, "auth.token_expired");
        let next = Person::of(&ok(&post("/v1/auth/refresh", json!({ "refresh_token": first.refresh }))));
        assert_eq!(show(&next.access).status, 200);
        nsl.move_clock(8 * 86_400).unwrap();
        problem(&show(&next.access), 401, "auth.token_expired");
        let late = post("/v1/auth/refresh", json!({ "refresh_token": next.refresh }));
        problem(&late, 401, "tokens.refresh_unknown");
    }
}

const PASSWORD: &str = "correct horse battery staple";
/// Where every good credential of these tests gets an answer.
const DOOR: &str = "/v1/storage/usage";

/// A platform under attack, and how often it was attacked.
struct Siege {
    ground: Ground,
    /// Whose tokens are taken beside the platform's own.
    outside: Outside,
    repelled: RefCell<Vec<String>>,
}

fn all(engines: Engines, cut: Cut) {
    let outside = Outside::fresh();
    let file = outside.file();
    let more = [
        ("NSL_AUTH__JWT__JWKS", file.as_str()),
        ("NSL_AUTH__JWT__ISSUER", forge::OUTSIDE),
        ("NSL_AUTH__JWT__AUDIENCE", forge::AUDIENCE),
    ];
    let ground = Ground::start(engines, cut, &more);
    let mut siege = Siege { ground, outside, repelled: RefCell::default() };
    let (alice, bob) = (siege.register("alice@example.com"), siege.register("bob@example.com"));
    tokens::forged(&siege, &alice, &bob);
    tokens::claimed(&siege);
    tokens::shown_wrongly(&siege, &alice);
    sessions::spent_and_ended(&siege, &bob);
    sessions::of_other_tenants(&siege, &alice, &bob);
    sessions::without_a_second_factor(&siege, &alice);
    sessions::bound_to_a_key(&siege);
    wallets::replayed_and_misled(&siege);
    assert_eq!(siege.show(&[bearer(&alice.access)]).status, 200, "alice is let in after all of it");
    siege.ground.assert_whole();
    if cut == Cut::Each {
        sessions::in_the_dark(&mut siege, &alice);
    }
    let repelled = siege.repelled.borrow();
    let mut distinct = repelled.clone();
    distinct.sort();
    distinct.dedup();
    println!("{} attacks repelled on {engines:?} in {cut:?}", repelled.len());
    assert!(distinct.len() == repelled.len() && repelled.len() >= 60, "{}", repelled.len());
}

/// One who signed in.
#[derive(Clone)]
struct Person {
    access: String,
    refresh: String,
    tenant: String,
    session: String,
}

impl Person {
    fn of(reply: &Value) -> Self {
        let text = |name: &str| reply[name].as_str().unwrap_or_else(|| panic!("{name} in {reply}")).to_owned();
        Self {
            access: text("access_token"),
            refresh: text("refresh_token"),
            tenant: text("tenant"),
            session: text("session_id"),
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

impl Siege {
    /// The process that is asked: where each service has its own, it is not the one with the identities.
    fn edge(&self) -> &str {
        self.ground.nodes[0].public()
    }

    fn ask(&self, method: &str, path: &str, headers: &[String], body: &Value) -> Reply {
        let mut all = vec!["Content-Type: application/json".to_owned()];
        all.extend_from_slice(headers);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        http(method, self.edge(), path, &all, &body).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &[], body)
    }

    /// A form, as clients of OAuth 2.0 send it.
    fn form(&self, path: &str, headers: &[String], fields: &[(&str, &str)]) -> Reply {
        let encode = |text: &str| -> String {
            text.bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
                    _ => format!("%{byte:02X}"),
                })
                .collect()
        };
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let mut all = vec!["Content-Type: application/x-www-form-urlencoded".to_owned()];
        all.extend_from_slice(headers);
        http("POST", self.edge(), path, &all, &body.join("&")).unwrap()
    }

    fn show(&self, headers: &[String]) -> Reply {
        self.ask("GET", DOOR, headers, &Value::Null)
    }

    fn register(&self, email: &str) -> Person {
        Person::of(&ok(&self.post("/v1/auth/register", &json!({ "email": email, "password": PASSWORD }))))
    }

    fn login(&self, email: &str) -> Person {
        Person::of(&ok(&self.post("/v1/auth/login", &json!({ "email": email, "password": PASSWORD }))))
    }

    /// Notes an attack that was answered as it should be.
    #[track_caller]
    fn repelled(&self, what: &str, reply: &Reply, status: u16, code: &str) {
        let body = reply.json().unwrap_or_default();
        assert_eq!(
            (reply.status, body["code"].as_str()),
            (status, Some(code)),
            "{what}: {}\n{}",
            reply.head,
            reply.body
        );
        if status == 401 {
            assert!(reply.header("www-authenticate").is_some(), "{what}: {}", reply.head);
        }
        self.repelled.borrow_mut().push(what.to_owned());
    }

    /// A forged or spent token in the place of a good one.
    #[track_caller]
    fn repels(&self, what: &str, token: &str, status: u16, code: &str) {
        let reply = self.show(&[bearer(token)]);
        assert!(!reply.body.contains(token), "{what}: a credential is never said back");
        self.repelled(what, &reply, status, code);
    }
}
