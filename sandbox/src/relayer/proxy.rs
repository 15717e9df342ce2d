//! Stands before a node and makes its JSON-RPC fail, late or untrue.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::sleep,
};

use super::{
    luck::Luck,
    wire::{self, Message},
};

/// What befalls a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The connection ends before the node hears of it.
    Refused,
    /// 503 without a word.
    Unavailable,
    /// The node says that it failed on its own.
    Failed,
    /// An answer that is not JSON.
    Garbage,
    /// The node does it, and the answer breaks off.
    Cut,
    /// The node does it, and nobody hears of it.
    Lost,
    /// The node does it, and the answer takes seconds.
    Late,
    /// The connection ends, and seconds later the node does it all the same.
    Afterwards,
}

const FAULTS: [Fault; 8] = [
    Fault::Refused,
    Fault::Unavailable,
    Fault::Failed,
    Fault::Garbage,
    Fault::Cut,
    Fault::Lost,
    Fault::Late,
    Fault::Afterwards,
];

/// Answers that may be old: one in so many is, while there are faults at all.
const OLD_ONE_IN: u64 = 10;
const OLD: [&str; 3] = ["eth_getTransactionCount", "eth_blockNumber", "getblockcount"];
const REMEMBERED: usize = 32;

/// The faults of a proxy, and what it has done so far.
pub(crate) struct Weather {
    percent: AtomicU32,
    calls: AtomicU64,
    faults: [AtomicU64; FAULTS.len()],
    old: AtomicU64,
    past: Mutex<HashMap<String, VecDeque<Value>>>,
    luck: Luck,
}

/// How many calls passed, and what befell them.
#[derive(Clone, Debug, Default)]
pub struct Befallen {
    pub calls: u64,
    pub faults: u64,
    kinds: Vec<(String, u64)>,
}

impl fmt::Display for Befallen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} calls", self.faults, self.calls)?;
        for (number, (kind, count)) in self.kinds.iter().enumerate() {
            write!(f, "{} {count} {kind}", if number == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl Weather {
    /// So many of a hundred calls fail from now on.
    pub(crate) fn turn(&self, percent: u32) {
        self.percent.store(percent, Ordering::Relaxed);
    }

    pub(crate) fn befallen(&self) -> Befallen {
        let mut kinds: Vec<(String, u64)> = FAULTS
            .iter()
            .zip(&self.faults)
            .map(|(fault, count)| (format!("{fault:?}").to_lowercase(), count.load(Ordering::Relaxed)))
            .collect();
        kinds.push(("old".to_owned(), self.old.load(Ordering::Relaxed)));
        let faults = kinds.iter().map(|(_, count)| count).sum();
        Befallen { calls: self.calls.load(Ordering::Relaxed), faults, kinds }
    }

    fn draw(&self) -> Option<Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.luck.below(100) >= u64::from(self.percent.load(Ordering::Relaxed)) {
            return None;
        }
        let which = self.luck.below(FAULTS.len() as u64) as usize;
        self.faults[which].fetch_add(1, Ordering::Relaxed);
        Some(FAULTS[which])
    }

    // A number that was true a while ago, in place of the one that is true now.
    fn age(&self, request: &Message, answer: &mut Message) {
        let Ok(Value::Object(asked)) = serde_json::from_slice::<Value>(&request.body) else { return };
        if !asked["method"].as_str().is_some_and(|method| OLD.contains(&method)) {
            return;
        }
        let Ok(mut told) = serde_json::from_slice::<Value>(&answer.body) else { return };
        let mut past = self.past.lock().expect("no holder panics");
        let past = past.entry(format!("{}{}", asked["method"], asked["params"])).or_default();
        if past.back() != Some(&told["result"]) {
            past.push_back(told["result"].clone());
            past.drain(..past.len().saturating_sub(REMEMBERED));
        }
        if self.percent.load(Ordering::Relaxed) == 0 || self.luck.below(OLD_ONE_IN) != 0 || past.len() < 2 {
            return;
        }
        told["result"] = past[self.luck.below(past.len() as u64 - 1) as usize].clone();
        answer.body = told.to_string().into_bytes();
        self.old.fetch_add(1, Ordering::Relaxed);
    }

    // Some are later than anybody waits.
    fn delay(&self) -> Duration {
        Duration::from_millis(if self.luck.below(4) == 0 { 6_000 } else { 500 + self.luck.below(3_500) })
    }
}

/// A running proxy; dropped, it takes no more connections.
pub(crate) struct Proxy {
    pub(crate) url: String,
    pub(crate) weather: Arc<Weather>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Before the node at `target`, at first without a fault.
    pub(crate) async fn before(target: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let weather = Arc::new(Weather {
            percent: AtomicU32::new(0),
            calls: AtomicU64::new(0),
            faults: Default::default(),
            old: AtomicU64::new(0),
            past: Mutex::default(),
            luck: Luck::new()?,
        });
        let (target, own): (Arc<str>, _) = (target.trim_start_matches("http://").into(), Arc::clone(&weather));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let _ = client.set_nodelay(true);
                let way = Way { target: Arc::clone(&target), weather: Arc::clone(&own), node: None };
                // How a connection ends is no concern of the others.
                tokio::spawn(async move { drop(way.carry(BufReader::new(client)).await) });
            }
        });
        Ok(Self { url, weather, accepting: accepting.abort_handle() })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// One client's connection, and the one to the node behind it.
