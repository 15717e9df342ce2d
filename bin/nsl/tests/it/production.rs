use nsl_sandbox::{Launch, Ready, free_port, http, nsl_command};
use serde_json::{Value, json};

fn ready(ports: [u16; 3]) -> Ready {
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    Ready { public: url(ports[0]), internal: url(ports[1]), ops: url(ports[2]), tenant: None, api_key: None }
}

fn listening(launch: Launch, ports: [u16; 3]) -> Launch {
    ["PUBLIC", "INTERNAL", "OPS"]
        .iter()
        .zip(ports)
        .fold(launch, |launch, (name, port)| launch.env(&format!("NSL_{name}__ADDRESS"), format!("127.0.0.1:{port}")))
}

#[test]
fn production_starts_only_on_secrets_that_somebody_gave_it_and_a_schema_that_fits() {
    let room = tempfile::tempdir().unwrap();
    let data = room.path().join("data");
    let ports = [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()];
    let environment = [
        ("NSL_DATA_DIR".to_owned(), data.to_str().unwrap().to_owned()),
        ("NSL_PUBLIC__TLS__MODE".to_owned(), "upstream".to_owned()),
        ("NSL_SECRETS__ENGINE".to_owned(), "environment".to_owned()),
    ];
    let secrets = ["ROOT", "AUDIT", "PEER", "RECEIPTS"]
        .map(|name| (format!("NSL_SECRET_{name}"), format!("{name}-7d1f0c9a53be2468ace013579bdf2468")));
    let serve = |with_secrets: bool| {
        let launch = Launch::serve(["serve"], ready(ports)).unwrap();
        let launch = environment.iter().fold(listening(launch, ports), |launch, (name, value)| launch.env(name, value));
        let given = secrets.iter().filter(|_| with_secrets);
        given.fold(launch, |launch, (name, value)| launch.env(name, value))
    };
    let (status, said) = serve(false).ends().unwrap();
    assert!(!status.success() && said.contains("root") && said.contains("audit"), "{said}");
    let (status, said) = serve(true).ends().unwrap();
    assert!(!status.success() && said.contains("nsl migrate"), "{said}");

    let run = |args: &[&str]| {
        let mut command = nsl_command(args).unwrap();
        command.envs(environment.iter().cloned()).envs(secrets.iter().cloned());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["migrate"]).contains("applied sql 1"));
    assert!(run(&["migrate"]).contains("up to date"));
    let made: Value = serde_json::from_str(&run(&["tenant", "create", "acme", "--json"])).unwrap();
    let key = made["key"]["secret"].as_str().unwrap().to_owned();
    let listed: Value = serde_json::from_str(&run(&["tenant", "list", "--json"])).unwrap();
    assert_eq!((&listed["items"][0]["tenant"], &listed["items"][0]["name"]), (&made["tenant"], &json!("acme")));
    let shown = run(&["tenant", "list"]);
    assert!(shown.starts_with("TENANT") && shown.contains("acme") && !shown.contains(&key), "{shown}");

    let nsl = serve(true).start().unwrap();
    let headers = [format!("Authorization: Bearer {key}"), "Content-Type: application/json".to_owned()];
    let body = json!({ "key": "k", "value": 1, "encrypted": true }).to_string();
    assert_eq!(http("POST", nsl.public(), "/v1/storage/store/neo-n3", &headers, &body).unwrap().status, 200);
    let shown = nsl.output();
    assert!(!shown.contains(&key) && secrets.iter().all(|(_, value)| !shown.contains(value)), "{shown}");
    assert!(nsl.terminate().unwrap().success());
}

/// Secrets as the guide for operators has them made.
const MAKE_SECRETS: &str = "umask 077; for name in root audit receipts peer; do mkdir -p secrets/$name; \
                            openssl rand -hex 32 > secrets/$name/1; done";

fn made_secrets(room: &std::path::Path) -> String {
    let guide = include_str!("../../../../docs/OPERATIONS.md");
    assert!(
        guide.contains("  mkdir -p secrets/$name\n  openssl rand -hex 32 > secrets/$name/1\n"),
        "the guide changed"
    );
    assert!(std::process::Command::new("sh").args(["-c", MAKE_SECRETS]).current_dir(room).status().unwrap().success());
    room.join("secrets").to_str().unwrap().to_owned()
}

