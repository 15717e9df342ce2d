//! Who may say what a block of Neo N3 is: those whom the blocks before name, and no endpoint by itself.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    Hash160, Hash256, PrivateKey, account,
    block::{Block, Header, merkle_root},
    tx::{Signer, Transaction, Witness},
    wire::Wire,
};
use nsl_chain::{
    N3Config,
    n3::{Head, NeoN3},
};
use nsl_core::Result;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const MAGIC: u32 = 7;

/// What stands in a node's place, and shows the blocks that it is given; none at all answers nothing.
struct Endpoint {
    url: String,
    blocks: Arc<Mutex<Vec<Block>>>,
    _task: JoinSet<()>,
}

impl Endpoint {
    async fn showing(blocks: &[Block]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let blocks = Arc::new(Mutex::new(blocks.to_vec()));
        let (shown, mut task) = (Arc::clone(&blocks), JoinSet::new());
        task.spawn(async move {
            let mut callers = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                callers.spawn(serve(caller, Arc::clone(&shown)));
            }
        });
        Self { url, blocks, _task: task }
    }

    fn show(&self, blocks: &[Block]) {
        *self.blocks.lock() = blocks.to_vec();
    }
}

async fn serve(mut caller: TcpStream, blocks: Arc<Mutex<Vec<Block>>>) {
    let mut read = Vec::new();
    while let Ok(byte) = caller.read_u8().await {
        read.push(byte);
        let text = String::from_utf8_lossy(&read);
        let Some(asked) = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()) else {
            continue;
        };
        let Some(answer) = answer(&asked, &blocks.lock()) else { return };
        let body = answer.to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if caller.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.is_err() {
            return;
        }
        read.clear();
    }
}

fn answer(asked: &Value, blocks: &[Block]) -> Option<Value> {
    let last = blocks.last()?;
    let at = asked["params"][0].as_u64();
    // Not every block of a chain that is shown need be there.
    let block = blocks.iter().find(|block| Some(u64::from(block.header.index)) == at);
    let (id, binary) = (&asked["id"], |bytes: Vec<u8>| json!(STANDARD.encode(bytes)));
    let result = match asked["method"].as_str().unwrap() {
        "getversion" => json!({
            "useragent": "/test/", "nonce": 1, "tcpport": 0,
            "protocol": {
                "network": MAGIC, "validatorscount": 1, "msperblock": 1_000, "maxtraceableblocks": 1_000,
                "addressversion": 53, "maxvaliduntilblockincrement": 5_760, "maxtransactionsperblock": 512,
                "memorypoolmaxtransactions": 50_000,
            },
        }),
        "getblockcount" => json!(last.header.index + 1),
        "getblock" => block.map(|block| binary(block.to_bytes())).unwrap_or_default(),
        "getblockheader" => block.map(|block| binary(block.header.to_bytes())).unwrap_or_default(),
        other => unreachable!("{other} is asked for"),
    };
    Some(match result {
        Value::Null => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -101, "message": "Unknown block" } })
        }
        result => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
    })
}

fn script(key: u8) -> Vec<u8> {
    account::multi(1, &[PrivateKey::from_bytes(&[key; 32]).unwrap().public()]).unwrap()
}

/// The next block of a chain, signed by a key, with a transaction, and who is to sign the one after.
fn next(before: Option<&Header>, by: u8, then: u8) -> Block {
    let index = before.map_or(0, |before| before.index + 1);
    let transactions = vec![Transaction {
        nonce: index,
        signers: vec![Signer::none(Hash160::ZERO)],
        script: vec![0x40],
        witnesses: vec![Witness::default()],
        ..Transaction::default()
    }];
    let mut header = Header {
        version: 0,
        previous: before.map_or(Hash256::ZERO, Header::hash),
        merkle_root: merkle_root(transactions.iter().map(Transaction::hash).collect()),
        timestamp: before.map_or(1, |before| before.timestamp + 1),
        nonce: by.into(),
        index,
        primary: 0,
        next_consensus: Hash160::of_script(&script(then)),
        witness: Witness::default(),
    };
    let key = PrivateKey::from_bytes(&[by; 32]).unwrap();
    let signed = [(key.public(), key.sign(&header.message(MAGIC)))];
    header.witness = Witness::multi(&script(by), &signed).unwrap();
    Block { header, transactions }
}

/// Goes on with a chain up to this height. Each block is signed by the key that `by` tells for it.
fn grown(mut blocks: Vec<Block>, to: u32, by: impl Fn(u32) -> u8) -> Vec<Block> {
    while blocks.last().is_none_or(|last| last.header.index < to) {
        let before = blocks.last().map(|last| &last.header);
        let index = before.map_or(0, |before| before.index + 1);
        blocks.push(next(before, by(index), by(index + 1)));
    }
    blocks
}

