use std::{path::Path, process::Output};

use nsl_sandbox::{Launch, nsl_command};
use serde_json::{Value, json};

const N3_STRANGER: &str = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
const X_STRANGER: &str = "0x00000000000000000000000000000000000000aa";

fn devnet(data: &Path, arguments: &[&str]) -> Output {
    nsl_command(["--json", "devnet"]).unwrap().args(arguments).arg("--data-dir").arg(data).output().unwrap()
}

fn done(data: &Path, arguments: &[&str]) -> Value {
    let output = devnet(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(data: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = devnet(data, arguments);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Ends the nodes also when the test fails.
struct Guard<'a>(&'a Path);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        devnet(self.0, &["down"]);
    }
}

fn call(url: &str, method: &str, params: &Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let reply = nsl_sandbox::http("POST", url, "/", &["Content-Type: application/json".to_owned()], &body).unwrap();
    reply.json().unwrap()["result"].clone()
}

#[test]
fn nodes_of_both_chains_are_up_funded_and_down_by_one_command_each() {
    let room = tempfile::tempdir().unwrap();
    let data = room.path().join("data");
    let _guard = Guard(&data);
    let (code, said) = refused(&data, &["status"]);
    assert_eq!(code, Some(5), "{said}");

    let up = done(&data, &["up", "--n3-block-time", "100"]);
    let (n3, x) = (up["n3"]["rpc"].as_str().unwrap(), up["x"]["rpc"].as_str().unwrap());
    assert_eq!((&up["n3"]["magic"], &up["x"]["chain_id"]), (&json!(1230), &json!(12_227_332)));
    let accounts = up["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 14);
    for account in accounts {
        assert!(account["address"].is_string() && account["key"].is_string() && account["chain"].is_string());
    }
    assert_eq!(call(n3, "getversion", &json!([]))["protocol"]["network"], 1230);
    assert_eq!(call(x, "eth_chainId", &json!([])), "0xba9304");
    assert_eq!(done(&data, &["up"]), up, "a second up finds them");

    let funded = done(&data, &["fund", N3_STRANGER, "12.5", "--chain", "neo-n3"]);
    assert!(funded["tx"].as_str().unwrap().starts_with("0x"), "{funded}");
    done(&data, &["fund", N3_STRANGER, "3", "--chain", "neo-n3", "--token", "neo"]);
    done(&data, &["fund", X_STRANGER, "0.5", "--chain", "neo-x"]);
    let balances = call(n3, "getnep17balances", &json!([N3_STRANGER]))["balance"].to_string();
    assert!(balances.contains("\"1250000000\"") && balances.contains("\"3\""), "{balances}");
    assert_eq!(call(x, "eth_getBalance", &json!([X_STRANGER, "latest"])), "0x6f05b59d3b20000");
    for (arguments, code) in [
        (&["fund", N3_STRANGER, "0.000000001", "--chain", "neo-n3"][..], 2),
        (&["fund", X_STRANGER, "1", "--chain", "neo-x", "--token", "neo"], 2),
        (&["fund", "nobody", "1", "--chain", "neo-n3"], 1),
        (&["fund", N3_STRANGER, "1", "--chain", "neo-x"], 1),
        (&["up", "--n3-magic", "7"], 1),
    ] {
        let (found, said) = refused(&data, arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
    }

    let status = done(&data, &["status"]);
    assert_eq!((&status["n3"]["state"], &status["x"]["state"]), (&json!("answers"), &json!("answers")));
    let pid = up["n3"]["pid"].to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let (code, said) = refused(&data, &["status"]);
    assert_eq!(code, Some(5));
    for account in accounts {
        assert!(!said.contains(account["key"].as_str().unwrap()), "keys stay off standard error");
    }
    let again = done(&data, &["up"]);
    assert_eq!((&again["n3"]["rpc"], &again["x"], &again["accounts"]), (&up["n3"]["rpc"], &up["x"], &up["accounts"]));
    assert_ne!(again["n3"]["pid"], up["n3"]["pid"]);

    let down = done(&data, &["down"]);
    assert_eq!(down, json!({ "n3": { "ended": again["n3"]["pid"] }, "x": { "ended": up["x"]["pid"] } }));
    assert_eq!(done(&data, &["down"]), json!({ "n3": { "ended": null }, "x": { "ended": null } }));
    let (code, said) = refused(&data, &["fund", X_STRANGER, "1", "--chain", "neo-x"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("nsl devnet up"), "{said}");
}

#[test]
fn a_development_server_brings_its_nodes_and_leaves_them() {
    let room = tempfile::tempdir().unwrap();
    let data = room.path().join("data");
    let _guard = Guard(&data);
    let nsl = Launch::dev_in(&data).unwrap().arg("--devnet").start().unwrap();
    let status = done(&data, &["status"]);
    let said: Value = nsl
        .output()
        .lines()
        .find_map(|line| {
            let ready: Value = serde_json::from_str(line).ok()?;
            ready.get("devnet").cloned()
        })
        .unwrap();
    for (node, field) in [("n3", "rpc"), ("n3", "magic"), ("n3", "pid"), ("x", "rpc"), ("x", "chain_id"), ("x", "pid")]
    {
        assert_eq!(said[node][field], status[node][field]);
    }
    let (code, said) = refused(&data, &["down", "--forget"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("an nsl dev or another command works on"), "{said}");
    assert_eq!(done(&data, &["status"]), status, "nothing was ended");
    assert!(nsl.terminate().unwrap().success());
    done(&data, &["status"]);
    let again = Launch::dev_in(&data).unwrap().arg("--devnet").start().unwrap();
    assert_eq!(done(&data, &["status"]), status, "the next one finds them");
    assert!(again.terminate().unwrap().success());
    assert_eq!(done(&data, &["down", "--forget"])["n3"]["ended"], status["n3"]["pid"]);
}

#[test]
fn without_downloads_it_says_what_to_do_and_exits_5() {
    let room = tempfile::tempdir().unwrap();
    let mut command = nsl_command(["devnet", "up", "--data-dir"]).unwrap();
    let output = command
        .arg(room.path().join("data"))
        .env("XDG_CACHE_HOME", room.path().join("cache"))
        .env("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
        .env("npm_config_registry", "http://127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot download neo-go 0.120.0; set PIP_INDEX_URL to a registry"), "{said}");
    assert!(said.contains("cannot download anvil 1.7.1; set npm_config_registry to a registry"), "{said}");
}
