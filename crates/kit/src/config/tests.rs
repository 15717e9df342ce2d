use std::{fs, path::Path, time::Duration};

use nsl_core::Secret;
use serde::Deserialize;

use super::*;

const SMALL: &str = r#"
profile = "development"
services = []
[sql]
url = ""
[http]
max_headers = 100
idle_timeout_ms = 75000
ratio = 0.5
[log]
level = "info"
verbose = false
[rpc]
peer_keys = []
[storage]
api_token = ""
[peers]
"*" = []
[limits.classes."*"]
rate = 10
burst = 1
"#;

#[derive(Debug, Deserialize)]
struct Small {
    services: Vec<String>,
    http: Http,
    log: Log,
    peers: std::collections::BTreeMap<String, Vec<String>>,
    limits: Limits,
    storage: Storage,
}

#[derive(Debug, Deserialize)]
struct Http {
    max_headers: u16,
    #[serde(rename = "idle_timeout_ms", deserialize_with = "millis")]
    idle_timeout: Duration,
    ratio: f64,
}

#[derive(Debug, Deserialize)]
struct Log {
    level: Level,
    verbose: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Level {
    Info,
    Debug,
}

#[derive(Debug, Deserialize)]
struct Limits {
    classes: std::collections::BTreeMap<String, Class>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Class {
    rate: u32,
    burst: u32,
}

#[derive(Debug, Deserialize)]
struct Storage {
    api_token: Secret,
}

impl Check for Small {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        if profile.is_production() && self.storage.api_token.is_empty() {
            mistakes.add("storage.api_token", "production needs one");
        }
        mistakes.within("http", |mistakes| {
            if self.http.idle_timeout.is_zero() {
                mistakes.add("idle_timeout_ms", "is at least 1");
            }
        });
    }
}

fn file(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("nsl.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "services = [\"storage\"]\n[http]\nmax_headers = 1\nratio = 1\n");
    let loader =
        || Loader::new(SMALL).preset("http.max_headers", "7", "nsl dev").preset("log.verbose", "true", "nsl dev");
    let loaded = loader().load::<Small>().unwrap();
    assert_eq!((loaded.value.http.max_headers, loaded.value.log.verbose), (7, true));
    let loaded = loader().file(Some(&path)).load::<Small>().unwrap();
    assert_eq!((loaded.value.http.max_headers, loaded.value.http.ratio), (1, 1.0));
    let environment: Environment =
        [("NSL_HTTP__MAX_HEADERS", "2"), ("NSL_SERVICES", "a, b"), ("OTHER", "x")].into_iter().collect();
    let layered = || loader().file(Some(&path)).environment(environment.clone());
    let loaded = layered().load::<Small>().unwrap();
    assert_eq!((loaded.value.http.max_headers, &loaded.value.services), (2, &vec!["a".to_owned(), "b".to_owned()]));
    let loaded = layered().flags(["http.max_headers=3", "services=[\"c\"]"]).load::<Small>().unwrap();
    assert_eq!((loaded.value.http.max_headers, &loaded.value.services), (3, &vec!["c".to_owned()]));

    let origin = |path: &str| {
        let all = loaded.settings();
        all.into_iter().find(|setting| setting.path == path).unwrap().origin.to_string()
    };
    assert_eq!(origin("http.max_headers"), "--set http.max_headers");
    assert_eq!(origin("http.ratio"), format!("{}:4", path.display()));
    assert_eq!(origin("log.verbose"), "nsl dev");
    assert_eq!(origin("log.level"), "default");
}

#[test]
fn five_mistakes_are_all_named_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[http]\nmax_haeders = 5\nmax_headers = \"many\"\n\n[log]\nlevel = \"loud\"\n";
    let path = file(folder.path(), text);
    let environment: Environment = [
        ("NSL_HTTP__IDLE_TIMEOUT_MS", "soon"),
        ("NSL_PROFILE", "production"),
        ("NSL_STORAGE__API_TOKEN_FILE", "/nowhere"),
    ]
    .into_iter()
    .collect();
    let mistakes = Loader::new(SMALL)
        .file(Some(&path))
        .environment(environment)
        .flags(["http.ratio=high", "log=x"])
        .load::<Small>()
        .unwrap_err();
    let said = mistakes.to_string();
    let at = path.display();
    for part in [
        format!("{at}:2: http.max_haeders: no such setting; did you mean http.max_headers?"),
        format!("{at}:3: http.max_headers: wants a whole number, got text"),
        format!("{at}:6: log.level: unknown variant `loud`, expected `info` or `debug`"),
        "NSL_HTTP__IDLE_TIMEOUT_MS: http.idle_timeout_ms: wants a whole number, not \"soon\"".to_owned(),
        "NSL_STORAGE__API_TOKEN_FILE: storage.api_token: cannot read /nowhere".to_owned(),
        "--set http.ratio: http.ratio: wants a number, not \"high\"".to_owned(),
        "--set log: log: wants a table of settings, got text".to_owned(),
        "storage.api_token: production needs one".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}\nis missing in\n{said}");
    }
    assert!(said.starts_with("8 mistakes"), "{said}");
}

