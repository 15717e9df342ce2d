//! Transactions and contracts by commands alone, on real nodes of both chains.

use std::{path::Path, process::Output};

use nsl_sandbox::{Launch, nsl_command};
use serde_json::{Value, json};
use tempfile::TempDir;

const CONTRACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts");
pub(crate) const STRANGER: &str = "0x00000000000000000000000000000000000000aa";

/// A data directory with nodes beside it, which end also when the test fails.
pub(crate) struct Desk(pub(crate) TempDir);

impl Drop for Desk {
    fn drop(&mut self) {
        self.output(&["devnet", "down"]);
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.json(&["devnet", "up", "--n3-block-time", "100"]);
        desk
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        nsl_command(args).unwrap().env("NSL_DATA_DIR", self.data()).output().unwrap()
    }

    pub(crate) fn said(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.said(&[args, &["--json"]].concat())).unwrap()
    }

    /// How it ended, and what it said of that.
    pub(crate) fn refused(&self, args: &[&str]) -> (i32, String) {
        let output = self.output(args);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    pub(crate) fn deploy(&self, chain: &str, contract: &str) -> String {
        let [nef, manifest, artefact] = [("n3", "nef"), ("n3", "manifest.json"), ("x", "json")]
            .map(|(chain, ending)| file(chain, contract, ending));
        let files: &[&str] = if chain == "neo-n3" { &[&nef, &manifest] } else { &[&artefact] };
        let done = self.json(&[&["contract", "deploy", chain], files, &["--wait"]].concat());
        assert!(done["tx"].as_str().unwrap().starts_with("0x"), "{done}");
        done["hash"].as_str().unwrap().to_owned()
    }
}

/// `store` is `Store` on Neo X.
fn file(chain: &str, contract: &str, ending: &str) -> String {
    let name = match chain {
        "n3" => contract.to_owned(),
        _ => contract.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect(),
    };
    format!("{CONTRACTS}/{chain}/{name}.{ending}")
}

#[test]
fn a_contract_is_deployed_invoked_and_called_without_a_server() {
    let desk = Desk::new();
    for (chain, got) in [
        ("neo-n3", json!({ "stack": [{ "type": "ByteString", "value": "AP8=" }] })),
        ("neo-x", json!({ "stack": ["0x00ff"] })),
    ] {
        let hash = desk.deploy(chain, "store");
        let done = desk.json(&["contract", "invoke", chain, &hash, "put", "greeting", "0x00ff", "--wait"]);
        assert_eq!(done["state"], "final");
        assert_eq!(done["tx"].as_str().unwrap().len(), 66);
        assert_eq!(desk.json(&["contract", "call", chain, &hash, "get", "greeting"]), got);
        desk.json(&["contract", "invoke", chain, &hash, "put", "n", "-5", "--wait"]);
        let events = desk.json(&["contract", "events", chain, &hash, "--name", "Put"]);
        assert_eq!(events["items"].as_array().unwrap().len(), 2, "{events}");
        assert_eq!(events["items"][0]["tx"], done["tx"]);
    }
}

#[test]
fn commands_without_a_server_wait_for_each_other() {
    let desk = Desk::new();
    let hash = desk.deploy("neo-n3", "store");
    let put = |key: &str| desk.json(&["contract", "invoke", "neo-n3", &hash, "put", key, "1", "--wait"]);
    std::thread::scope(|scope| {
        let all = ["a", "b", "c", "d"].map(|key| scope.spawn(move || put(key)));
        assert!(all.into_iter().all(|one| one.join().unwrap()["state"] == "final"));
    });
}

