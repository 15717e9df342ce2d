//! Signing in by the command line, and what is kept of it.
#![expect(clippy::disallowed_methods, reason = "authenticator apps know the real time, and shells the real path")]

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use nsl_sandbox::{Launch, Nsl, eventually, nsl_command};
use serde_json::{Value, json};

const PASSWORD: &str = "a long password of this test";

/// A server, and a room where people keep what they signed in with.
struct Ground {
    server: Nsl,
    room: tempfile::TempDir,
}

/// Somebody at a computer of their own.
struct Person<'a> {
    ground: &'a Ground,
    config: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let launch = Launch::dev().unwrap().env("NSL_LIMITS__AUTH_PER_15_MINUTES", "10000");
        let launch = launch.env("NSL_LIMITS__ANONYMOUS_PER_MINUTE", "10000");
        Self { server: launch.start().unwrap(), room: tempfile::tempdir().unwrap() }
    }

    fn at(&self, computer: &str) -> Person<'_> {
        Person { ground: self, config: self.room.path().join(computer) }
    }

    /// Somebody who made an account.
    fn person(&self, name: &str) -> Person<'_> {
        let person = self.at(name);
        let email = format!("{name}@example.org");
        let login = ["login", "--email", &email, "--register", "--password-stdin"];
        assert_eq!(person.told(&login, PASSWORD).0, 0);
        person
    }
}

