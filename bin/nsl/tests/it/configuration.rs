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

#[test]
fn production_refuses_what_is_only_fit_for_a_desk() {
    let (code, _, err) = run(&["config", "check", "--set", "cors.allowed_origins=*"], &[("SGX_DEBUG", "1")]);
    assert_eq!(code, 2);
    for refused in ["public.tls.mode", "cors.allowed_origins", "SGX_DEBUG"] {
        assert!(err.contains(refused), "{refused} in:\n{err}");
    }
    let (code, _, err) = run(&["config", "check"], &[("IAS_API_KEY", "x"), ("NSL_PROFILE", "development")]);
    assert!(code == 2 && err.contains("DCAP"), "{err}");
    let good =
        [("NSL_PUBLIC__TLS__MODE", "upstream"), ("NEO_N3_RPC_URL", "http://127.0.0.1:10332"), ("SGX_MODE", "SIM")];
    assert_eq!(run(&["config", "check"], &good).0, 0);
}

#[test]
fn printing_shows_where_settings_come_from_and_hides_secrets() {
    let environment = [
        ("DATABASE_URL", "postgres://nsl@db/nsl"),
        ("DB_PASSWORD", "hunter2"),
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