fn open(endpoints: &[&Endpoint]) -> NeoN3 {
    let urls: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect();
    let mut config = N3Config::of(MAGIC, &urls);
    (config.pool.deadline_ms, config.pool.eject_ms, config.pool.eject_after) = (300, 20, 1_000);
    NeoN3::open(config).unwrap()
}

/// The head, when what was heard a moment ago is not told again.
async fn head(chain: &NeoN3) -> Result<u32> {
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    chain.head().await.map(|head| head.height)
}

#[tokio::test]
async fn others_come_to_sign_and_are_followed() {
    // The same as before may come back, and some sign one block only.
    let by = |index| match index {
        0..40 => 1,
        40 => 2,
        41..90 => 3,
        90..150 => 1,
        _ => 4,
    };
    let all = grown(Vec::new(), 200, by);
    let node = Endpoint::showing(&all[..=30]).await;
    let chain = open(&[&node]);
    assert_eq!(head(&chain).await.unwrap(), 30);
    node.show(&all);
    assert_eq!(head(&chain).await.unwrap(), 200);
    assert_eq!(chain.sent(20, 160).await.unwrap().len(), 141);
    let straight = open(&[&node]);
    assert_eq!(head(&straight).await.unwrap(), 200);
    assert_eq!(straight.sent(0, 200).await.unwrap().len(), 201, "also what lies before the first that was read");
}

#[tokio::test]
async fn what_others_signed_is_no_block_of_the_chain() {
    let good = grown(Vec::new(), 40, |_| 1);
    let node = Endpoint::showing(&good[..=30]).await;
    let chain = open(&[&node]);
    assert_eq!(head(&chain).await.unwrap(), 30);
    for (to, by) in [(31, 2), (33, 2), (2_000, 2)] {
        node.show(&grown(good[..=30].to_vec(), to, |index| if index > 30 { by } else { 1 }));
        assert!(head(&chain).await.is_err(), "block {to} of another signer");
        assert!(chain.sent(29, 31).await.is_err());
    }
    // Signed by the right ones, with a transaction left out.
    let mut less = good[..=31].to_vec();
    less[31].transactions.clear();
    less[31].header.merkle_root = Hash256::ZERO;
    node.show(&less);
    assert!(head(&chain).await.is_err());
    node.show(&good);
    assert_eq!(head(&chain).await.unwrap(), 40);
    assert_eq!(chain.sent(29, 40).await.unwrap().len(), 12);
}

#[tokio::test]
async fn the_first_block_is_of_those_whom_the_one_before_names_and_most_endpoints_show() {
    let (good, bad) = (grown(Vec::new(), 40, |_| 1), grown(Vec::new(), 45, |_| 2));
    // Made up without a block before.
    let mut loose = good.clone();
    loose.push(Block { header: Header { index: 900, ..good[40].header.clone() }, ..good[40].clone() });
    let liar = Endpoint::showing(&loose).await;
    assert!(head(&open(&[&liar])).await.is_err());

    let (one, other) = (Endpoint::showing(&good).await, Endpoint::showing(&good).await);
    liar.show(&bad[..=40]);
    assert_eq!(open(&[&liar, &one, &other]).head().await.unwrap().hash, good[40].hash());
    assert!(open(&[&liar, &one]).head().await.is_err(), "nobody knows which of them lies");

    // While it was alone it was believed.
    let (silent, quiet) = (Endpoint::showing(&[]).await, Endpoint::showing(&[]).await);
    let chain = open(&[&liar, &silent, &quiet]);
    assert_eq!(chain.head().await.unwrap().hash, bad[40].hash());
    silent.show(&grown(good.clone(), 46, |_| 1));
    quiet.show(&grown(good.clone(), 46, |_| 1));
    liar.show(&[]);
    assert_eq!(head(&chain).await.unwrap(), 46, "as soon as two others agree");
}

#[tokio::test]
async fn a_block_that_is_known_from_before_bears_out_later_ones() {
    let good = grown(Vec::new(), 60, |index| if index < 50 { 1 } else { 3 });
    let bad = grown(good[..=20].to_vec(), 80, |index| if index > 20 { 2 } else { 1 });
    let node = Endpoint::showing(&bad).await;
    let known = Head { height: 18, hash: good[18].hash() };
    assert!(head(&open(&[&node])).await.is_ok(), "nothing speaks against it");
    let chain = open(&[&node]);
    chain.trust(known).await;
    assert!(head(&chain).await.is_err());
    node.show(&good);
    assert_eq!(head(&chain).await.unwrap(), 60);
    // What no endpoint shows bears out nothing.
    let chain = open(&[&node]);
    chain.trust(Head { height: 30, hash: bad[30].hash() }).await;
    assert_eq!(head(&chain).await.unwrap(), 60);
}