#[test]
fn a_contract_that_says_no_is_told_with_its_reason() {
    let desk = Desk::new();
    let _server = Launch::dev_in(&desk.data()).unwrap().start().unwrap();
    let n3 = desk.deploy("neo-n3", "faulty");
    let x = desk.deploy("neo-x", "faulty");
    for (call, reason) in [
        (&["neo-n3", &n3, "throw", "oops"][..], "unhandled exception: \"oops\""),
        (&["neo-n3", &n3, "abortWith", "no way"], "no way"),
        (&["neo-n3", &n3, "divide", "-1", "0"], "division by zero"),
        (&["neo-x", &x, "requireThat", "false", "because"], "because"),
        (&["neo-x", &x, "refuse", "7", "why"], "Refused(caller: 0x"),
        (&["neo-x", &x, "divide", "1", "0"], "panic 0x12"),
    ] {
        for json in [&[][..], &["--json"]] {
            let (code, said) = desk.refused(&[&["contract", "call"], call, json].concat());
            assert_eq!(code, 1, "{call:?}: {said}");
            assert!(said.replace("\\\"", "\"").contains(reason), "{call:?}: {said}");
            let (code, said) = desk.refused(&[&["contract", "invoke"], call, &["--wait"], json].concat());
            assert_eq!(code, 1, "{call:?}: {said}");
            assert!(said.replace("\\\"", "\"").contains(reason), "{call:?}: {said}");
            assert_eq!(desk.refused(&[&["contract", "simulate"], call, json].concat()).0, 1, "{call:?}");
        }
    }
    let told = desk.refused(&["contract", "invoke", "neo-x", &x, "refuse", "7", "why", "--wait", "--json"]).1;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["state"], &told["explained"]["fault"]["error"]["name"]), (&json!("failed"), &json!("Refused")));
    let explained = desk.said(&["tx", "explain", "neo-x", told["id"].as_str().unwrap()]);
    assert!(explained.contains("REVERT method refuse(uint256,string)"), "{explained}");
    for (args, said) in [
        (&["call", "neo-n3", &n3, "nosuch"][..], "it has"),
        (&["call", "neo-x", &x, "divide", "1"], "arguments"),
        (&["call", "neo-n3", "nothing", "f"], "names no contract"),
        (&["deploy", "neo-n3", "only.nef"], "two files"),
        (&["deploy", "neo-x", "a.json", "--data", "1"], "--data is of neo-n3"),
    ] {
        let (code, told) = desk.refused(&[&["contract"], args].concat());
        assert!(code == 2 && told.contains(said), "{args:?}: {code} {told}");
    }
}

#[test]
fn an_update_is_shown_before_it_is_made() {
    let desk = Desk::new();
    let _server = Launch::dev_in(&desk.data()).unwrap().start().unwrap();
    let n3 = desk.deploy("neo-n3", "store");
    let (nef, manifest) = (file("n3", "store_v2", "nef"), file("n3", "store_v2", "manifest.json"));
    let first = desk.deploy("neo-x", "store");
    let proxy = desk.json(&["contract", "deploy", "neo-x", &file("x", "proxy", "json"), &first, "--wait"]);
    let proxy = proxy["hash"].as_str().unwrap();
    let artefact = file("x", "store_v2", "json");
    let second = desk.deploy("neo-x", "store_v2");
    desk.json(&["contract", "add", "neo-x", proxy, &artefact]);
    for update in [&["neo-n3", &n3, &nef, &manifest][..], &["neo-x", proxy, &artefact, "--implementation", &second]] {
        let (chain, hash) = (update[0], update[1]);
        assert_eq!(version(&desk, chain, hash), "1");
        let (code, said) = desk.refused(&[&["contract", "update"], update].concat());
        assert!(code == 2 && said.contains("append") && said.contains("--yes"), "{said}");
        assert_eq!(version(&desk, chain, hash), "1");
        let done = desk.json(&[&["contract", "update"], update, &["--wait"]].concat());
        assert!(done["differences"]["changes"].to_string().contains("append"), "{done}");
        assert_eq!(version(&desk, chain, hash), "2");
        assert_eq!(desk.json(&["contract", "show", chain, hash])["update"]["state"], "updated");
    }
}

