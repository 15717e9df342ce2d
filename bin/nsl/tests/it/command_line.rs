use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use nsl_sandbox::{Launch, Nsl, nsl_command};
use serde_json::{Value, json};

fn command(nsl: &Nsl, args: &[&str]) -> Command {
    let mut command = nsl_command(args).unwrap();
    command.env("NSL_DATA_DIR", nsl.directory());
    command
}

fn run(nsl: &Nsl, args: &[&str]) -> (i32, String, String) {
    said(command(nsl, args).output().unwrap())
}

fn said(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_value_goes_its_whole_way_by_commands_alone() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    let done = |args: &[&str]| {
        let (code, out, err) = run(&nsl, args);
        assert_eq!(code, 0, "{args:?}: {err}");
        out
    };
    assert_eq!(done(&["storage", "put", "a", r#"{"n": 1.10}"#, "--encrypted"]), "stored a as version 1\n");
    assert_eq!(
        done(&["storage", "put", "a", "--text", "plain \"text\"", "--if-version", "1"]),
        "stored a as version 2\n"
    );
    assert_eq!(done(&["storage", "get", "a"]), "\"plain \\\"text\\\"\"\n");
    assert_eq!(done(&["storage", "get", "a", "--version", "1"]), "{\"n\": 1.10}\n", "byte for byte");
    let whole: Value = serde_json::from_str(&done(&["--json", "storage", "get", "a"])).unwrap();
    assert_eq!((&whole["key"], &whole["version"], &whole["value"]), (&json!("a"), &json!(2), &json!("plain \"text\"")));
    assert!(done(&["storage", "history", "a"]).lines().nth(1).unwrap().starts_with("2 "));
    assert_eq!(done(&["storage", "restore", "a", "1"]), "restored a from 1 as version 3\n");
    assert_eq!(done(&["storage", "amend", "a", "--access", "tenant"]), "amended a as version 4\n");
    assert!(done(&["storage", "list"]).contains("tenant"));
    assert!(done(&["storage", "usage"]).contains("items"));
    assert_eq!(done(&["storage", "delete", "a", "--if-version", "4"]), "deleted a as version 5\n");
    assert!(done(&["audit", "search", "--event-type", "storage.value_deleted"]).contains("storage.value_deleted"));
    assert!(done(&["audit", "verify"]).starts_with("whole: "));
    assert!(done(&["health"]).starts_with("Healthy"));

    let mut piped = command(&nsl, &["storage", "put", "piped", "--file", "-"]);
    let mut child = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"[1,2]\n").unwrap();
    assert_eq!(said(child.wait_with_output().unwrap()).1, "stored piped as version 1\n");
    assert_eq!(done(&["storage", "get", "piped"]), "[1,2]\n");
}

#[test]
fn exit_codes_tell_apart_what_a_script_must() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    let code = |args: &[&str]| run(&nsl, args).0;
    assert_eq!(code(&["storage", "put", "a", "1"]), 0);
    assert_eq!(code(&["storage", "frobnicate"]), 2);
    assert_eq!(code(&["storage", "put", "a", "not json"]), 2);
    assert_eq!(code(&["storage", "put", "not a key", "1"]), 2);
    assert_eq!(code(&["storage", "privacy", "erase"]), 2);
    for access in [&[][..], &["--access", "tenant"]] {
        assert_eq!(code(&[&["storage", "put", "a", "1", "--shared-with", "bob"], access].concat()), 2);
        assert_eq!(code(&[&["storage", "amend", "a", "--shared-with", "bob"], access].concat()), 2);
    }
    assert_eq!(code(&["storage", "amend", "a", "--shared-with", "bob", "--access", "shared"]), 0);
    assert_eq!(code(&["apikey", "create", "reader", "--scope", "storage:raed"]), 2);
    assert_eq!(code(&["storage", "get", "none"]), 3);
    assert_eq!(code(&["apikey", "revoke", "key_none"]), 3);
    assert_eq!(code(&["storage", "put", "a", "2", "--if-version", "7"]), 4);
    let unknown = format!("nsl_{}", "A".repeat(43));
    assert_eq!(said(command(&nsl, &["storage", "get", "a"]).env("NSL_API_KEY", &unknown).output().unwrap()).0, 4);
    let nowhere = command(&nsl, &["storage", "get", "a", "--url", "http://127.0.0.1:9"]).output().unwrap();
    let (code, out, err) = said(nowhere);
    assert_eq!((code, out.as_str()), (5, ""), "{err}");

    let (code, out, err) = run(&nsl, &["storage", "get", "none", "--json"]);
    let problem: Value = serde_json::from_str(&err).unwrap();
    assert_eq!((code, out.as_str(), &problem["code"]), (3, "", &json!("storage.not_found")));
}

#[test]
fn a_finished_request_of_a_person_shows_its_receipt_or_its_parts() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    assert_eq!(run(&nsl, &["storage", "put", "a", "1"]).0, 0);
    for (asked, shown) in [(&["export"][..], "parts      1\n"), (&["erase", "--yes"], "Ed25519")] {
        let (code, out, err) = run(&nsl, &[&["--json", "storage", "privacy"], asked].concat());
        assert_eq!(code, 0, "{err}");
        let request: Value = serde_json::from_str(&out).unwrap();
        let mut said = String::new();
        let done = nsl_sandbox::eventually("the end of the request", 30, || {
            said = run(&nsl, &["storage", "privacy", "show", request["id"].as_str().unwrap()]).1;
            Ok(said.contains("completed"))
        });
        assert!(done.is_ok() && said.contains(shown), "{shown} in {said}");
    }
}