#[test]
fn secrets_as_the_guide_makes_them_sign_receipts_of_erasures() {
    let room = tempfile::tempdir().unwrap();
    let ports = [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()];
    let environment = [
        ("NSL_DATA_DIR".to_owned(), room.path().join("data").to_str().unwrap().to_owned()),
        ("NSL_SECRETS__DIR".to_owned(), made_secrets(room.path())),
    ];
    let run = |args: &[&str]| {
        let mut command = nsl_command(args).unwrap();
        let output = command.envs(environment.iter().cloned()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // What opens no listener asks for none that is fit for production.
    run(&["migrate"]);
    let made: Value = serde_json::from_str(&run(&["tenant", "create", "acme", "--json"])).unwrap();
    assert!(run(&["tenant", "list"]).contains("acme"));
    assert!(run(&["audit", "verify"]).contains("whole"));
    run(&["secrets", "rotate", "root"]);
    let refused = nsl_command(["config", "check"]).unwrap().envs(environment.iter().cloned()).output().unwrap();
    assert!(String::from_utf8(refused.stderr).unwrap().contains("public.tls.mode"));

    let launch =
        listening(Launch::serve(["serve"], ready(ports)).unwrap(), ports).env("NSL_PUBLIC__TLS__MODE", "upstream");
    let nsl = environment.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).start().unwrap();
    let key = format!("Authorization: Bearer {}", made["key"]["secret"].as_str().unwrap());
    let headers = [key, "Content-Type: application/json".to_owned()];
    let body = json!({ "key": "k", "value": 1, "encrypted": true }).to_string();
    assert_eq!(http("POST", nsl.public(), "/v1/storage/store/neo-n3", &headers, &body).unwrap().status, 200);
    let body = json!({ "kind": "erasure" }).to_string();
    let asked = http("POST", nsl.public(), "/v1/storage/privacy/requests", &headers, &body).unwrap();
    assert_eq!(asked.status, 202, "{}", asked.body);
    let path = format!("/v1/storage/privacy/requests/{}", asked.json().unwrap()["id"].as_str().unwrap());
    let mut receipt = Value::Null;
    nsl_sandbox::eventually("the erasure is done", 30, || {
        receipt = http("GET", nsl.public(), &path, &headers, "")?.json()?["receipt"].take();
        Ok(!receipt.is_null())
    })
    .unwrap();
    assert_eq!(nsl_storage::verify_receipt(&receipt).unwrap()["destroyed_keys"].as_array().unwrap().len(), 1);
}

#[test]
fn every_version_of_a_secret_must_be_out_of_reach_of_others() {
    let room = tempfile::tempdir().unwrap();
    let dir = made_secrets(room.path());
    let data = room.path().join("data");
    let run = |args: &[&str], profile: &str| {
        let mut command = nsl_command(args).unwrap();
        command.env("NSL_SECRETS__DIR", &dir).env("NSL_DATA_DIR", &data).env("NSL_PUBLIC__TLS__MODE", "upstream");
        let output = command.env("NSL_PROFILE", profile).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["secrets", "rotate", "root"], "production").0, 0);
    assert_eq!(run(&["config", "check"], "production").0, 0);
    for name in ["root", "audit", "receipts"] {
        let old = std::path::Path::new(&dir).join(name).join("1");
        std::fs::copy(&old, old.with_file_name("2")).unwrap();
        std::fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        for (args, profile) in [
            (&["config", "check"][..], "production"),
            (&["serve", "--migrate"], "production"),
            (&["serve", "--migrate"], "development"),
        ] {
            let (code, said) = run(args, profile);
            assert!(code != 0 && said.contains(&format!("chmod 600 {}", old.display())), "{args:?} {profile}: {said}");
        }
        std::fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    // Too short to sign with: production says so at the check, a desk at the start.
    std::fs::write(std::path::Path::new(&dir).join("receipts/2"), "0123456789abcdef0123456789abcde").unwrap();
    for (args, profile) in [(&["config", "check"][..], "production"), (&["serve", "--migrate"], "development")] {
        let (code, said) = run(args, profile);
        assert!(code != 0 && said.contains("receipts"), "{args:?}: {said}");
    }
}

#[test]
fn a_database_that_is_away_is_told_apart_from_a_mistake() {
    let room = tempfile::tempdir().unwrap();
    for args in [&["migrate"][..], &["audit", "verify"]] {
        let mut command = nsl_command(args).unwrap();
        command.env("NSL_DATA_DIR", room.path()).env("NSL_SECRETS__DIR", made_secrets(room.path()));
        let output = command.env("DATABASE_URL", "postgres://nsl:9f2c77aa41d0@127.0.0.1:9/nsl").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(5), "{args:?}: {said}");
        assert_eq!(
            (said.matches("127.0.0.1:9").count(), said.matches("connecting to server").count()),
            (1, 1),
            "{said}"
        );
        assert!(!said.contains("9f2c77aa41d0"), "{said}");
    }
}

