//! Endpoints of Neo X that lie or refuse without a reason, chains that begin anew, and fees that move.

#![allow(clippy::disallowed_methods, reason = "a liar ends with its test")]

use std::{sync::Arc, time::Duration};

use nsl_api::relay::{State, Transaction};
use nsl_chain::x::{Address, As, U256};
use nsl_relay::Config;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::ground::{Ground, Terms, key_of};

const GWEI: u128 = 1_000_000_000;

#[derive(Clone, Copy)]
enum Lie {
    None,
    /// What is sent never arrives, and is refused in words that nobody knows.
    Refused,
    /// Accounts are said to have sent so much more.
    Counted(u64),
}

/// What stands between the relay and its node.
struct Liar {
    url: String,
    lie: Arc<Mutex<Lie>>,
    task: JoinHandle<()>,
}

impl Liar {
    async fn before(node: &str, lie: Lie) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (node, lie) = (node.to_owned(), Arc::new(Mutex::new(lie)));
        let told = Arc::clone(&lie);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, node.clone(), Arc::clone(&told)));
            }
        });
        Self { url, lie, task }
    }

    fn tell(&self, lie: Lie) {
        *self.lie.lock() = lie;
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut client: TcpStream, node: String, lie: Arc<Mutex<Lie>>) {
    let http = reqwest::Client::new();
    while let Some(asked) = question(&mut client).await {
        let lie = *lie.lock();
        let said = match lie {
            Lie::Refused if has(&asked, "eth_sendRawTransaction") => each(&asked, &refusal),
            _ => {
                let Ok(said) = http.post(&node).json(&asked).send().await else { return };
                let mut said: Value = said.json().await.unwrap();
                if let Lie::Counted(more) = lie
                    && has(&asked, "eth_getTransactionCount")
                {
                    let count = u64::from_str_radix(said["result"].as_str().unwrap().trim_start_matches("0x"), 16);
                    said["result"] = json!(format!("{:#x}", count.unwrap() + more));
                }
                said
            }
        };
        let body = said.to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        if client.write_all([head, body].concat().as_bytes()).await.is_err() {
            return;
        }
    }
}

fn has(asked: &Value, method: &str) -> bool {
    let one = asked.as_array().and_then(|all| all.first()).unwrap_or(asked);
    one["method"] == json!(method)
}

fn each(asked: &Value, answer: &impl Fn(&Value) -> Value) -> Value {
    asked.as_array().map_or_else(|| answer(asked), |all| all.iter().map(answer).collect())
}

fn refusal(asked: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": asked["id"], "error": { "code": -32000, "message": "the sky is falling" } })
}

async fn question(client: &mut TcpStream) -> Option<Value> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    client.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

fn to(number: u8) -> Address {
    Address::from([number; 20])
}

/// What an account of the node has sent, as the node itself says.
async fn count(ground: &Ground) -> u64 {
    ground.chain.nonce(key_of(&ground.x, 0).address(), As::Latest).await.unwrap()
}

async fn done(ground: &Ground, ids: &[String]) -> Vec<Transaction> {
    let done = ground.settled(ids, Duration::from_secs(60)).await;
    assert!(done.iter().all(|one| one.state == State::Final), "{done:?}");
    done
}

