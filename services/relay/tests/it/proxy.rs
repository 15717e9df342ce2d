//! What stands between the relay and its node, and lets pass what a test wants.

#![allow(clippy::disallowed_methods, reason = "a proxy ends with its test")]

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{block::Block, wire::Wire};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Gate {
    Open,
    /// What is sent is said to be taken, and never arrives.
    NoSends,
    /// Every tenth request is lost, or its answer.
    Flaky,
    /// What is sent arrives, and is said to be refused for ever.
    Denied,
    /// What ran is told without what it left on the stack.
    Unshown,
    /// The chain is said to be higher than it is.
    Ahead,
    /// Blocks are shown that the node does not have, and the last of them is said to be the chain's.
    MadeUp,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    gate: Arc<AtomicU8>,
    made_up: Arc<Mutex<Vec<Block>>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gate = Arc::new(AtomicU8::new(Gate::Open as u8));
        let made_up = Arc::<Mutex<Vec<Block>>>::default();
        let (of_all, blocks, asked) = (Arc::clone(&gate), Arc::clone(&made_up), Arc::default());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(node) = TcpStream::connect(&target).await else { continue };
                tokio::spawn(carry(client, node, Arc::clone(&of_all), Arc::clone(&blocks), Arc::clone(&asked)));
            }
        });
        Self { url, gate, made_up, task }
    }

    pub(crate) fn set(&self, gate: Gate) {
        self.gate.store(gate as u8, Ordering::SeqCst);
    }

    pub(crate) fn show(&self, made_up: Vec<Block>) {
        *self.made_up.lock() = made_up;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request after the other; nobody sends a second one before the first is answered.
async fn carry(
    mut client: TcpStream,
    mut node: TcpStream,
    gate: Arc<AtomicU8>,
    blocks: Arc<Mutex<Vec<Block>>>,
    asked: Arc<AtomicU64>,
) {
    while let Some((head, body)) = message(&mut client).await {
        let lie = match gate.load(Ordering::SeqCst) {
            now if now == Gate::NoSends as u8 => taken(&body),
            now if now == Gate::MadeUp as u8 => made_up(&body, &blocks.lock()),
            _ => None,
        };
        let answer = match lie {
            Some(answer) => [whole(answer.len()), answer].concat(),
            None => {
                let number = asked.fetch_add(1, Ordering::SeqCst);
                let is_lost = gate.load(Ordering::SeqCst) == Gate::Flaky as u8 && number.is_multiple_of(10);
                if is_lost && number.is_multiple_of(20) {
                    return;
                }
                let asked_for = body.clone();
                if node.write_all(&[head, body].concat()).await.is_err() {
                    return;
                }
                let Some((head, body)) = message(&mut node).await else { return };
                if is_lost {
                    return;
                }
                let said = match gate.load(Ordering::SeqCst) {
                    now if now == Gate::Denied as u8 => changed(&asked_for, &body, "sendrawtransaction", &denied),
                    now if now == Gate::Unshown as u8 => changed(&asked_for, &body, "getapplicationlog", &unshown),
                    now if now == Gate::Ahead as u8 => changed(&asked_for, &body, "getblockcount", &ahead),
                    _ => None,
                };
                match said {
                    Some(said) => [whole(said.len()), said].concat(),
                    None => [head, body].concat(),
                }
            }
        };
        if client.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn whole(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

/// Other answers to what asks for this method alone.
fn changed(asked: &[u8], answer: &[u8], method: &str, change: &impl Fn(&mut Value)) -> Option<Vec<u8>> {
    let asked: Value = serde_json::from_slice(asked).ok()?;
    let asks = |one: &Value| one["method"] == json!(method);
    let mut answer: Value = serde_json::from_slice(answer).or_else(|_| serde_json::from_slice(&joined(answer))).ok()?;
    match (&asked, &mut answer) {
        (Value::Array(all), Value::Array(answers)) if all.iter().all(asks) => answers.iter_mut().for_each(change),
        (one, answer) if asks(one) => change(answer),
        _ => return None,
    }
    Some(answer.to_string().into_bytes())
}

/// A body that came in chunks.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = chunks.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&chunks[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(chunk) = size.filter(|size| *size > 0).and_then(|size| chunks.get(end + 2..end + 2 + size)) else {
            break;
        };
        all.extend_from_slice(chunk);
        chunks = chunks.get(end + 4 + chunk.len()..).unwrap_or_default();
    }
    all
}

fn denied(answer: &mut Value) {
    *answer =
        json!({ "jsonrpc": "2.0", "id": answer["id"], "error": { "code": -508, "message": "Invalid signature" } });
}

fn unshown(answer: &mut Value) {
    for run in answer["result"]["executions"].as_array_mut().into_iter().flatten() {
        run["stack"] = json!("error: it can't be shown");
    }
}

fn ahead(answer: &mut Value) {
    answer["result"] = json!(answer["result"].as_u64().unwrap_or_default() + 50);
}

/// The lie that a node tells to what sends.
fn taken(body: &[u8]) -> Option<Vec<u8>> {
    let asked: Value = serde_json::from_slice(body).ok()?;
    let answer = |one: &Value| {
        let hash = format!("0x{}", "00".repeat(32));
        json!({ "jsonrpc": "2.0", "id": one["id"], "result": { "hash": hash } })
    };
    let sends = |one: &Value| one["method"] == json!("sendrawtransaction");
    let answer = match &asked {
        Value::Array(all) if all.iter().all(sends) => Value::Array(all.iter().map(answer).collect()),
        one if sends(one) => answer(one),
        _ => return None,
    };
    Some(answer.to_string().into_bytes())
}

/// What is answered to who asks for one of these blocks, or for the height.
fn made_up(body: &[u8], blocks: &[Block]) -> Option<Vec<u8>> {
    let asked: Value = serde_json::from_slice(body).ok()?;
    let at = asked["params"][0].as_u64();
    let block = blocks.iter().find(|block| Some(u64::from(block.header.index)) == at);
    let result = match asked["method"].as_str()? {
        "getblockcount" => json!(blocks.last()?.header.index + 1),
        "getblock" => json!(STANDARD.encode(block?.to_bytes())),
        "getblockheader" => json!(STANDARD.encode(block?.header.to_bytes())),
        _ => return None,
    };
    Some(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string().into_bytes())
}

/// Head and body of a request or an answer: with its length, or in chunks.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.ok()?);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
    if let Some(length) = field("content-length:") {
        let mut body = vec![0; length.parse().ok()?];
        from.read_exact(&mut body).await.ok()?;
        return Some((head, body));
    }
    let mut body = Vec::new();
    if field("transfer-encoding:").as_deref() == Some("chunked") {
        while !body.ends_with(b"\r\n0\r\n\r\n") && body != b"0\r\n\r\n" {
            body.push(from.read_u8().await.ok()?);
        }
    }
    Some((head, body))
}