#[test]
fn one_process_a_service_works_as_one_process_does() {
    let room = tempfile::tempdir().unwrap();
    let data = room.path().join("data");
    let data = data.to_str().unwrap();
    let ports = [(); 2].map(|()| [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()]);
    let start = |services: &str, peers: &[(&str, u16)], ports: [u16; 3]| {
        let mut launch = Launch::serve(["serve", "--services", services, "--migrate"], ready(ports)).unwrap();
        launch = listening(launch, ports).env("NSL_PROFILE", "development").env("NSL_DATA_DIR", data);
        for (name, port) in peers {
            let name = format!("NSL_PEERS__{}", name.to_ascii_uppercase());
            launch = launch.env(&name, format!("http://127.0.0.1:{port}"));
        }
        launch.start().unwrap()
    };
    let core = start("audit,identity", &[("storage", ports[1][1])], ports[0]);
    let storage = start("storage", &[("audit", ports[0][1]), ("identity", ports[0][1])], ports[1]);
    let mut create = nsl_command(["tenant", "create", "acme", "--json"]).unwrap();
    let made = create.envs([("NSL_PROFILE", "development"), ("NSL_DATA_DIR", data)]).output().unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let headers = [
        format!("X-API-Key: {}", made["key"]["secret"].as_str().unwrap()),
        "Content-Type: application/json".to_owned(),
    ];
    // Either process shows the whole API: it calls the other for what it does not run.
    for (at, key) in [(&core, "by-core"), (&storage, "by-storage")] {
        let body = json!({ "key": key, "value": { "n": 1 }, "encrypted": true }).to_string();
        let stored = http("POST", at.public(), "/v1/storage/store/neo-n3", &headers, &body).unwrap();
        assert_eq!(stored.status, 200, "{}", stored.body);
    }
    for at in [&core, &storage] {
        for key in ["by-core", "by-storage"] {
            let path = format!("/v1/storage/retrieve/neo-n3/{key}");
            assert_eq!(
                http("GET", at.public(), &path, &headers, "").unwrap().json().unwrap()["value"],
                json!({ "n": 1 })
            );
        }
        let verdict = http("POST", at.public(), "/v1/audit/verify", &headers, "").unwrap().json().unwrap();
        assert_eq!(verdict["whole"], json!(true), "{verdict}");
    }
    assert!(storage.terminate().unwrap().success());
    let lost = http("GET", core.public(), "/v1/storage/retrieve/neo-n3/by-core", &headers, "").unwrap();
    assert_eq!(lost.status, 503, "{}", lost.body);
    assert!(lost.head.to_ascii_lowercase().contains("retry-after"), "{}", lost.head);
    assert_eq!(http("GET", core.public(), "/v1/identity/whoami", &headers, "").unwrap().status, 200);
}

#[test]
fn a_process_that_lacks_what_it_needs_says_so_before_it_listens() {
    let room = tempfile::tempdir().unwrap();
    let mut command = nsl_command(["serve", "--services", "storage", "--migrate"]).unwrap();
    command.envs([("NSL_PROFILE", "development"), ("NSL_DATA_DIR", room.path().to_str().unwrap())]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for name in ["identity", "audit"] {
        assert!(said.contains(&format!("needs {name}: add it to --services or set peers.{name}")), "{said}");
    }
    assert!(!said.contains("listening"), "{said}");
}
