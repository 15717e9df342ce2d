//! A stranger in place of a node, that answers what a test says.

use std::{net::SocketAddr, sync::Arc};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What is written to the connection, which then ends.
pub(crate) type Answer = Vec<u8>;

pub(crate) struct Canned {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Canned {
    pub(crate) async fn answering(answer: impl Fn(Value) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(answer);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                connections.spawn(async move {
                    let _ = one(stream, &*answer).await;
                });
            }
        });
        Self { address, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn one(mut stream: TcpStream, answer: &(dyn Fn(Value) -> Answer + Send + Sync)) -> std::io::Result<()> {
    let mut read = Vec::new();
    let request = loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(request) = serde_json::from_str::<Value>(body)
        {
            break request;
        }
    };
    stream.write_all(&answer(request)).await?;
    stream.shutdown().await
}

/// An answer of HTTP with a body of JSON.
pub(crate) fn with_body(status: &str, body: &str) -> Answer {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into_bytes()
}

/// The answer to a request, as a node gives it.
pub(crate) fn result(request: &Value, result: Value) -> Answer {
    with_body("200 OK", &json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string())
}
