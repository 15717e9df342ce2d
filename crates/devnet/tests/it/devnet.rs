use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use nsl_devnet::{Devnet, Given, Up};
use serde_json::{Value, json};

use crate::nodes::{ask, gas_of, wei_of};

const N3_STRANGER: &str = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
const X_STRANGER: &str = "0x00000000000000000000000000000000000000aa";

async fn up(dir: &Path) -> Up {
    let given = Given { n3_block_time: Some(Duration::from_millis(100)), ..Given::default() };
    Devnet::up(dir, given).await.unwrap()
}

/// Ends the nodes of a directory also when the test fails.
struct Guard<'a>(&'a Path);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        for node in ["n3", "x"] {
            let Ok(record) = fs::read(self.0.join(node).join("process.json")) else { continue };
            let Ok(record) = serde_json::from_slice::<Value>(&record) else { continue };
            let pid = record["identity"]["pid"].to_string();
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.contains(&format!(" {} ", record["identity"]["started"])) {
                let _ = Command::new("kill").args(["-9", &pid]).status();
            }
        }
    }
}

#[tokio::test]
async fn a_second_up_finds_what_runs_and_down_ends_exactly_that() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let _guards = (Guard(here.path()), Guard(there.path()));
    let (first, other) = (up(here.path()).await, up(there.path()).await);
    assert!(!first.n3_ran && !first.x_ran);
    let again = up(here.path()).await;
    assert!(again.n3_ran && again.x_ran);
    assert_eq!((again.devnet.n3.pid(), again.devnet.x.pid()), (first.devnet.n3.pid(), first.devnet.x.pid()));
    assert_eq!(again.devnet.accounts(), first.devnet.accounts());
    drop(again);
    assert!(first.devnet.n3.runs() && first.devnet.x.runs(), "a handle that goes leaves them running");

    let ended = Devnet::down(here.path()).await.unwrap();
    assert_eq!((ended.n3, ended.x), (Some(first.devnet.n3.pid()), Some(first.devnet.x.pid())));
    assert!(!first.devnet.n3.runs() && !first.devnet.x.runs());
    assert!(other.devnet.n3.runs() && other.devnet.x.runs(), "those of another directory go on");
    let ended = Devnet::down(here.path()).await.unwrap();
    assert_eq!((ended.n3, ended.x), (None, None));
    Devnet::down(there.path()).await.unwrap();
}