#[test]
fn a_flattened_section_blames_the_right_setting() {
    #[derive(Debug, Deserialize)]
    struct Whole {
        #[serde(rename = "http")]
        _http: Flat,
    }
    #[derive(Debug, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        _inner: Inner,
    }
    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "max_headers")]
        _max_headers: u8,
        #[serde(rename = "idle_timeout_ms")]
        _idle: u32,
    }
    impl Check for Whole {
        fn check(&self, _: Profile, _: &mut Mistakes) {}
    }
    let flags = ["http.idle_timeout_ms=5", "http.max_headers=300", "http.ratio=2"];
    let said = Loader::new(SMALL).flags(flags).load::<Whole>().unwrap_err().to_string();
    assert!(said.starts_with("1 mistake ") && said.contains("--set http.max_headers: http.max_headers: "), "{said}");
}

#[test]
fn broken_toml_and_a_missing_file_are_mistakes_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "[http]\nmax_headers = = 3\n");
    let said = Loader::new(SMALL).file(Some(&path)).flags(["nope=1", "x"]).load::<Small>().unwrap_err().to_string();
    assert!(said.contains("nsl.toml:2: not valid TOML"), "{said}");
    assert!(
        said.contains("--set nope: nope: no such setting") && said.contains("--set x: wants section.key=value"),
        "{said}"
    );
    let said = Loader::new(SMALL).file(Some("/nowhere.toml")).load::<Small>().unwrap_err().to_string();
    assert!(said.contains("cannot read the configuration file /nowhere.toml"), "{said}");
}

#[test]
fn open_tables_take_new_names_typed_by_their_template() {
    let environment: Environment =
        [("NSL_PEERS__STORAGE", "http://a:9090,http://b:9090"), ("NSL_LIMITS__CLASSES__SLOW__RATE", "3")]
            .into_iter()
            .collect();
    let loaded = Loader::new(SMALL).environment(environment).load::<Small>().unwrap();
    assert_eq!(loaded.value.peers["storage"], ["http://a:9090", "http://b:9090"]);
    assert_eq!(loaded.value.limits.classes["slow"], Class { rate: 3, burst: 1 }, "the rest comes from the template");
    let said = Loader::new(SMALL).flags(["limits.classes.slow.rat=3"]).load::<Small>().unwrap_err().to_string();
    assert!(said.contains("did you mean"), "{said}");
}