#[test]
fn accounts_budgets_and_sponsors_bound_what_is_sent() {
    let desk = Desk::new();
    let _server = Launch::dev_in(&desk.data()).unwrap().start().unwrap();
    let first = desk.json(&["account", "list", "neo-n3"])["items"][0]["address"].as_str().unwrap().to_owned();
    let known: Value = serde_json::from_str(include_str!("../fixtures/n3.json")).unwrap();
    let known = &known["wallets"][0];
    let wallet = write(desk.0.path(), "wallet.json", &known["nep6"].to_string());
    let passphrase = write(desk.0.path(), "passphrase", known["password"].as_str().unwrap());
    let address = known["nep6"]["accounts"][1]["address"].as_str().unwrap();
    let add = ["account", "add", "neo-n3", "--wallet", &wallet, "--address", address, "--passphrase-file"];
    assert_eq!(desk.refused(&[&add[..], &[&wallet]].concat()).0, 2, "another passphrase");
    assert_eq!(desk.json(&[&add[..], &[&passphrase]].concat())["address"], address);
    let made = desk.json(&["account", "add", "neo-n3", "--label", "second"]);
    let second = made["address"].as_str().unwrap();
    let transfer = ["contract", "invoke", "neo-n3", "gas", "transfer"];
    let (code, said) = desk.refused(&[&transfer[..], &[&first, second, "100000000", "null"]].concat());
    assert!(code == 2 && said.contains(&first) && said.contains(second), "{said}");
    desk.json(&[&transfer[..], &[&first, second, "100000000", "null", "--account", "devnet", "--wait"]].concat());
    assert_eq!(desk.json(&["account", "balance", "neo-n3", second])["gas"], "100000000");

    let back =
        [&transfer[..], &[second, &first, "100000000", "null", "--account", "second", "--sponsor", "devnet"]].concat();
    assert_eq!(desk.refused(&back).0, 3, "it pays for nobody yet");
    let most = ["--per-transaction", "0.5gas", "--per-day", "2gas", "--per-user-per-day", "1gas"];
    desk.json(&[&["account", "sponsor", "set", "devnet", "--allow", "gas=transfer"], &most[..]].concat());
    desk.json(&[&back[..], &["--wait"]].concat());
    assert_eq!(desk.json(&["account", "balance", "neo-n3", second])["gas"], "0", "all of it came back");

    desk.json(&["account", "budget", "set", "neo-n3", "--per-transaction", "0.001gas"]);
    let dear = [&transfer[..], &[&first, second, "1", "null", "--account", "devnet", "--wait"]].concat();
    let (code, said) = desk.refused(&dear);
    assert!(code != 0 && said.contains("budget"), "{said}");
    desk.json(&["account", "budget", "set", "neo-n3", "--unbounded"]);
    desk.json(&dear);
    assert!(desk.said(&["account", "budget", "get", "neo-n3"]).starts_with("one transaction  not bounded\n"));
}

#[test]
fn a_transaction_is_followed_listed_and_taken_back() {
    let desk = Desk::new();
    let _server = Launch::dev_in(&desk.data()).unwrap().start().unwrap();
    let poor = desk.json(&["account", "add", "neo-x", "--label", "poor"]);
    let poor = poor["address"].as_str().unwrap();
    let once =
        ["tx", "send", "neo-x", "--to", poor, "--value", "1", "--account", "devnet", "--idempotency-key", "once"];
    let sent = desk.json(&once);
    let id = sent["id"].as_str().unwrap();
    assert_eq!(desk.json(&once)["id"], id, "the same key is the same transaction");
    assert_eq!(desk.json(&["tx", "wait", "neo-x", id])["state"], "final");
    let states = desk.json(&["tx", "states", "neo-x", id]);
    let states: Vec<&str> =
        states["items"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!((states[0], states[states.len() - 1]), ("accepted", "final"));

    // What nobody can pay for stays open, until it is taken back and there is money to do so.
    let stuck = desk.json(&["tx", "send", "neo-x", "--to", STRANGER, "--account", "poor"]);
    let stuck = stuck["id"].as_str().unwrap();
    let (code, said) = desk.refused(&["tx", "wait", "neo-x", stuck, "--timeout", "1"]);
    assert!(code == 5 && said.contains("not decided yet"), "{said}");
    let open = desk.json(&["tx", "list", "neo-x", "--open"]);
    assert!(open["items"].as_array().unwrap().iter().map(|one| &one["id"]).eq([stuck]), "{open}");
    desk.json(&["tx", "cancel", "neo-x", stuck]);
    desk.json(&["devnet", "fund", poor, "1", "--chain", "neo-x"]);
    let (code, said) = desk.refused(&["tx", "wait", "neo-x", stuck, "--json"]);
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &told["state"]), (1, &json!("replaced")), "{said}");
    assert_eq!(desk.refused(&["tx", "get", "neo-x", "rel_none"]).0, 3);
}

fn version(desk: &Desk, chain: &str, hash: &str) -> String {
    desk.said(&["contract", "call", chain, hash, "version"]).trim().to_owned()
}

fn write(room: &Path, name: &str, content: &str) -> String {
    let file = room.join(name);
    std::fs::write(&file, content).unwrap();
    file.to_str().unwrap().to_owned()
}