struct Way {
    target: Arc<str>,
    weather: Arc<Weather>,
    node: Option<BufReader<TcpStream>>,
}

impl Way {
    async fn carry(mut self, mut client: BufReader<TcpStream>) -> io::Result<()> {
        loop {
            if client.buffer().is_empty() && is_a_subscription(&client).await {
                let mut node = TcpStream::connect(&*self.target).await?;
                copy_bidirectional(client.get_mut(), &mut node).await?;
                return Ok(());
            }
            let Some(request) = wire::read(&mut client).await? else { return Ok(()) };
            let fault = self.weather.draw();
            let to = client.get_mut();
            match fault {
                Some(Fault::Refused) => return Ok(()),
                Some(Fault::Unavailable) => {
                    wire::write(to, "HTTP/1.1 503 Service Unavailable", None, "text/plain", b"").await?;
                    continue;
                }
                Some(Fault::Failed) => {
                    let id = serde_json::from_slice::<Value>(&request.body).map(|asked| asked["id"].clone());
                    let error = json!({ "code": -32603, "message": "internal error" });
                    let body = json!({ "jsonrpc": "2.0", "id": id.unwrap_or_default(), "error": error }).to_string();
                    wire::write(to, "HTTP/1.1 200 OK", None, "application/json", body.as_bytes()).await?;
                    continue;
                }
                Some(Fault::Garbage) => {
                    let body = b"<html><body>upstream sent too big header</body></html>";
                    wire::write(to, "HTTP/1.1 200 OK", None, "text/html", body).await?;
                    continue;
                }
                Some(Fault::Afterwards) => {
                    sleep_and_do(self, request);
                    return Ok(());
                }
                Some(Fault::Cut | Fault::Lost | Fault::Late) | None => {}
            }
            let mut answer = self.ask(&request).await?;
            self.weather.age(&request, &mut answer);
            let to = client.get_mut();
            match fault {
                Some(Fault::Lost) => return Ok(()),
                Some(Fault::Cut) => {
                    let half = &answer.body[..answer.body.len() / 2];
                    let head = format!("{}\r\nContent-Length: {}\r\n\r\n", answer.start, answer.body.len());
                    return to.write_all(&[head.as_bytes(), half].concat()).await;
                }
                Some(Fault::Late) => sleep(self.weather.delay()).await,
                _ => {}
            }
            wire::write(to, &answer.start, None, &answer.kind, &answer.body).await?;
            if request.closes {
                return Ok(());
            }
        }
    }

    async fn ask(&mut self, request: &Message) -> io::Result<Message> {
        // A connection that has rested may be closed by now, which shows at its first use.
        if let Some(node) = self.node.take()
            && let Ok(answer) = self.exchange(node, request).await
        {
            return Ok(answer);
        }
        let node = TcpStream::connect(&*self.target).await?;
        node.set_nodelay(true)?;
        self.exchange(BufReader::new(node), request).await
    }

    async fn exchange(&mut self, mut node: BufReader<TcpStream>, request: &Message) -> io::Result<Message> {
        wire::write(node.get_mut(), &request.start, Some(&self.target), &request.kind, &request.body).await?;
        let answer = wire::read(&mut node).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if !answer.closes {
            self.node = Some(node);
        }
        Ok(answer)
    }
}

fn sleep_and_do(mut way: Way, request: Message) {
    tokio::spawn(async move {
        sleep(way.weather.delay()).await;
        let _ = way.ask(&request).await;
    });
}

// Subscriptions are carried as they are: a client must not depend on them.
async fn is_a_subscription(client: &BufReader<TcpStream>) -> bool {
    let mut first = [0; 4];
    matches!(client.get_ref().peek(&mut first).await, Ok(4) if &first == b"GET ")
}