#[test]
fn seed_names_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    fs::write(&secret, "hunter2\n").unwrap();
    let environment: Environment = [
        ("DATABASE_URL", "postgres://nsl@db/nsl".to_owned()),
        ("DB_PASSWORD_FILE", secret.display().to_string()),
        ("NEO_N3_RPC_URL", "http://n3".to_owned()),
        ("NSL_SERVICE_HOST", "10.0.0.1".to_owned()),
        ("NSL_URL", "http://x".to_owned()),
        ("NSL_VECTORS", "/data/of/tests".to_owned()),
    ]
    .into_iter()
    .collect();
    let loaded = Loader::new(SMALL).environment(environment).load::<Small>().unwrap();
    assert_eq!(loaded.tree.text("sql.url"), Some("postgres://nsl:hunter2@db/nsl"));
    let shown = loaded.settings().into_iter().find(|setting| setting.path == "sql.url").unwrap();
    assert_eq!(shown.shown, "\"postgres://nsl:[secret]@db/nsl\"");
    assert_eq!(shown.origin.to_string(), "DATABASE_URL");

    let environment: Environment = [
        ("IAS_API_KEY", "x"),
        ("DATABASE_URL", "postgres://a"),
        ("DATABASE_CONNECTION", "postgres://b"),
        ("SGX_DEBUG", "1"),
        ("NSL_PROFILE", "production"),
        ("NSL_STORAGE__API_TOKEN", "t"),
        ("NSL_STORAGE__API_TOKEN_FILE", "/x"),
    ]
    .into_iter()
    .collect();
    let said = Loader::new(SMALL).environment(environment).load::<Small>().unwrap_err().to_string();
    assert!(said.contains("IAS_API_KEY: EPID attestation") && said.contains("only DCAP"), "{said}");
    assert!(said.contains("says something else than DATABASE_URL"), "{said}");
    assert!(said.contains("SGX_DEBUG: an enclave that can be debugged"), "{said}");
    assert!(said.contains("set by this and by NSL_STORAGE__API_TOKEN too"), "{said}");
    assert!(said.starts_with("4 mistakes"), "{said}");
}

#[test]
fn a_named_redis_is_used_unless_something_else_was_chosen() {
    #[derive(Deserialize)]
    struct Engines {
        cache: Engine,
        limits: Engine,
    }
    #[derive(Deserialize)]
    struct Engine {
        engine: String,
    }
    impl Check for Engines {
        fn check(&self, _: Profile, _: &mut Mistakes) {}
    }
    let environment: Environment =
        [("REDIS_URL", "redis://cache"), ("REDIS_PASSWORD", "9f2c77aa41d0")].into_iter().collect();
    let loaded = Loader::default().environment(environment).flags(["limits.engine=memory"]).load::<Engines>().unwrap();
    assert_eq!((loaded.value.cache.engine.as_str(), loaded.value.limits.engine.as_str()), ("redis", "memory"));
    assert_eq!(loaded.tree.text("redis.url"), Some("redis://:9f2c77aa41d0@cache"));
}

