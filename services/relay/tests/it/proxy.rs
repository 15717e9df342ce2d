//! What stands between the relay and its node, and lets pass what a test wants.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Gate {
    Open,
    /// Nothing that is sent arrives; all else does.
    NoSends,
    Closed,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    gate: Arc<AtomicU8>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gate = Arc::new(AtomicU8::new(Gate::Open as u8));
        let of_all = Arc::clone(&gate);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(node) = TcpStream::connect(&target).await else { continue };
                tokio::spawn(carry(client, node, Arc::clone(&of_all)));
            }
        });
        Self { url, gate, task }
    }

    pub(crate) fn set(&self, gate: Gate) {
        self.gate.store(gate as u8, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, mut node: TcpStream, gate: Arc<AtomicU8>) {
    const SEND: &[u8] = b"sendrawtransaction";
    let (mut request, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(size @ 1..) = read else { return };
                let gate = gate.load(Ordering::SeqCst);
                let sends = request[..size].windows(SEND.len()).any(|part| part == SEND);
                if gate == Gate::Closed as u8 || (gate == Gate::NoSends as u8 && sends) {
                    return;
                }
                if node.write_all(&request[..size]).await.is_err() {
                    return;
                }
            }
            read = node.read(&mut answer) => {
                let Ok(size @ 1..) = read else { return };
                if client.write_all(&answer[..size]).await.is_err() {
                    return;
                }
            }
        }
    }
}