#[test]
fn a_narrow_key_from_a_file_does_what_it_may_and_no_more() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    let (code, made, err) = run(&nsl, &["apikey", "create", "reader", "--scope", "storage:read", "--json"]);
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("key");
    std::fs::write(&file, format!("{}\n", made["secret"].as_str().unwrap())).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(run(&nsl, &["storage", "put", "a", "1"]).0, 0);
    assert_eq!(run(&nsl, &["storage", "get", "a", "--api-key-file", file]).1, "1\n");
    let (code, _, err) = run(&nsl, &["storage", "put", "a", "2", "--api-key-file", file]);
    assert_eq!(code, 4);
    assert!(err.contains("storage:write"), "{err}");
    let (code, _, err) = run(&nsl, &["apikey", "create", "more", "--scope", "*", "--api-key-file", file]);
    assert_eq!(code, 4, "{err}");
    let (_, who, _) = run(&nsl, &["apikey", "whoami", "--api-key-file", file]);
    assert!(who.contains("storage:read"), "{who}");
}

#[test]
fn what_needs_no_server_works_without_one() {
    let lone = |args: &[&str]| said(nsl_command(args).unwrap().output().unwrap());
    let (code, out, _) = lone(&["completions", "bash"]);
    assert!(code == 0 && out.contains("_nsl"));
    let (code, out, _) = lone(&["openapi"]);
    let openapi: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &openapi["openapi"]), (0, &json!("3.1.0")));
    for path in ["/v1/storage/store/{chain}", "/v1/identity/keys", "/v1/audit/verify"] {
        assert!(openapi["paths"][path].is_object(), "{path}");
    }
    let (code, out, _) = lone(&["--help"]);
    assert!(code == 0 && out.contains("Exit codes:"));
    let (code, _, err) = lone(&["audit", "verify", "--data-dir", "/nonexistent/nsl"]);
    assert!(code == 3 && err.contains("no database"), "{code} {err}");
}

#[test]
fn an_audit_trail_that_was_touched_is_found_out() {
    let nsl = Launch::dev().unwrap().start().unwrap();
    for number in 0..5 {
        assert_eq!(run(&nsl, &["storage", "put", "a", &number.to_string()]).0, 0);
    }
    assert!(nsl.terminate().unwrap().success());
    assert_eq!(run(&nsl, &["audit", "verify"]).0, 0);
    let db = rusqlite::Connection::open(nsl.directory().join("nsl.db")).unwrap();
    let changed = db.execute("UPDATE audit_logs SET user_address = 'somebody' WHERE sequence = 3", []).unwrap();
    assert!(changed > 0);
    drop(db);
    let (code, out, err) = run(&nsl, &["audit", "verify", "--json"]);
    let verdict: Value = serde_json::from_str(&err).unwrap();
    assert_eq!((code, out.as_str(), &verdict["whole"]), (1, "", &json!(false)));
    assert!(verdict["faults"][0].as_str().unwrap().contains("was changed"), "{verdict}");
}