impl Person<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = nsl_command(args).unwrap();
        command.env("NSL_URL", self.ground.server.public()).env("XDG_CONFIG_HOME", &self.config);
        command.env("NSL_DATA_DIR", self.ground.room.path().join("none"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// Runs with this on standard input.
    fn told(&self, args: &[&str], input: &str) -> (i32, String, String) {
        let mut child = self.spawn(args);
        // Who is refused early may not read all of it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        ended(child)
    }

    fn run(&self, args: &[&str]) -> (i32, String, String) {
        self.told(args, "")
    }

    fn json(&self, args: &[&str]) -> Value {
        let (code, out, err) = self.run(&[args, &["--json"]].concat());
        assert_eq!(code, 0, "{args:?}: {err}");
        serde_json::from_str(&out).unwrap()
    }

    /// The code of a refusal.
    fn refused(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(&[args, &["--json"]].concat());
        assert!(code != 0, "{args:?}: {out}");
        let problem: Value = serde_json::from_str(&err).unwrap();
        problem["code"].as_str().unwrap_or_else(|| problem["detail"].as_str().unwrap()).to_owned()
    }

    fn file(&self) -> PathBuf {
        self.config.join("nsl").join("credentials.json")
    }

    fn kept(&self) -> Value {
        let whole: Value = serde_json::from_str(&fs::read_to_string(self.file()).unwrap()).unwrap();
        whole["servers"][self.ground.server.public()].clone()
    }

    fn id(&self) -> String {
        self.json(&["whoami"])["subject"].as_str().unwrap().to_owned()
    }

    /// Has the access token look as if it had ended.
    fn grow_old(&self) {
        let mut whole: Value = serde_json::from_str(&fs::read_to_string(self.file()).unwrap()).unwrap();
        whole["servers"][self.ground.server.public()]["expires_at"] = "2026-01-01T00:00:00Z".into();
        fs::write(self.file(), whole.to_string()).unwrap();
    }
}

fn ended(child: Child) -> (i32, String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What an authenticator app shows now (RFC 6238).
fn code_of(secret: &str) -> String {
    let mut bits = 0u64;
    let (mut held, mut key) = (0, Vec::new());
    for letter in secret.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).unwrap();
        bits = (bits << 5) | value as u64;
        held += 5;
        if held >= 8 {
            held -= 8;
            key.push((bits >> held) as u8);
        }
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &(now / 30).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let word = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// How long it took until this held.
fn within(what: &str, holds: impl FnMut() -> bool) -> Duration {
    let (began, mut holds) = (Instant::now(), holds);
    eventually(what, 10, || Ok(holds())).unwrap();
    began.elapsed()
}

#[test]
fn a_sign_in_is_kept_for_its_user_alone_until_it_is_ended() {
    let ground = Ground::new();
    let ada = ground.person("ada");
    let who = ada.json(&["whoami"]);
    assert!(
        who["subject"].as_str().unwrap().starts_with("usr_") && who["session"].as_str().unwrap().starts_with("ses_")
    );
    for (path, mode) in [(ada.file(), 0o600), (ada.file().parent().unwrap().to_owned(), 0o700)] {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode, "{}", path.display());
    }
    assert!(ada.json(&["storage", "put", "a", "1"])["version"] == 1);
    // A key that is named wins, and what the data directory of a server left does not.
    let by_key = ada.command(&["whoami", "--json"]).env("NSL_API_KEY", ground.server.api_key()).output().unwrap();
    let by_key: Value = serde_json::from_slice(&by_key.stdout).unwrap();
    assert_eq!((&by_key["kind"], by_key["tenant"] == who["tenant"]), (&json!("api_key"), false));
    let own = ada.command(&["whoami", "--json"]).env("NSL_DATA_DIR", ground.server.directory()).output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&own.stdout).unwrap()["subject"], who["subject"]);

    fs::set_permissions(ada.file(), fs::Permissions::from_mode(0o640)).unwrap();
    let (code, _, err) = ada.run(&["whoami"]);
    assert!(code == 1 && err.contains("chmod 600"), "{code} {err}");
    fs::set_permissions(ada.file(), fs::Permissions::from_mode(0o600)).unwrap();

    let kept = ada.kept();
    assert_eq!(ada.json(&["logout"])["signed_out"], true);
    assert_eq!((ada.kept(), ada.json(&["logout"])["signed_out"].clone()), (Value::Null, json!(false)));
    assert_eq!(ada.refused(&["whoami"]), "auth.missing");
    // The server was told: what somebody copied from the file is worth nothing either.
    let eve = ground.at("eve");
    fs::create_dir_all(eve.file().parent().unwrap()).unwrap();
    let copy = json!({ "servers": { ground.server.public(): kept } });
    let took = within("the end of what was copied", || {
        fs::write(eve.file(), copy.to_string()).unwrap();
        fs::set_permissions(eve.file(), fs::Permissions::from_mode(0o600)).unwrap();
        eve.run(&["whoami"]).0 == 4
    });
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_device_is_let_in_by_somebody_who_is_signed_in() {
    let ground = Ground::new();
    let (ada, device) = (ground.person("ada"), ground.at("device"));
    let shown = |login: &mut Child| -> Value {
        let mut line = String::new();
        let mut lines = std::io::BufReader::new(login.stderr.take().unwrap());
        std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let mut login = device.spawn(&["login", "--json"]);
    let asked = shown(&mut login);
    let page = asked["verification_uri"].as_str().unwrap();
    assert_eq!(page, format!("{}/device", ground.server.public()));
    let code = asked["user_code"].as_str().unwrap();
    // Without a terminal nobody can compare what asks, so it has to be said.
    let (exit, _, err) = ada.run(&["sessions", "approve", &code.to_lowercase()]);
    assert!(exit == 2 && err.contains("--yes") || exit == 1, "{err}");
    assert_eq!(ada.json(&["sessions", "approve", &code.to_lowercase(), "--yes"])["state"], "approved");
    let (exit, out, _) = ended(login);
    let done: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, &done["tenant"]), (0, &ada.json(&["whoami"])["tenant"]));
    assert_eq!(device.id(), ada.id());
    assert!(!ada.run(&["sessions", "approve", code, "--yes"]).0.eq(&0), "a code is good once");
    // A key that it makes is its person's, and does not end with the token.
    let key = device.json(&["keys", "create", "ci", "--scope", "storage:read"]);
    assert_eq!((&key["owner"], &key["expires_at"]), (&json!(ada.id()), &Value::Null));

    let sessions = ada.json(&["sessions", "list"]);
    let theirs = device.json(&["whoami"])["session"].clone();
    assert!(sessions["items"].as_array().unwrap().iter().any(|session| session["id"] == theirs), "{sessions}");
    assert_eq!(ada.json(&["sessions", "end", "--others"])["ended"], 1);
    let took = within("the end of the device", || device.run(&["whoami"]).0 == 4);
    assert!(took < Duration::from_secs(2), "{took:?}");
    // Nor does it go on as somebody else, by the key that the server left.
    for _ in 0..2 {
        let next = device.command(&["whoami"]).env("NSL_DATA_DIR", ground.server.directory()).output().unwrap();
        let said = String::from_utf8(next.stderr).unwrap();
        assert!(next.status.code() == Some(4) && said.contains("has ended"), "{said}");
    }

    let mut refused = device.spawn(&["login", "--json"]);
    let asked = shown(&mut refused);
    assert_eq!(ada.run(&["sessions", "deny", asked["user_code"].as_str().unwrap()]).0, 0);
    assert_eq!((ended(refused).0, device.kept()["refresh_token"].clone()), (4, Value::Null));
    device.json(&["logout"]);
    assert_eq!(device.kept(), Value::Null);
    let next = device.command(&["whoami", "--json"]).env("NSL_DATA_DIR", ground.server.directory()).output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&next.stdout).unwrap()["kind"], "api_key");
}

