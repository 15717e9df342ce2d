use std::time::{Duration, Instant};

use nsl_devnet::{N3, N3Options, X, XOptions};
use serde_json::{Value, json};

pub(crate) async fn ask(url: &str, method: &str, params: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let reply: Value = client.post(url).json(&body).send().await.unwrap().json().await.unwrap();
    assert!(reply.get("error").is_none(), "{method}: {reply}");
    reply["result"].clone()
}

async fn gas_of(network: &N3, address: &str) -> u64 {
    let balances = ask(&network.rpc, "getnep17balances", json!([address])).await;
    let gas = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
    let found = balances["balance"].as_array().unwrap().iter().find(|balance| balance["assethash"] == gas);
    found.map_or(0, |balance| balance["amount"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_network_of_neo_n3_has_money_and_makes_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let network = N3::start(dir.path(), N3Options::default()).await.unwrap();
    println!("started in {:?}", begun.elapsed());
    assert_eq!(network.accounts.len(), 4);
    for account in &network.accounts {
        assert_eq!(gas_of(&network, &account.address).await, 100_000 * 100_000_000);
    }
    let stranger = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";
    network.fund_gas(stranger, 12_345).await.unwrap();
    network.fund_neo(stranger, 3).await.unwrap();
    assert_eq!(gas_of(&network, stranger).await, 12_345);
    assert!(network.fund_gas("nobody", 1).await.is_err());
}

#[tokio::test]
async fn an_anvil_has_money_and_takes_more() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut node = X::start(dir.path(), XOptions { block_time: Some(1), ..XOptions::default() }).await.unwrap();
    println!("started in {:?}", begun.elapsed());
    assert_eq!(node.accounts.len(), 10);
    assert_eq!(ask(&node.rpc, "eth_chainId", json!([])).await, "0xba9304");
    let address = "0x00000000000000000000000000000000000000aa";
    node.fund(address, 5).await.unwrap();
    node.fund(address, 6).await.unwrap();
    assert_eq!(ask(&node.rpc, "eth_getBalance", json!([address, "latest"])).await, "0xb");
    let rpc = node.rpc.clone();
    node.kill();
    assert!(!node.runs());
    node.restart().await.unwrap();
    assert_eq!(node.rpc, rpc);
    assert_eq!(ask(&node.rpc, "eth_getBalance", json!([address, "latest"])).await, "0x0");
    node.stop().await.unwrap();
    assert!(!node.runs());
    let _ = Duration::ZERO;
}
