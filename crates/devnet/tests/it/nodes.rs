use std::{
    cell::Cell,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use neo::nep6::Wallet;
use nsl_devnet::{Database, N3, N3Options, X, XOptions};
use serde_json::{Value, json};

pub(crate) async fn ask(url: &str, method: &str, params: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let reply: Value = client.post(url).json(&body).send().await.unwrap().json().await.unwrap();
    assert!(reply.get("error").is_none(), "{method}: {reply}");
    reply["result"].clone()
}

pub(crate) async fn gas_of(rpc: &str, address: &str) -> u64 {
    held(rpc, address, "0xd2a4cff31913016155e38e474a2c06d08be276cf").await
}

pub(crate) async fn wei_of(rpc: &str, address: &str) -> u128 {
    let balance = ask(rpc, "eth_getBalance", json!([address, "latest"])).await;
    u128::from_str_radix(balance.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

async fn held(rpc: &str, address: &str, token: &str) -> u64 {
    let balances = ask(rpc, "getnep17balances", json!([address])).await;
    let found = balances["balance"].as_array().unwrap().iter().find(|balance| balance["assethash"] == token);
    found.map_or(0, |balance| balance["amount"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_network_of_neo_n3_has_money_gives_it_away_and_makes_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let network = N3::start(dir.path(), N3Options { accounts: 6, magic: 77, ..N3Options::default() }).await.unwrap();
    assert_eq!(network.accounts.len(), 6);
    let neo = "0xef4073a0f2b305a38ec4050e4d3d28bc40ea63f5";
    for account in &network.accounts {
        assert_eq!(gas_of(&network.rpc, &account.address).await, 100_000 * 100_000_000);
        assert_eq!(held(&network.rpc, &account.address, neo).await, 100_000);
    }
    assert_eq!(ask(&network.rpc, "getversion", json!([])).await["protocol"]["network"], 77);
    let stranger = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
    // Transactions alike in all but their nonce.
    let (first, second) = tokio::join!(network.fund_gas(stranger, 12_345), network.fund_gas(stranger, 12_345));
    assert_ne!(first.unwrap(), second.unwrap());
    network.fund_neo(stranger, 3).await.unwrap();
    // NEO brings its owner some GAS when it moves, but not within one block.
    assert_eq!(gas_of(&network.rpc, stranger).await, 2 * 12_345);
    assert_eq!(held(&network.rpc, stranger, neo).await, 3);

    let error = network.fund_gas("nobody", 1).await.unwrap_err();
    assert!(format!("{error:#}").contains("no address of Neo N3"), "{error:#}");
    let error = network.fund_neo(stranger, 200_000_000).await.unwrap_err();
    assert!(format!("{error:#}").contains("ASSERT"), "{error:#}");
    assert!(format!("{error:#}").contains("the committee has only"), "{error:#}");

    let wallet = Wallet::from_json(&std::fs::read(network.wallet()).unwrap()).unwrap();
    let opened = wallet.open("development").unwrap();
    for account in network.accounts.iter().chain([&network.committee]) {
        let same = |opened: &neo::nep6::Opened| {
            opened.hash.address() == account.address && *opened.key.to_wif() == account.key
        };
        assert!(opened.iter().any(same), "{account:?}");
    }
}

#[tokio::test]
async fn a_restarted_network_has_its_address_and_its_chain_if_that_is_kept() {
    for database in [Database::Memory, Database::LevelDb] {
        let dir = tempfile::tempdir().unwrap();
        let mut network = N3::start(dir.path(), N3Options { database, ..N3Options::default() }).await.unwrap();
        let stranger = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
        network.fund_gas(stranger, 5).await.unwrap();
        let rpc = network.rpc.clone();
        network.restart().await.unwrap();
        assert_eq!(network.rpc, rpc);
        let kept = if database == Database::LevelDb { 5 } else { 0 };
        assert_eq!(gas_of(&rpc, stranger).await, kept, "{database:?}");
        network.kill();
        assert!(!network.runs());
        network.restart().await.unwrap();
        network.fund_gas(stranger, 1).await.unwrap();
        network.stop().await.unwrap();
        assert!(!network.runs());
    }
}

#[tokio::test]
async fn an_anvil_has_money_and_takes_more_and_mines_as_told() {
    for block_time in [None, Some(600)] {
        let dir = tempfile::tempdir().unwrap();
        let mut node = X::start(dir.path(), XOptions { block_time, ..XOptions::default() }).await.unwrap();
        assert_eq!(node.accounts.len(), 10);
        assert_eq!(ask(&node.rpc, "eth_chainId", json!([])).await, "0xba9304");
        for account in &node.accounts {
            assert_eq!(wei_of(&node.rpc, &account.address).await, 10_000 * 10u128.pow(18));
        }
        let address = "0x00000000000000000000000000000000000000aa";
        node.fund(address, 5).await.unwrap();
        node.fund(address, 6).await.unwrap();
        assert_eq!(wei_of(&node.rpc, address).await, 11);
        assert!(node.fund("0x00", 1).await.is_err());
        let sent = json!([{ "from": node.accounts[0].address, "to": address, "value": "0x1" }]);
        let tx = ask(&node.rpc, "eth_sendTransaction", sent).await;
        let receipt = ask(&node.rpc, "eth_getTransactionReceipt", json!([tx])).await;
        assert_eq!(receipt.is_null(), block_time.is_some(), "{receipt}");

        let rpc = node.rpc.clone();
        node.kill();
        assert!(!node.runs());
        node.restart().await.unwrap();
        assert_eq!(node.rpc, rpc);
        assert_eq!(wei_of(&rpc, address).await, 0);
        node.stop().await.unwrap();
        assert!(!node.runs());
    }
}

#[tokio::test]
async fn an_anvil_that_is_stopped_over_its_work_has_a_block_for_all_that_was_done() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = X::start(dir.path(), XOptions { keep: true, ..XOptions::default() }).await.unwrap();
    let (rpc, sender) = (node.rpc.clone(), node.accounts[0].address.clone());
    for _ in 0..3 {
        let done = Cell::new(false);
        let flood = async || {
            let one = json!([{ "from": sender, "to": format!("0x{}", "57".repeat(20)), "value": "0x1" }]);
            let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendTransaction", "params": one });
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            while !done.get() {
                // While it is down nothing answers.
                let _ = client.post(&rpc).json(&body).send().await;
            }
        };
        let stop = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            node.restart().await.unwrap();
            done.set(true);
        };
        tokio::join!(flood(), flood(), flood(), stop);
    }
    let number = async |method: &str, params: Value| {
        let told = ask(&rpc, method, params).await;
        u64::from_str_radix(told.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    let count = number("eth_getTransactionCount", json!([sender, "latest"])).await;
    let mut blocks = 0;
    for height in 0..=number("eth_blockNumber", json!([])).await {
        blocks += number("eth_getBlockTransactionCountByNumber", json!([format!("{height:#x}")])).await;
    }
    assert!(count > 0);
    assert_eq!(count, blocks);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = X::start(dir.path(), XOptions { port: Some(port), ..XOptions::default() }).await.unwrap_err();
    assert!(format!("{error:#}").contains(&format!("port {port} is taken")), "{error:#}");
}

const HOLDER: &str = "NSL_DEVNET_TEST_HOLDS";

// Runs itself once more, as the program that is killed.
#[tokio::test]
async fn the_nodes_of_a_killed_program_end_with_it() {
    #[expect(clippy::disallowed_methods, reason = "how this test tells itself which of the two it is")]
    if std::env::var_os(HOLDER).is_some() {
        let dir = tempfile::tempdir().unwrap();
        let node = X::start(dir.path(), XOptions::default()).await.unwrap();
        println!("holds {}.", node.pid());
        std::future::pending::<()>().await;
    }
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "nodes::the_nodes_of_a_killed_program_end_with_it"])
        .env(HOLDER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map_while(Result::ok);
    let pid = lines.find_map(|line| Some(line.split_once("holds ")?.1.split_once('.')?.0.to_owned())).unwrap();
    let runs = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(runs());
    program.kill().unwrap();
    program.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while runs() {
        assert!(Instant::now() < until, "process {pid} outlives the one that started it");
        tokio::task::yield_now().await;
    }
}
