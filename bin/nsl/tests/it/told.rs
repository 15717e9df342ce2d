//! What people are told beside the output, and of what is not there: on real nodes of both chains.

use std::process::{Child, Stdio};

use nsl_sandbox::{Launch, nsl_command};
use serde_json::{Value, json};

use crate::contracts::{Desk, STRANGER};

/// On every anvil: it makes contracts of what it is sent, and has no ABI that anybody could know.
const FOREIGN: &str = "0x4e59b44847b379578588920cA78FbF26c0B4956C";

#[test]
fn who_waits_is_told_at_once_why_and_what_became_of_it() {
    let desk = Desk::new();
    let server = Launch::dev_in(&desk.data()).unwrap().start().unwrap();
    for chain in ["neo-n3", "neo-x"] {
        let poor = desk.json(&["account", "add", chain, "--label", "poor"])["address"].as_str().unwrap().to_owned();
        let other = desk.output(&["account", "add", chain, "--label", "poor"]);
        let warning = String::from_utf8(other.stderr).unwrap();
        assert!(other.status.success() && warning.contains("warning") && warning.contains(&poor), "{warning}");
        assert!(desk.said(&["account", "balance", chain, &poor]).starts_with("0 GAS\n"));
        assert_eq!(desk.json(&["account", "balance", chain, &poor])["gas"], "0");
        let whole = desk.said(&["account", "balance", chain, "devnet"]);
        assert!(whole.contains("00 GAS\n") && whole.contains(" NEO\n") == (chain == "neo-n3"), "{whole}");

        let send = match chain {
            "neo-n3" => ["contract", "invoke", chain, "gas", "transfer", &poor, &poor, "0", "null"].to_vec(),
            _ => ["tx", "send", chain, "--to", STRANGER].to_vec(),
        };
        let (code, said) = desk.refused(&[&send[..], &["--account", &poor, "--wait", "--timeout", "4"]].concat());
        let lines: Vec<&str> = said.lines().collect();
        let steps = &lines[..lines.len() - 1];
        assert_eq!(code, 5, "{said}");
        assert!(steps[0].starts_with("rel_") && steps[0].contains(" accepted"), "{said}");
        assert!(steps[steps.len() - 1].contains("nsufficient funds"), "{said}");
        assert!(steps.windows(2).all(|two| two[0] != two[1]), "once per change: {said}");
        let id = steps[0].split(' ').next().unwrap();
        let open = desk.said(&["tx", "cancel", chain, id, "--timeout", "0"]);
        assert!(open.contains(&format!("nsl tx wait {chain} {id}")), "{open}");

        // Standard error stays one document for programs.
        let rich = [&send[..], &["--account", "devnet", "--wait", "--json"]].concat();
        let done = desk.output(&match chain {
            "neo-n3" => rich.iter().map(|arg| if *arg == poor { "devnet" } else { *arg }).collect::<Vec<_>>(),
            _ => rich,
        });
        let _: Value = serde_json::from_slice(if done.status.success() { &done.stdout } else { &done.stderr }).unwrap();
    }
    let done = desk.json(&["tx", "send", "neo-x", "--to", STRANGER, "--account", "devnet", "--wait"]);
    let (code, said) = desk.refused(&["tx", "cancel", "neo-x", done["id"].as_str().unwrap()]);
    assert!(code == 4 && said.contains("too late") && said.contains("final in block"), "{said}");
    assert!(server.terminate().unwrap().success());
}

#[test]
fn what_is_not_there_is_told_with_what_mends_it() {
    let desk = Desk::new();
    let server = Launch::dev_in(&desk.data()).unwrap().start().unwrap();
    for verb in ["call", "simulate", "invoke"] {
        let ask = |at: &str| desk.refused(&["contract", verb, "neo-x", at, "f", "1"]);
        let (code, said) = ask(FOREIGN);
        assert!(code == 2 && said.contains("bytes of code"), "{said}");
        assert!(said.contains(&format!("nsl contract add neo-x {FOREIGN}")), "{said}");
        let (code, said) = ask(STRANGER);
        assert!(code == 3 && said.contains("no code at 0x"), "{said}");
    }
    let events = ["contract", "events", "neo-n3", "gas", "--name", "Nothing", "--from", "1", "--to", "2"];
    assert_eq!(desk.said(&events), "no event \"Nothing\" in the blocks from 1 to 2\n");
    assert_eq!(desk.json(&events), json!({ "items": [], "from": 1, "to": 2 }));
    let all = desk.json(&["contract", "events", "neo-n3", "gas", "--from", "1", "--to", "3", "--limit", "1", "--all"]);
    assert_eq!((all["items"].as_array().unwrap().len(), &all["from"], &all["to"]), (3, &json!(1), &json!(3)), "{all}");
    let (n3, x) = (desk.deploy("neo-n3", "store"), desk.deploy("neo-x", "store"));
    for (chain, hash, args, said) in [
        ("neo-n3", &n3, &["1"][..], "put takes 2 arguments (key: ByteArray, value: "),
        ("neo-x", &x, &["1"], "put takes 2 arguments (key: string, value: bytes), and 1 was given"),
        ("neo-x", &x, &["k", "0x0"], "argument 2 (value, type bytes) is given as \"0x0\": "),
        ("neo-n3", &n3, &["0x0", "v"], "argument 1 (key, type ByteArray) is given as \"0x0\": "),
    ] {
        let (code, told) = desk.refused(&[&["contract", "call", chain, hash, "put"], args].concat());
        assert!(code == 2 && told.contains(said), "{told}");
    }

    desk.said(&["devnet", "down"]);
    for chain in ["neo-n3", "neo-x"] {
        let (code, said) = desk.refused(&["account", "balance", chain, "devnet"]);
        assert!(code == 5 && said.contains("is not known now") && said.contains("nsl devnet up"), "{said}");
    }
    assert!(server.terminate().unwrap().success());
    for args in [&["account", "balance", "neo-x", "devnet"][..], &["contract", "call", "neo-n3", "gas", "symbol"]] {
        let (code, said) = desk.refused(args);
        assert!(code == 3 && said.contains("[chain.neo_x] endpoints") && said.contains("nsl devnet up"), "{said}");
    }
}

/// A program whose standard output nobody reads.
fn unread(args: &[&str], data: &std::path::Path) -> Child {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = nsl_command(args).unwrap();
    command.env("NSL_DATA_DIR", data).stdout(writer).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn nobody_who_reads_is_no_failure() {
    let room = tempfile::tempdir().unwrap();
    let nef = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/n3/store.nef");
    for args in [&["n3", "decode", nef][..], &["n3", "decode", nef, "--json"], &["openapi"], &["tx", "--help"]] {
        let ended = unread(args, room.path()).wait_with_output().unwrap();
        assert!(ended.status.success() && ended.stderr.is_empty(), "{args:?}: {ended:?}");
    }
    let mut server = unread(&["dev", "--port", "0", "--json"], &room.path().join("data"));
    let asked = || nsl_command(["health"]).unwrap().env("NSL_DATA_DIR", room.path().join("data")).output().unwrap();
    // It ends by itself where it takes a closed output for a failure.
    while !asked().status.success() {
        assert!(server.try_wait().unwrap().is_none(), "it ended before it was ready");
    }
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = server.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}
