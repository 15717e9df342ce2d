//! A TCP proxy that fails as it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Every so many requests are dropped, half of them after the node has got them; zero drops none.
#[derive(Default)]
struct Faults {
    drop_every: AtomicU64,
    delay_ms: AtomicU64,
    // Requests are swallowed and never answered.
    mute: AtomicU64,
    // The height is told higher than it is.
    boasts: AtomicU64,
    // A method that the node is made not to know.
    hidden: Mutex<Option<&'static str>>,
    seen: AtomicU64,
    dropped: AtomicU64,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    faults: Arc<Faults>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// In front of a node, at first without a fault.
    pub(crate) async fn before(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let faults = Arc::new(Faults::default());
        let task = tokio::spawn({
            let faults = Arc::clone(&faults);
            async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    let Ok(node) = TcpStream::connect(&target).await else { continue };
                    tokio::spawn(carry(client, node, Arc::clone(&faults)));
                }
            }
        });
        Self { url, faults, task }
    }

    pub(crate) fn drop_every(&self, requests: u64) {
        self.faults.drop_every.store(requests, Ordering::SeqCst);
    }

    pub(crate) fn delay(&self, span: Duration) {
        self.faults.delay_ms.store(span.as_millis() as u64, Ordering::SeqCst);
    }

    pub(crate) fn mute(&self, on: bool) {
        self.faults.mute.store(on.into(), Ordering::SeqCst);
    }

    /// From now on the height has a nine in front.
    pub(crate) fn boast(&self) {
        self.faults.boasts.store(1, Ordering::SeqCst);
    }

    pub(crate) fn hide(&self, method: &'static str) {
        *self.faults.hidden.lock() = Some(method);
    }

    pub(crate) fn seen(&self) -> u64 {
        self.faults.seen.load(Ordering::SeqCst)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.faults.dropped.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// One piece of what the client writes is one request, or its end: our requests are small.
async fn carry(mut client: TcpStream, mut node: TcpStream, faults: Arc<Faults>) {
    let (mut request, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut lies = false;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(size @ 1..) = read else { return };
                let number = faults.seen.fetch_add(1, Ordering::SeqCst);
                let every = faults.drop_every.load(Ordering::SeqCst);
                let dropped = every != 0 && number.is_multiple_of(every);
                if dropped {
                    faults.dropped.fetch_add(1, Ordering::SeqCst);
                    if (number / every).is_multiple_of(2) {
                        return;
                    }
                }
                if faults.mute.load(Ordering::SeqCst) != 0 {
                    continue;
                }
                tokio::time::sleep(Duration::from_millis(faults.delay_ms.load(Ordering::SeqCst))).await;
                let has = |method: &[u8]| request[..size].windows(method.len()).any(|part| part == method);
                lies = faults.boasts.load(Ordering::SeqCst) != 0 && (has(b"getblockcount") || has(b"eth_blockNumber"));
                let hidden = *faults.hidden.lock();
                if let Some(hidden) = hidden
                    && let Some(at) = request[..size].windows(hidden.len()).position(|part| part == hidden.as_bytes())
                {
                    request[at] = b'?';
                }
                if node.write_all(&request[..size]).await.is_err() {
                    return;
                }
                if dropped {
                    // The node has got it, and nobody hears its answer.
                    let _ = node.read(&mut answer).await;
                    return;
                }
            }
            read = node.read(&mut answer) => {
                let Ok(size @ 1..) = read else { return };
                let result = b"\"result\":";
                if lies && let Some(at) = answer[..size].windows(result.len()).position(|part| part == result) {
                    let is_height = |at: &usize| matches!(answer[*at], b'1'..=b'9' | b'a'..=b'f');
                    if let Some(first) = (at + result.len()..size).find(is_height) {
                        answer[first] = b'9';
                    }
                }
                if client.write_all(&answer[..size]).await.is_err() {
                    return;
                }
            }
        }
    }
}