#[tokio::test]
async fn chains_accounts_and_addresses_stay_from_down_to_up() {
    let dir = tempfile::tempdir().unwrap();
    let _guard = Guard(dir.path());
    let before = up(dir.path()).await.devnet;
    before.n3.fund_gas(N3_STRANGER, 7).await.unwrap();
    before.x.fund(X_STRANGER, 8).await.unwrap();
    Devnet::down(dir.path()).await.unwrap();
    let after = up(dir.path()).await.devnet;
    assert_eq!((&after.n3.rpc, &after.x.rpc), (&before.n3.rpc, &before.x.rpc));
    assert_eq!(after.accounts(), before.accounts());
    assert_eq!(gas_of(&after.n3.rpc, N3_STRANGER).await, 7);
    assert_eq!(wei_of(&after.x.rpc, X_STRANGER).await, 8);

    let told = Given { n3_magic: Some(7), ..Given::default() };
    let error = Devnet::up(dir.path(), told).await.unwrap_err();
    assert!(format!("{error:#}").contains("has magic 1230, not 7"), "{error:#}");
    let told = Given { x_chain_id: Some(47_763), ..Given::default() };
    assert!(Devnet::up(dir.path(), told).await.is_err());
    assert!(after.n3.runs() && after.x.runs());

    Devnet::forget(dir.path()).await.unwrap();
    let fresh = up(dir.path()).await.devnet;
    assert_ne!(fresh.n3.accounts, before.n3.accounts);
    assert_eq!(gas_of(&fresh.n3.rpc, N3_STRANGER).await, 0);
    assert_eq!(wei_of(&fresh.x.rpc, X_STRANGER).await, 0);
    Devnet::down(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_node_that_was_killed_is_started_again_and_the_other_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let _guard = Guard(dir.path());
    let first = up(dir.path()).await.devnet;
    first.n3.kill();
    let second = up(dir.path()).await;
    assert!(!second.n3_ran && second.x_ran);
    let second = second.devnet;
    assert_ne!(second.n3.pid(), first.n3.pid());
    assert_eq!((second.x.pid(), &second.n3.rpc), (first.x.pid(), &first.n3.rpc));
    second.n3.fund_gas(N3_STRANGER, 9).await.unwrap();
    second.x.kill();
    let third = up(dir.path()).await;
    assert!(third.n3_ran && !third.x_ran);
    third.devnet.x.fund(X_STRANGER, 1).await.unwrap();
    Devnet::down(dir.path()).await.unwrap();

    // As a kill amid its writing leaves it.
    let state = dir.path().join("x/state.json");
    let written = fs::read(&state).unwrap();
    fs::write(&state, &written[..written.len() / 2]).unwrap();
    let fourth = up(dir.path()).await.devnet;
    assert_eq!(wei_of(&fourth.x.rpc, X_STRANGER).await, 0);
    assert_eq!(gas_of(&fourth.n3.rpc, N3_STRANGER).await, 9);
    Devnet::down(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_record_of_another_time_ends_nobody_and_hinders_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let _guard = Guard(dir.path());
    let first = up(dir.path()).await.devnet;
    Devnet::down(dir.path()).await.unwrap();
    // A stranger has the number now: this very test.
    let record = dir.path().join("n3/process.json");
    let mut stale: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    stale["identity"]["pid"] = json!(std::process::id());
    fs::write(&record, stale.to_string()).unwrap();
    fs::write(dir.path().join("x/process.json"), "{ cut sho").unwrap();
    assert!(Devnet::find(dir.path()).await.is_ok_and(|(n3, x)| n3.is_none() && x.is_none()));
    let ended = Devnet::down(dir.path()).await.unwrap();
    assert_eq!((ended.n3, ended.x), (None, None));
    let second = up(dir.path()).await;
    assert!(!second.n3_ran && !second.x_ran);
    assert_eq!(second.devnet.n3.accounts, first.n3.accounts);
    Devnet::down(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_port_that_another_program_took_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let _guard = Guard(dir.path());
    let first = up(dir.path()).await.devnet;
    Devnet::down(dir.path()).await.unwrap();
    let taken = |url: &str| TcpListener::bind(url.trim_start_matches("http://")).unwrap();
    let _taken = (taken(&first.n3.rpc), taken(&first.x.rpc));
    let second = up(dir.path()).await.devnet;
    assert_ne!(second.n3.rpc, first.n3.rpc);
    assert_ne!(second.x.rpc, first.x.rpc);
    assert_eq!(ask(&second.x.rpc, "eth_chainId", json!([])).await, "0xba9304");
    Devnet::down(dir.path()).await.unwrap();
}

#[tokio::test]
async fn two_ups_at_once_start_one_pair() {
    let dir = tempfile::tempdir().unwrap();
    let _guard = Guard(dir.path());
    let (first, second) = tokio::join!(up(dir.path()), up(dir.path()));
    assert_eq!(first.devnet.n3.pid(), second.devnet.n3.pid());
    assert_eq!(first.devnet.x.pid(), second.devnet.x.pid());
    assert_ne!(first.n3_ran, second.n3_ran);
    Devnet::down(dir.path()).await.unwrap();
}

#[tokio::test]
async fn when_one_node_cannot_start_none_is_left_behind_and_its_program_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let _guard = Guard(dir.path());
    let no: std::path::PathBuf = "/bin/false".into();
    let neo_go = Given { neo_go: Some(no.clone()), ..Given::default() };
    let anvil = Given { anvil: Some(no), ..Given::default() };
    for (given, told) in [(neo_go, "starting neo-go"), (anvil, "starting anvil")] {
        let error = format!("{:#}", Devnet::up(dir.path(), given).await.unwrap_err());
        assert!(error.contains(told) && error.contains("it ended while starting"), "{error}");
        let (n3, x) = Devnet::find(dir.path()).await.unwrap();
        assert!(n3.is_none() && x.is_none());
    }
    let nowhere = Given { neo_go: Some("/nowhere/neo-go".into()), ..Given::default() };
    let error = format!("{:#}", Devnet::up(dir.path(), nowhere).await.unwrap_err());
    assert!(error.contains("there is no program /nowhere/neo-go"), "{error}");
    Devnet::up(dir.path(), Given::default()).await.unwrap();
    Devnet::down(dir.path()).await.unwrap();
}

#[tokio::test]
async fn what_holds_keys_is_for_its_owner_alone_and_nodes_listen_on_loopback_only() {
    let dir = tempfile::tempdir().unwrap();
    let _guard = Guard(dir.path());
    let devnet = up(dir.path()).await.devnet;
    for file in ["n3/keys.json", "n3/wallet.json", "n3/protocol.yml"] {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    for folder in ["n3", "x"] {
        let mode = fs::metadata(dir.path().join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
    for pid in [devnet.n3.pid(), devnet.x.pid()] {
        let listening = listening(pid);
        assert!(!listening.is_empty());
        for address in listening {
            assert!(address == "0100007F" || address.ends_with("FFFF00000100007F"), "{pid} listens on {address}");
        }
        let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        for account in devnet.accounts() {
            assert!(!arguments.contains(&account.key));
        }
    }
    Devnet::down(dir.path()).await.unwrap();
}

// The local addresses, in the kernel's hex, of the TCP sockets on which a process listens.
fn listening(pid: u32) -> Vec<String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let sockets: Vec<String> = files
        .filter_map(|file| fs::read_link(file.path()).ok()?.to_str()?.strip_prefix("socket:[").map(str::to_owned))
        .map(|inode| inode.trim_end_matches(']').to_owned())
        .collect();
    let tables =
        ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let rows =
        tables.iter().flat_map(|table| table.lines().skip(1)).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == "0A" && sockets.iter().any(|inode| inode == row[9]))
        .map(|row| row[1].split(':').next().unwrap().to_owned())
        .collect()
}