#[test]
fn secrets_are_never_shown() {
    let environment: Environment =
        [("NSL_STORAGE__API_TOKEN", "hunter2"), ("NSL_RPC__PEER_KEYS", "hunter3,hunter4")].into_iter().collect();
    let loaded = Loader::new(SMALL).environment(environment).load::<Small>().unwrap();
    assert_eq!(loaded.value.storage.api_token.expose(), b"hunter2");
    let shown = format!("{:?} {loaded:?}", loaded.settings());
    assert!(shown.contains("[secret]") && !shown.contains("hunter"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn live_settings_change_and_the_rest_waits_for_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "[log]\nlevel = \"info\"\n");
    let loader = Loader::new(SMALL).file(Some(&path));
    let watch = Watch::new(loader.clone(), loader.load::<Small>().unwrap(), &["log.level", "limits.*"]);
    let tasks = crate::Tasks::new();
    let mut changes = watch.changes();
    watch.follow(&tasks);
    tokio::time::sleep(Duration::from_millis(10)).await;
    file(folder.path(), "[http]\nmax_headers = 5\n[log]\nlevel = \"debug\"\n[limits.classes.slow]\nrate = 2\n");
    changes.changed().await.unwrap();
    let current = watch.current();
    assert_eq!(current.value.log.level, Level::Debug);
    assert_eq!(current.value.limits.classes["slow"], Class { rate: 2, burst: 1 });
    assert_eq!(current.value.http.max_headers, 100, "that one needs a restart");
    assert_eq!(watch.reload().unwrap(), Reloaded { taken: vec![], need_restart: vec!["http.max_headers".into()] });

    file(folder.path(), "[log]\nlevel = \"loud\"\n[limits.classes.slow]\nrate = 9\n");
    assert!(watch.reload().is_err());
    assert_eq!(watch.current().value.limits.classes["slow"].rate, 2, "with a mistake everything stays");

    file(folder.path(), "[http]\nmax_headers = 5\n");
    assert_eq!(watch.reload().unwrap().taken, ["limits.classes.slow.burst", "limits.classes.slow.rate", "log.level"]);
    assert!(watch.current().value.limits.classes.is_empty());
    assert!(tasks.drain(Duration::from_secs(1)).await.is_empty());
}

#[tokio::test]
async fn a_rotated_secret_file_is_taken_at_sighup() {
    use rustix::process::{Signal, getpid, kill_process};

    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "first").unwrap();
    let environment: Environment = [("NSL_STORAGE__API_TOKEN_FILE", token.display().to_string())].into_iter().collect();
    let loader = Loader::new(SMALL).environment(environment);
    let watch = Watch::new(loader.clone(), loader.load::<Small>().unwrap(), &["storage"]);
    let (tasks, mut changes) = (crate::Tasks::new(), watch.changes());
    watch.follow(&tasks);
    // Until the handler stands, the signal would end the process.
    let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).unwrap();
    fs::write(&token, "second").unwrap();
    loop {
        kill_process(getpid(), Signal::HUP).unwrap();
        let soon = tokio::time::timeout(Duration::from_millis(50), changes.changed());
        if soon.await.is_ok() {
            break;
        }
    }
    assert_eq!(watch.current().value.storage.api_token.expose(), b"second");
    assert!(tasks.drain(Duration::from_secs(1)).await.is_empty());
}

#[test]
fn the_reference_reads_into_the_sections_of_this_crate() {
    use crate::settings::{
        HttpSettings, ListenerSettings, LogSettings, RedirectSettings, ShutdownSettings, TelemetrySettings,
    };

    #[derive(Deserialize)]
    struct Ours {
        public: ListenerSettings,
        internal: ListenerSettings,
        ops: ListenerSettings,
        redirect: RedirectSettings,
        http: HttpSettings,
        log: LogSettings,
        telemetry: TelemetrySettings,
        shutdown: ShutdownSettings,
    }

    impl Check for Ours {
        fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
            mistakes.within("public", |mistakes| {
                self.public.check(profile, mistakes);
                self.public.check_exposed(profile, mistakes);
            });
            mistakes.within("internal", |mistakes| self.internal.check(profile, mistakes));
            mistakes.within("ops", |mistakes| self.ops.check(profile, mistakes));
            mistakes.within("http", |mistakes| self.http.check(profile, mistakes));
            mistakes.within("log", |mistakes| self.log.check(profile, mistakes));
            mistakes.within("telemetry", |mistakes| self.telemetry.check(profile, mistakes));
            mistakes.within("shutdown", |mistakes| self.shutdown.check(profile, mistakes));
            assert!(self.redirect.address.is_none());
        }
    }

    let said = Loader::default().load::<Ours>().map(drop).unwrap_err().to_string();
    assert!(said.starts_with("1 mistake in") && said.contains("public.tls.mode: production refuses"), "{said}");
    let loaded = Loader::default().flags(["public.tls.mode=upstream"]).load::<Ours>().unwrap();
    assert_eq!(loaded.value.public.address.port(), 8080);
    assert_eq!(loaded.value.shutdown.drain, Duration::from_secs(8));
    let said = Loader::default()
        .flags([
            "public.tls.mode=files",
            "public.tls.cert=/nowhere",
            "shutdown.notice_ms=5000",
            "log.level=loud",
            "http.trusted_proxies=10.0.0.0/99",
        ])
        .load::<Ours>()
        .map(drop)
        .unwrap_err();
    assert!(said.to_string().contains("http.trusted_proxies: wants an address or a network"), "{said}");
}