/// Waits for a step of a request whose reason has these words.
async fn until_told(ground: &Ground, id: &str, words: &str) {
    let told = async {
        let has = |reason: &Option<String>| reason.as_deref().is_some_and(|why| why.contains(words));
        while !ground.passed(id).await.iter().any(|step| has(&step.reason)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("it is told in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_endpoint_refuses_in_words_that_nobody_knows_goes_on() {
    let ground = Ground::fresh(None, None).await;
    let liar = Liar::before(&ground.x.rpc, Lie::Refused).await;
    let ground = ground.behind(&[&liar.url]).await;
    let id = ground.send(ground.transfer(0, to(0x81), 1)).await.unwrap().id;
    until_told(&ground, &id, "the sky is falling").await;
    until_told(&ground, &id, "offered again").await;
    liar.tell(Lie::None);
    done(&ground, std::slice::from_ref(&id)).await;
    let passed = ground.passed(&id).await;
    assert!(
        passed.iter().all(|step| !step.reason.as_deref().unwrap_or_default().contains("in its place")),
        "{passed:?}"
    );
    assert_eq!((ground.balance(to(0x81)).await, count(&ground).await), (U256::from(1), 1));
    ground.chain_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_count_of_nonces_jams_no_account() {
    // Alone, the liar is believed, and what it made pass over is filled.
    let ground = Ground::fresh(None, None).await;
    let liar = Liar::before(&ground.x.rpc, Lie::Counted(3)).await;
    let ground = ground.behind(&[&liar.url]).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(ground.send(ground.transfer(0, to(0x82), 1)).await.unwrap().id);
    }
    ground.until(&ids[1], State::Sent).await;
    liar.tell(Lie::None);
    done(&ground, &ids).await;
    assert_eq!((ground.balance(to(0x82)).await, count(&ground).await), (U256::from(2), 5));
    ground.chain_is_whole().await;
    ground.end().await;

    // Beside one that tells the truth, it is not.
    let ground = Ground::fresh(None, None).await;
    let liar = Liar::before(&ground.x.rpc, Lie::Counted(3)).await;
    let url = ground.x.rpc.clone();
    let ground = ground.behind(&[&liar.url, &url]).await;
    let id = ground.send(ground.transfer(0, to(0x83), 1)).await.unwrap().id;
    done(&ground, &[id]).await;
    liar.tell(Lie::None);
    assert_eq!((ground.balance(to(0x83)).await, count(&ground).await), (U256::from(1), 1));
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_goes_on_where_its_chain_begins_anew() {
    for restarts in [false, true] {
        let mut ground = Ground::fresh(None, None).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(ground.send(ground.transfer(0, to(0x84), 1)).await.unwrap().id);
        }
        done(&ground, &ids).await;
        ground.x.restart().await.unwrap();
        assert_eq!(count(&ground).await, 0);
        if restarts {
            ground = ground.restart().await;
        }
        let id = ground.send(ground.transfer(0, to(0x84), 7)).await.unwrap().id;
        done(&ground, &[id]).await;
        assert_eq!(ground.balance(to(0x84)).await, U256::from(7), "of what was there before nothing is told anew");
        ground.chain_is_whole().await;
        ground.end().await;
    }
}

/// The base fee of the last block, and that of the next.
async fn base_fees(ground: &Ground, last: u128, next: u128) {
    ground.order_with("anvil_setNextBlockBaseFeePerGas", json!([format!("{last:#x}")])).await;
    ground.order("evm_mine").await;
    ground.order_with("anvil_setNextBlockBaseFeePerGas", json!([format!("{next:#x}")])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_for_a_higher_base_fee_is_not_tipped() {
    let ground = Ground::fresh(None, None).await;
    base_fees(&ground, 40 * GWEI, 20 * GWEI).await;
    let id = ground.send(ground.transfer(0, to(0x85), 1)).await.unwrap().id;
    let done = done(&ground, &[id]).await.remove(0);
    assert_eq!(done.fee, Some((21_000 * 40 * GWEI).to_string()), "the base fee, and the tip that nodes ask for");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_costs_more_than_the_most_waits_and_says_so() {
    let config = Config { neo_x_max_price_wei: 50_000_000_000, ..Terms::default().config };
    let ground = Ground::on(None, Terms { config, ..Terms::default() }).await;
    base_fees(&ground, 40 * GWEI, 40 * GWEI).await;
    let id = ground.send(ground.transfer(0, to(0x86), 1)).await.unwrap().id;
    until_told(&ground, &id, "a unit of gas costs more than 50000000000 wei").await;
    assert_eq!((ground.find(&id).await.state, count(&ground).await), (State::Accepted, 0));
    base_fees(&ground, 20 * GWEI, 20 * GWEI).await;
    done(&ground, &[id]).await;
    ground.end().await;
}