#[test]
fn commands_side_by_side_renew_a_sign_in_once() {
    let ground = Ground::new();
    let ada = ground.person("ada");
    for _ in 0..3 {
        let before = ada.kept();
        ada.grow_old();
        let all: Vec<Child> = (0..8).map(|_| ada.spawn(&["whoami", "--json"])).collect();
        let credentials: Vec<Value> = all
            .into_iter()
            .map(|child| {
                let (code, out, err) = ended(child);
                assert_eq!(code, 0, "{err}");
                serde_json::from_str::<Value>(&out).unwrap()["credential"].clone()
            })
            .collect();
        assert!(credentials.iter().all(|credential| *credential == credentials[0]), "{credentials:?}");
        let after = ada.kept();
        assert!(before["refresh_token"] != after["refresh_token"] && before["session_id"] == after["session_id"]);
    }
    // A command that was killed before it could write down the answer spends nothing: the next one gets the same.
    let before = fs::read_to_string(ada.file()).unwrap();
    ada.grow_old();
    let old = fs::read_to_string(ada.file()).unwrap();
    assert_eq!(ada.run(&["whoami"]).0, 0);
    let next = ada.kept()["refresh_token"].clone();
    fs::write(ada.file(), &old).unwrap();
    assert_eq!(ada.run(&["whoami"]).0, 0);
    assert_eq!(ada.kept()["refresh_token"], next);
    // Whoever shows a spent one in another way ends the session, and the next command says what to do.
    let spent: Value = serde_json::from_str(&before).unwrap();
    let spent = &spent["servers"][ground.server.public()]["refresh_token"];
    let reply = ground.server.request("POST", "/v1/auth/refresh", &json!({ "refresh_token": spent }).to_string());
    assert_eq!(reply.unwrap().status, 401);
    ada.grow_old();
    let (code, _, err) = ada.run(&["whoami"]);
    assert!(code == 4 && err.contains("nsl login --url"), "{code} {err}");
    assert_eq!(ada.kept()["refresh_token"], Value::Null);
}

