use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use nsl_sandbox::{Database, Launch, Nsl, PgBouncer, Ready, Redis, Reply, S3, Vhost, free_port, http, nsl_command};
use serde_json::{Value, json};

/// What the platform stands on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Engines {
    Embedded,
    /// PostgreSQL, Redis, RabbitMQ and S3.
    Real,
    /// PostgreSQL behind PgBouncer in transaction mode, and with a second URL for reads.
    Pooled,
}

/// How the services are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    One,
    /// One process a service.
    Each,
    /// Two processes that each run everything.
    Pair,
}

pub(crate) const SERVICES: [&str; 5] = ["audit", "identity", "storage", "relay", "contracts"];

/// A running platform.
pub(crate) struct Ground {
    pub(crate) nodes: Vec<Nsl>,
    pub(crate) tenant: String,
    pub(crate) key: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) database: Option<Database>,
    next: AtomicUsize,
    _pooler: Option<PgBouncer>,
    _redis: Option<Redis>,
    _vhost: Option<Vhost>,
    _blobs: Option<S3>,
    _home: tempfile::TempDir,
}

/// Limits so high that only tests of limits meet them.
pub(crate) fn unlimited() -> Vec<(String, String)> {
    [
        ("NSL_LIMITS__GENERAL_PER_MINUTE", "1000000"),
        ("NSL_LIMITS__KEYS_PER_MINUTE", "1000000"),
        ("NSL_LIMITS__ANONYMOUS_PER_MINUTE", "1000000"),
        ("NSL_LIMITS__AUTH_PER_15_MINUTES", "1000000"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

pub(crate) fn with(launch: Launch, environment: &[(String, String)]) -> Launch {
    environment.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
}

/// `nsl dev` on SQLite, or on a database.
pub(crate) fn dev(database: Option<&Database>) -> Launch {
    let launch = with(Launch::dev().unwrap(), &unlimited());
    match database {
        Some(database) => launch.env("DATABASE_URL", database.url()),
        None => launch,
    }
}

/// A place of each SQL engine for `nsl dev`.
pub(crate) fn both() -> [Option<Database>; 2] {
    [None, Some(Database::fresh().unwrap())]
}

impl Ground {
    pub(crate) fn start(engines: Engines, cut: Cut, more: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let mut environment = unlimited();
        let mut set = |name: &str, value: String| environment.push((name.to_owned(), value));
        set("NSL_PROFILE", "development".into());
        set("NSL_DATA_DIR", data.to_str().unwrap().into());
        let (mut database, mut pooler, mut redis, mut vhost, mut blobs) = (None, None, None, None, None);
        if engines == Engines::Pooled {
            let sql = database.insert(Database::fresh().unwrap());
            set("DATABASE_URL", pooler.insert(PgBouncer::start(sql, 8).unwrap()).url());
            set("NSL_SQL__PGBOUNCER", "true".into());
            set("NSL_SQL__READ_ONLY_URL", pooler.as_ref().unwrap().url());
        }
        if engines == Engines::Real {
            let sql = database.insert(Database::fresh().unwrap());
            set("DATABASE_URL", sql.url());
            set("REDIS_URL", redis.insert(Redis::start().unwrap()).url());
            set("NSL_CACHE__ENGINE", "redis".into());
            set("NSL_LIMITS__ENGINE", "redis".into());
            set("RABBITMQ_URL", vhost.insert(Vhost::fresh().unwrap()).url());
            let store = blobs.insert(S3::start().unwrap());
            set("NSL_BLOBS__URL", format!("s3://{}/nsl", S3::BUCKET));
            set("NSL_BLOBS__ENDPOINT", store.endpoint());
            set("NSL_BLOBS__REGION", S3::REGION.into());
            set("NSL_BLOBS__ACCESS_KEY", S3::ACCESS_KEY.into());
            set("NSL_BLOBS__SECRET_KEY", S3::SECRET_KEY.into());
        }
        for (name, value) in more {
            set(name, (*value).to_owned());
        }
        let nodes = match cut {
            Cut::One => vec![serve(&SERVICES, &[], &environment)],
            Cut::Pair => (0..2).map(|_| serve(&SERVICES, &[], &environment)).collect(),
            Cut::Each => {
                let ports = SERVICES.map(|_| free_port().unwrap());
                let peers: Vec<_> = SERVICES.into_iter().zip(ports).collect();
                SERVICES.iter().map(|name| serve(&[name], &peers, &environment)).collect()
            }
        };
        let (tenant, key) = make_tenant(&environment);
        Self {
            nodes,
            tenant,
            key,
            environment,
            database,
            next: AtomicUsize::new(0),
            _pooler: pooler,
            _redis: redis,
            _vhost: vhost,
            _blobs: blobs,
            _home: home,
        }
    }

    /// One request with the first tenant's key, to one process after the other.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.ask_as(&self.key, method, path, &[], body)
    }

    pub(crate) fn ask_as(&self, key: &str, method: &str, path: &str, more: &[&str], body: &Value) -> Reply {
        let node = self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len();
        let mut headers = vec![format!("Authorization: Bearer {key}"), "Content-Type: application/json".to_owned()];
        headers.extend(more.iter().map(|header| (*header).to_owned()));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        http(method, self.nodes[node].public(), path, &headers, &body).unwrap()
    }

    /// As `ask`, for what must be answered 2xx; gives the JSON.
    pub(crate) fn get(&self, path: &str) -> Value {
        ok(&self.ask("GET", path, &Value::Null))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        ok(&self.ask("POST", path, body))
    }

    /// A key of the same tenant.
    pub(crate) fn make_key(&self, subject: Option<&str>, scopes: &[&str]) -> String {
        let mut body = json!({ "name": "made", "scopes": scopes });
        if let Some(subject) = subject {
            body["subject"] = json!(subject);
        }
        self.post("/v1/identity/keys", &body)["secret"].as_str().unwrap().to_owned()
    }

    pub(crate) fn assert_whole(&self) {
        let verdict = self.post("/v1/audit/verify", &Value::Null);
        assert_eq!(verdict["whole"], json!(true), "{verdict}");
    }
}

fn serve(services: &[&str], peers: &[(&str, u16)], environment: &[(String, String)]) -> Nsl {
    let internal = peers.iter().find(|(name, _)| services == [*name]).map(|(_, port)| *port);
    let ports = [free_port().unwrap(), internal.unwrap_or_else(|| free_port().unwrap()), free_port().unwrap()];
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let ready =
        Ready { public: url(ports[0]), internal: url(ports[1]), ops: url(ports[2]), tenant: None, api_key: None };
    let services = services.join(",");
    let mut launch = with(Launch::serve(["serve", "--migrate", "--services", &services], ready).unwrap(), environment);
    for (name, port) in ["PUBLIC", "INTERNAL", "OPS"].iter().zip(ports) {
        launch = launch.env(&format!("NSL_{name}__ADDRESS"), format!("127.0.0.1:{port}"));
    }
    for (name, port) in peers.iter().filter(|(name, _)| *name != services) {
        launch = launch.env(&format!("NSL_PEERS__{}", name.to_ascii_uppercase()), url(*port));
    }
    launch.start().unwrap()
}

/// Makes a tenant by the command line and gives its id and key.
pub(crate) fn make_tenant(environment: &[(String, String)]) -> (String, String) {
    let mut command = nsl_command(["tenant", "create", "acme", "--json"]).unwrap();
    let output = command.envs(environment.iter().cloned()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    (made["tenant"].as_str().unwrap().to_owned(), made["key"]["secret"].as_str().unwrap().to_owned())
}

/// The environment in which commands work on what a `dev` process runs on.
pub(crate) fn beside(nsl: &Nsl, database: Option<&Database>) -> Vec<(String, String)> {
    let mut environment = vec![
        ("NSL_PROFILE".to_owned(), "development".to_owned()),
        ("NSL_DATA_DIR".to_owned(), nsl.directory().to_str().unwrap().to_owned()),
    ];
    environment.extend(database.map(|database| ("DATABASE_URL".to_owned(), database.url())));
    environment
}

/// The verdict of `nsl audit verify` on a directory and, where there is one, a database.
pub(crate) fn verifies(directory: &Path, database: Option<&Database>) -> bool {
    let mut command = nsl_command(["audit", "verify", "--data-dir"]).unwrap();
    command.arg(directory).env("NSL_PROFILE", "development");
    if let Some(database) = database {
        command.env("DATABASE_URL", database.url());
    }
    let output = command.output().unwrap();
    if !output.status.success() {
        eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

pub(crate) fn ok(reply: &Reply) -> Value {
    assert!((200..300).contains(&reply.status), "{}\n{}", reply.head, reply.body);
    if reply.body.is_empty() { Value::Null } else { reply.json().unwrap() }
}

/// Asserts a problem (RFC 9457) of this status and code.
#[track_caller]
pub(crate) fn problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}\n{}", reply.head, reply.body);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", reply.head);
    let body = reply.json().unwrap();
    assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)), "{body}");
    if matches!(status, 429 | 503) {
        let wait = reply.header("retry-after").unwrap().parse::<u64>().unwrap();
        assert!(wait >= 1, "{}", reply.head);
    }
}

pub(crate) fn put(nsl: &Nsl, key: &str, value: &Value, encrypted: bool) -> Reply {
    let body = json!({ "key": key, "value": value, "encrypted": encrypted }).to_string();
    nsl.request("POST", "/v1/storage/store/neo-n3", &body).unwrap()
}

pub(crate) fn get(nsl: &Nsl, key: &str) -> Reply {
    nsl.request("GET", &format!("/v1/storage/retrieve/neo-n3/{key}"), "").unwrap()
}
