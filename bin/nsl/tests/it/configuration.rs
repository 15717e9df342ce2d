use nsl_sandbox::nsl_command;

fn run(args: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = nsl_command(args).unwrap();
    command.envs(environment.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn five_mistakes_are_named_at_once_with_their_places() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("nsl.toml");
    let text = "[http]\nmax_haeders = 5\nmax_streams = \"many\"\n\n[sql]\nurl = \"mysql://db/nsl\"\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    for command in [vec!["serve"], vec!["config", "check"]] {
        let args = [command, vec!["--config", file, "--set", "quota.items=-1"]].concat();
        let (code, out, err) = run(&args, &[("NSL_LIMITS__GENERAL_PER_MINUTE", "lots")]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        for (path, place) in [
            ("http.max_haeders", "nsl.toml:2"),
            ("http.max_streams", "nsl.toml:3"),
            ("sql.url", "nsl.toml:6"),
            ("quota.items", "--set quota.items"),
            ("limits.general_per_minute", "NSL_LIMITS__GENERAL_PER_MINUTE"),
        ] {
            assert!(
                err.lines().any(|line| line.contains(path) && line.contains(place)),
                "{path} at {place} in:\n{err}"
            );
        }
        assert!(err.contains("did you mean http.max_headers"), "{err}");
    }
}

const SECRETS: [(&str, &str); 4] = [
    ("NSL_SECRETS__ENGINE", "environment"),
    ("NSL_SECRET_ROOT", "7d1f0c9a53be2468ace013579bdf2468"),
    ("NSL_SECRET_AUDIT", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
    ("NSL_SECRET_RECEIPTS", "13579bdf02468ace7d1f0c9a53be2468"),
];

#[test]
fn production_refuses_what_is_only_fit_for_a_desk_and_says_all_of_it_at_once() {
    let bad = [
        ("SGX_DEBUG", "1"),
        ("IAS_API_KEY", "x"),
        ("JWT_SECRET_KEY", "short"),
        ("ALLOWED_ORIGINS", "*"),
        ("DATABASE_URL", "postgres://nsl@db/nsl"),
        ("DB_PASSWORD", "hunter2"),
        ("RABBITMQ_URL", "amqp://guest:guest@mq"),
        ("NSL_LOG__LEVEL", "info,tokio_postgres=debug"),
        ("NSL_SECRETS__ENGINE", "environment"),
        ("NSL_SECRET_AUDIT", "too-short"),
        ("NSL_SECRET_RECEIPTS", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ];
    let (code, _, err) = run(&["config", "check"], &bad);
    assert_eq!(code, 2, "{err}");
    for refused in [
        "public.tls.mode: production refuses a plain listener",
        "cors.allowed_origins: production refuses",
        "SGX_DEBUG: an enclave that can be debugged",
        "only DCAP is supported, remove this variable",
        "JWT_SECRET_KEY: production refuses a key of fewer than 32 bytes",
        "sql.url: production refuses a password that is short",
        "queue.url: production refuses a password that is a default",
        "log.level: production refuses debug logs of tokio_postgres",
        "the secret root is missing: put at least 32 random bytes in NSL_SECRET_ROOT",
        "refuses a secret audit of fewer than 32 bytes",
        "refuses a secret receipts that is not random",
    ] {
        assert!(err.contains(refused), "{refused} in:\n{err}");
    }
    assert!(err.starts_with("nsl: 11 mistakes"), "{err}");
    assert!(!err.contains("hunter2") && !err.contains("too-short"), "{err}");
    // The same before anything is opened.
    let (code, _, served) = run(&["serve"], &bad);
    assert_eq!((code, served), (2, err));
}

#[test]
fn what_production_needs_is_little_and_a_desk_needs_none_of_it() {
    let upstream = [("NSL_PUBLIC__TLS__MODE", "upstream")];
    let known = [
        ("NEO_N3_RPC_URL", "http://127.0.0.1:10332"),
        ("SGX_MODE", "SIM"),
        ("DATABASE_URL", "postgres://nsl@db/nsl"),
        ("DB_PASSWORD", "9f2c77aa41d0"),
        ("NSL_LOG__LEVEL", "info,nsl_storage=debug"),
    ];
    let good = [&upstream[..], &known, &SECRETS].concat();
    let (code, _, err) = run(&["config", "check"], &good);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(&["config", "check", "--set", "log.level=debug"], &good);
    assert!(code == 2 && err.contains("refuses debug logs of everything"), "{err}");
    // Everything but what is retired may be done on a desk.
    let desk =
        [("NSL_PROFILE", "development"), ("SGX_DEBUG", "1"), ("ALLOWED_ORIGINS", "*"), ("NSL_LOG__LEVEL", "debug")];
    let (code, _, err) = run(&["config", "check"], &desk);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = run(&["config", "check"], &[("IAS_API_KEY", "x"), ("NSL_PROFILE", "development")]);
    assert!(code == 2 && err.contains("DCAP"), "{err}");
    // A process that has peers proves itself to them.
    let one = [&good[..], &[("NSL_SERVICES", "storage"), ("NSL_PEERS__AUDIT", "http://a:9090")]].concat();
    let (code, _, err) = run(&["config", "check"], &one);
    assert!(code == 2 && err.contains("the secret peer is missing: put"), "{err}");
    // What peers tell each other does not cross a network in the clear.
    assert!(err.contains("peers.audit: production refuses http:// to another machine"), "{err}");
    let (_, _, err) = run(&["config", "check", "--set", "internal.tls.mode=upstream"], &one);
    assert!(err.contains("the secret peer is missing") && !err.contains("another machine"), "{err}");
    let (_, _, err) = run(&["config", "check", "--set", "peers.audit=http://127.0.0.1:9090"], &one);
    assert!(err.contains("the secret peer is missing") && !err.contains("another machine"), "{err}");
}

#[test]
fn printing_shows_also_what_is_refused_and_says_why() {
    let environment = [("NSL_PUBLIC__TLS__MODE", "plain"), ("DATABASE_URL", "postgres://nsl:hunter2@db/nsl")];
    let args = ["config", "print", "--set", "http.max_haeders=5", "--set", "edge.in_flight=many"];
    let (code, out, err) = run(&args, &environment);
    assert_eq!(code, 1, "{err}");
    for shown in ["public.tls.mode = \"plain\"", "edge.in_flight = ", "sql.url = \"postgres://nsl:[secret]@db/nsl\""] {
        assert!(out.contains(shown), "{shown} in:\n{out}");
    }
    for refused in ["public.tls.mode: production refuses", "http.max_haeders", "edge.in_flight"] {
        assert!(err.contains(refused), "{refused} in:\n{err}");
    }
    let (code, out, err) = run(&[&args[..], &["--json"]].concat(), &environment);
    let (out, err): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&out).unwrap(), serde_json::from_str(&err).unwrap());
    assert_eq!(code, 1);
    assert!(out["settings"].as_array().is_some_and(|all| all.len() > 50), "{out}");
    assert!(err["detail"].as_str().unwrap().contains("public.tls.mode"), "{err}");
    assert!(!out.to_string().contains("hunter2") && !err.to_string().contains("hunter2"));
}

#[test]
fn printing_shows_where_settings_come_from_and_hides_secrets() {
    let environment = [
        ("DATABASE_URL", "postgres://nsl@db/nsl"),
        ("DB_PASSWORD", "hunter2-hunter2"),
        ("NSL_PUBLIC__TLS__MODE", "upstream"),
        ("NSL_BLOBS__SECRET_KEY", "hunter3"),
    ];
    let (code, out, err) = run(&["config", "print"], &environment);
    assert_eq!(code, 0, "{err}");
    assert!(out.lines().any(|line| line.contains("sql.url") && line.contains("DATABASE_URL")), "{out}");
    assert!(!out.contains("hunter"), "{out}");
    let (_, out, _) = run(&["config", "print", "--json"], &environment);
    let printed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(!out.contains("hunter") && printed["settings"].as_array().unwrap().len() > 50);
}

#[test]
fn a_service_or_peer_that_does_not_exist_is_named() {
    let development = [("NSL_PROFILE", "development")];
    let (code, _, err) =
        run(&["serve", "--services", "storage,oracel", "--set", "peers.idntity=http://a:1"], &development);
    assert_eq!(code, 2);
    assert!(
        err.contains("oracel") && err.contains("peers.idntity") && err.contains("audit, identity, storage"),
        "{err}"
    );
}
