//! A running platform that knows its address, on each SQL engine, whole and cut in two.

use std::net::TcpListener;

use nsl_sandbox::{Database, Launch, Nsl, Ready, Reply, free_port, http};
use serde_json::{Value, json};

use crate::provider::{CLIENT, Provider, SECRET};

pub(crate) struct Ground {
    nodes: Vec<Nsl>,
    /// As browsers write it: passkeys are for names.
    pub(crate) origin: String,
    _database: Option<Database>,
    _home: tempfile::TempDir,
}

/// The providers of the platform's, by their names there.
pub(crate) type Providers<'a> = &'a mut [(&'static str, &'a mut Provider)];

/// Runs a test on SQLite in one process, and on PostgreSQL with identity apart from the edge.
pub(crate) fn each(test: impl Fn(&Ground, &mut Provider)) {
    for split in [false, true] {
        let mut provider = Provider::start();
        let ground = Ground::start(split, &mut [("corp", &mut provider)], &[]);
        test(&ground, &mut provider);
    }
}

/// How a caller is known.
#[derive(Clone, Copy)]
pub(crate) enum As<'a> {
    Nobody,
    Token(&'a str),
    Cookie(&'a str),
}

impl Ground {
    pub(crate) fn start(split: bool, providers: Providers<'_>, more: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let database = split.then(|| Database::fresh().unwrap());
        let port = free_port().unwrap();
        let origin = format!("http://localhost:{port}");
        let mut environment = vec![
            ("NSL_PROFILE".to_owned(), "development".to_owned()),
            ("NSL_DATA_DIR".to_owned(), home.path().join("data").to_str().unwrap().to_owned()),
            ("NSL_IDENTITY__PUBLIC_URL".to_owned(), origin.clone()),
            ("NSL_IDENTITY__FEDERATION__PRIVATE_ADDRESSES".to_owned(), "true".to_owned()),
        ];
        for limit in ["GENERAL_PER_MINUTE", "KEYS_PER_MINUTE", "ANONYMOUS_PER_MINUTE", "AUTH_PER_15_MINUTES"] {
            environment.push((format!("NSL_LIMITS__{limit}"), "1000000".to_owned()));
        }
        if let Some(database) = &database {
            environment.push(("DATABASE_URL".to_owned(), database.url()));
        }
        for (name, provider) in providers {
            let issuer = provider.open(&[format!("{origin}/signin/callback/{name}")], &origin);
            let client =
                [("ISSUER", issuer.as_str()), ("CLIENT_ID", CLIENT), ("CLIENT_SECRET", SECRET), ("SIGN_UP", "true")];
            for (setting, value) in client {
                let name = name.to_ascii_uppercase();
                environment.push((format!("NSL_IDENTITY__FEDERATION__{name}__{setting}"), value.to_owned()));
            }
        }
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let nodes = match split {
            false => {
                vec![serve("audit,identity,storage,relay,contracts", port, free_port().unwrap(), &[], &environment)]
            }
            true => {
                let [identity, others] = [free_port().unwrap(), free_port().unwrap()];
                let around = ["audit", "storage", "relay", "contracts"];
                let beside: Vec<_> = around.iter().map(|name| (*name, others)).collect();
                vec![
                    serve("identity", free_port().unwrap(), identity, &beside, &environment),
                    serve(&around.join(","), port, others, &[("identity", identity)], &environment),
                ]
            }
        };
        Self { nodes, origin, _database: database, _home: home }
    }

    /// One request to the process that faces the public; an empty body for GET and DELETE.
    pub(crate) fn ask(&self, who: As<'_>, method: &str, path: &str, body: &Value) -> Reply {
        let mut headers = vec!["Content-Type: application/json".to_owned()];
        match who {
            As::Nobody => {}
            As::Token(token) => headers.push(format!("Authorization: Bearer {token}")),
            As::Cookie(cookie) => headers.push(format!("Cookie: {cookie}")),
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let public = self.nodes.last().unwrap().public();
        http(method, public, path, &headers, &body).unwrap()
    }

    pub(crate) fn post(&self, who: As<'_>, path: &str, body: &Value) -> Reply {
        self.ask(who, "POST", path, body)
    }

    /// One request with a form for its body, as OAuth has them.
    pub(crate) fn form(&self, path: &str, body: &str) -> Reply {
        let headers = ["Content-Type: application/x-www-form-urlencoded".to_owned()];
        http("POST", self.nodes.last().unwrap().public(), path, &headers, body).unwrap()
    }

    pub(crate) fn get(&self, who: As<'_>, path: &str) -> Value {
        good(&self.ask(who, "GET", path, &Value::Null))
    }

    /// A new person with a password, and their tokens.
    pub(crate) fn register(&self, email: &str) -> Value {
        let body = json!({ "email": email, "password": "a long password of a test" });
        good(&self.post(As::Nobody, "/v1/auth/register", &body))
    }

    /// Who a token speaks for.
    pub(crate) fn subject(&self, tokens: &Value) -> String {
        let who = self.get(As::Token(access(tokens)), "/v1/identity/whoami");
        who["subject"].as_str().unwrap().to_owned()
    }

    pub(crate) fn output(&self) -> String {
        self.nodes.iter().map(Nsl::output).collect()
    }
}

fn serve(services: &str, public: u16, internal: u16, peers: &[(&str, u16)], environment: &[(String, String)]) -> Nsl {
    let ops = free_port().unwrap();
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let ready = Ready { public: url(public), internal: url(internal), ops: url(ops), tenant: None, api_key: None };
    let mut launch = Launch::serve(["serve", "--migrate", "--services", services], ready).unwrap();
    for (name, value) in environment {
        launch = launch.env(name, value);
    }
    for (name, port) in [("PUBLIC", public), ("INTERNAL", internal), ("OPS", ops)] {
        launch = launch.env(&format!("NSL_{name}__ADDRESS"), format!("127.0.0.1:{port}"));
    }
    for (name, port) in peers {
        launch = launch.env(&format!("NSL_PEERS__{}", name.to_ascii_uppercase()), url(*port));
    }
    launch.start().unwrap()
}

pub(crate) fn good(reply: &Reply) -> Value {
    assert!((200..300).contains(&reply.status), "{} {}", reply.status, reply.body);
    reply.json().unwrap()
}

/// The status and the slug of a refusal.
pub(crate) fn refusal(reply: &Reply) -> (u16, String) {
    let body = reply.json().unwrap();
    (reply.status, body["code"].as_str().unwrap_or_else(|| panic!("{}", reply.body)).to_owned())
}

pub(crate) fn access(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap_or_else(|| panic!("no tokens in {tokens}"))
}

/// Somebody who listens on this machine and answers nothing; tells whether anybody came.
pub(crate) fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}