#[test]
fn a_second_factor_is_set_up_asked_for_and_shown_again() {
    let ground = Ground::new();
    let ada = ground.person("ada");
    let policy = ground.room.path().join("policy");
    fs::write(&policy, "forbid(principal, action == Action::\"storage:write\", resource);").unwrap();
    let put = ["access", "policies", "put", "closed", policy.to_str().unwrap()];
    assert_eq!(ada.refused(&put), "auth.step_up");

    let mut enrol = ada.spawn(&["mfa", "enrol", "--stdin", "--json"]);
    let mut stdin = enrol.stdin.take().unwrap();
    writeln!(stdin, "{PASSWORD}").unwrap();
    let mut said = String::new();
    let mut lines = std::io::BufReader::new(enrol.stderr.take().unwrap());
    let seed = loop {
        assert!(std::io::BufRead::read_line(&mut lines, &mut said).unwrap() > 0, "{said}");
        if let Some((_, rest)) = said.split_once("secret=") {
            break rest.split('&').next().unwrap().to_owned();
        }
    };
    writeln!(stdin, "{}", code_of(&seed)).unwrap();
    drop(stdin);
    let (code, out, _) = ended(enrol);
    assert_eq!(code, 0);
    let codes: Value = serde_json::from_str(&out).unwrap();
    let codes: Vec<&str> = codes["recovery_codes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(codes.len(), 10);

    let login = ["login", "--email", "ada@example.org", "--password-stdin"];
    let next = ground.at("next");
    assert_eq!(next.told(&login, PASSWORD).0, 2, "the code is asked for");
    assert_eq!(next.told(&login, &format!("{PASSWORD}\n000000\n")).0, 4);
    assert_eq!(next.told(&login, &format!("{PASSWORD}\n{}\n", codes[0])).0, 0);
    assert_eq!(next.told(&login, &format!("{PASSWORD}\n{}\n", codes[0])).0, 4, "a recovery code is good once");
    assert_eq!(ada.told(&["mfa", "step-up", "--stdin"], codes[1]).0, 0);
    assert_eq!(ada.json(&put)["saved"], true);
    let (code, _, err) = ada.run(&["access", "explain", "storage:write"]);
    assert!(code == 4 && err.contains("may not storage:write") && err.contains("closed"), "{err}");
    assert_eq!(ada.run(&["access", "explain", "storage:read"]).0, 0);
}

#[test]
fn keys_keep_to_their_networks_and_to_what_their_owner_may_within_a_second() {
    let ground = Ground::new();
    let (ada, bob) = (ground.person("ada"), ground.person("bob"));
    let tenant = ada.json(&["whoami"])["tenant"].as_str().unwrap().to_owned();
    let invite = ada.json(&["users", "invite", "--role", "developer"]);
    assert_eq!(bob.told(&["users", "accept", "--token-stdin"], invite["token"].as_str().unwrap()).0, 0);
    let login = ["login", "--email", "bob@example.org", "--password-stdin", "--tenant", &tenant];
    assert_eq!(bob.told(&login, PASSWORD).0, 0);
    let key = bob.json(&["keys", "create", "ci", "--scope", "storage:read,storage:write", "--network", "192.0.2.0/24"]);
    let (id, bob_id) = (key["id"].as_str().unwrap(), bob.id());
    let with = |secret: &Value, args: &[&str]| {
        let output = bob.command(args).env("NSL_API_KEY", secret.as_str().unwrap()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let put = |secret: &Value| with(secret, &["storage", "put", "a", "1"]);
    let (code, err) = put(&key["secret"]);
    assert!(code == 4 && err.contains("auth.network"), "{err}");
    assert_eq!(bob.json(&["keys", "update", id, "--network", "127.0.0.0/8"])["networks"], json!(["127.0.0.0/8"]));
    assert_eq!(put(&key["secret"]).0, 0);
    let fresh = bob.json(&["keys", "rotate", id, "--overlap", "600"]);
    assert_eq!((put(&key["secret"]).0, put(&fresh["secret"]).0), (0, 0));
    assert_eq!(bob.refused(&["keys", "rotate", id, "--overlap", "600"]), "identity.rotation_open");
    let last = bob.json(&["keys", "rotate", id, "--overlap", "0"]);
    assert_eq!((put(&key["secret"]).0, put(&fresh["secret"]).0, put(&last["secret"]).0), (4, 4, 0));

    assert_eq!(ada.run(&["members", "set", &bob_id, "--role", "viewer"]).0, 0);
    let took = within("the smaller role", || put(&last["secret"]).1.contains("auth.scope_missing"));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(with(&last["secret"], &["storage", "get", "a"]).0, 0);
    assert_eq!(ada.run(&["users", "suspend", &bob_id]).0, 0);
    let took =
        within("the suspension", || with(&last["secret"], &["storage", "get", "a"]).1.contains("auth.key_unknown"));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(ada.run(&["users", "resume", &bob_id]).0, 0);
    // What was revoked stays so: whoever comes back makes a new key.
    assert_eq!(ada.run(&["members", "set", &bob_id, "--role", "developer"]).0, 0);
    assert!(with(&last["secret"], &["storage", "get", "a"]).1.contains("auth.key_unknown"));
    assert_eq!(bob.told(&login, PASSWORD).0, 0);
    let again = bob.json(&["keys", "create", "again", "--scope", "storage:read"]);
    assert_eq!(with(&again["secret"], &["storage", "get", "a"]).0, 0);
    assert_eq!(ada.run(&["members", "remove", &bob_id]).0, 0);
    let took =
        within("the removal", || with(&again["secret"], &["storage", "get", "a"]).1.contains("auth.key_unknown"));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn wallets_of_both_chains_sign_in_and_only_where_they_were_asked_to() {
    let ground = Ground::new();
    for (chain, secret) in [
        ("neo-x", "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
        ("neo-n3", "KxDgvEKzgSBPPfuVfw67oPQBSjidEiqTHURKSDL1R7yGaGYAeYnr"),
    ] {
        let (one, other) = (ground.at(&format!("{chain}-1")), ground.at(&format!("{chain}-2")));
        let login = ["login", "--wallet", chain, "--account", "-"];
        for person in [&one, &other] {
            let (code, out, err) = person.told(&login, secret);
            assert_eq!(code, 0, "{err}");
            assert!(!out.contains(secret) && !err.contains(secret));
        }
        assert_eq!(one.id(), other.id());
        assert!(!fs::read_to_string(one.file()).unwrap().contains(secret));
        let (code, _, err) = one.told(&login, "nonsense");
        assert!(code == 2 && !err.contains("nonsense"), "{err}");
    }
}

#[test]
fn no_secret_is_an_argument_or_is_said_aloud() {
    let ground = Ground::new();
    let ada = ground.at("ada");
    let mut login = ada.spawn(&["login", "--email", "ada@example.org", "--register", "--password-stdin"]);
    let seen = || fs::read_to_string(format!("/proc/{}/cmdline", login.id())).unwrap();
    within("the start of the command", || seen().contains("--password-stdin"));
    assert!(!seen().contains(PASSWORD));
    login.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    let (code, out, err) = ended(login);
    assert_eq!(code, 0, "{err}");
    let kept = ada.kept();
    for secret in [PASSWORD, kept["access_token"].as_str().unwrap(), kept["refresh_token"].as_str().unwrap()] {
        assert!(!out.contains(secret) && !err.contains(secret));
    }
    for command in
        ["login", "logout", "whoami", "sessions", "users", "members", "roles", "clients", "keys", "access", "mfa"]
    {
        let help =
            nsl_command([command, "--help"]).unwrap().env("NSL_API_KEY", "nsl_of_the_environment").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(!help.contains("nsl_of_the_environment"), "{help}");
        assert!(!help.contains("--password ") && !help.contains("--token ") && !help.contains("--secret "), "{help}");
    }
    // A key that is none is neither kept nor repeated.
    let wrong = format!("nsl_{}", "B".repeat(43));
    let (code, out, err) = ada.told(&["login", "--key", "-"], &wrong);
    assert!(code == 4 && !out.contains(&wrong) && !err.contains(&wrong), "{err}");
    assert_eq!(ada.kept()["kind"], "session");
    let (code, out, err) = ada.told(&["login", "--key", "-"], ground.server.api_key());
    assert!(code == 0 && !out.contains(ground.server.api_key()), "{err}");
    assert_eq!(ada.json(&["whoami"])["kind"], "api_key");
    // Nobody is asked to send a password in the clear.
    let (code, _, err) =
        ada.told(&["login", "--url", "http://192.0.2.1", "--email", "a@example.org", "--password-stdin"], "x");
    assert!(code == 2 && err.contains("https://"), "{err}");
}

#[test]
fn the_lines_of_the_readme_work_as_printed() {
    const README: &str = include_str!("../../../../README.md");
    let ground = Ground::new();
    let page = README.split("## Sign in five ways").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    // Two lines ask at a terminal; the alias stands for the program that is in the path here.
    let at_terminal = |line: &&str| !line.starts_with("nsl mfa ") && !line.starts_with("alias ");
    let lines: Vec<&str> = blocks.flat_map(str::lines).filter(at_terminal).collect();
    assert!(lines.len() >= 15 && lines.iter().any(|line| line.contains("client_credentials")), "{lines:?}");
    let script = lines.join("\n").replace("http://127.0.0.1:8080", ground.server.public());
    let strict = "set -euo pipefail; curl() { command curl -sS --fail-with-body \"$@\"; }\n";
    let program = nsl_sandbox::nsl_program().unwrap();
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("{strict}{script}")]).current_dir(ground.room.path()).env("PATH", path);
    shell.env("XDG_CONFIG_HOME", ground.room.path().join("reader")).env_remove("NSL_API_KEY");
    let output = shell.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.matches("signed in at").count(), 3, "{out}");
    assert!(out.contains("\"refresh_token\":\"nsr_"), "{out}");
    let machine: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!((&machine["token_type"], &machine["scope"]), (&json!("Bearer"), &json!("storage:read")));
}
