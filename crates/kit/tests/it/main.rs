//! The promises of the listeners, on real sockets.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking, and join what they spawn")]

mod bounds;
mod clients;
mod drain;
mod tls;

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use nsl_kit::{
    Check, Loader, Mistakes, Profile,
    serve::{Listener, Serving},
    settings::{HttpSettings, ListenerSettings},
};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

#[derive(Deserialize)]
struct Sections {
    public: ListenerSettings,
    http: HttpSettings,
}

impl Check for Sections {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        mistakes.within("public", |mistakes| self.public.check(profile, mistakes));
        mistakes.within("http", |mistakes| self.http.check(profile, mistakes));
    }
}

/// A listener on a free loopback port with the defaults of the product and these changes.
async fn serve(flags: &[&str], router: Router) -> Result<Arc<Serving>> {
    let mut all = vec!["public.address=127.0.0.1:0"];
    all.extend(flags);
    let loaded = Loader::default().flags(all).load::<Sections>()?;
    let listener = Listener::bind("public", &loaded.value.public, &loaded.value.http).await?;
    Ok(Arc::new(listener.serve(router)))
}

async fn connect(serving: &Serving) -> TcpStream {
    TcpStream::connect(serving.address()).await.expect("the port is open")
}

/// Sends a request and reads the head and body of one answer with a content length.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &str) -> Result<(u16, String)> {
    stream.write_all(request.as_bytes()).await?;
    read_answer(stream).await
}

async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(u16, String)> {
    let mut read = Vec::new();
    loop {
        let mut byte = [0];
        anyhow::ensure!(stream.read(&mut byte).await? == 1, "closed after {:?}", String::from_utf8_lossy(&read));
        read.push(byte[0]);
        if read.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(read)?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(Ok(0), str::parse)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let status = head.split(' ').nth(1).unwrap_or_default().parse()?;
    Ok((status, String::from_utf8(body)?))
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Reads until the other side closes, one way or another; returns what came.
async fn until_closed<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut read = Vec::new();
    // A reset is a way of closing.
    let _ = stream.read_to_end(&mut read).await;
    read
}
