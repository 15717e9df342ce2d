use std::{sync::Arc, time::Duration};

use nsl_core::{Clock, Code, ManualClock, SystemClock};
use nsl_rpc::{Dialer, Guard, Settings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    echo::{Parrot, Server, channel_with, client, clock, cx, keys, long, plain},
    proxy::{Fault, Proxy},
};

const ANY: &str = "127.0.0.1:0";

async fn raw(server: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut buffer = vec![0; 65_536];
    let mut reply = Vec::new();
    while !reply.ends_with(b"}") {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&reply));
        reply.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn a_stranger_gets_401_and_runs_nothing() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    // The body is announced and never sent: a stranger is turned away before it is awaited.
    let bare = "POST /rpc/echo/write HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n";
    for head in ["", "x-nsl-peer: 1 2 3 4 5\r\n", "x-nsl-peer: \r\n", "x-nsl-peer: \u{e4}\r\n"] {
        let reply = raw(server.address, format!("{bare}{head}\r\n").as_bytes()).await;
        assert!(reply.starts_with("HTTP/1.1 401 ") && reply.contains("peer.refused"), "{head}: {reply}");
        assert!(!reply.to_lowercase().contains("x-nsl-peer"), "a stranger gets no proof");
    }
    let reply = raw(server.address, b"POST /rpc/other/call HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 401 "), "nor does it learn which routes there are: {reply}");
    assert_eq!(parrot.writes(), 0);
}

#[tokio::test]
async fn a_guard_without_any_proof_lets_nobody_in() {
    let parrot = Parrot::named("p");
    let server = Server::at(ANY.parse().unwrap(), &parrot, Guard::new(clock(), 1 << 20)).await;
    let channel = channel_with(Settings::default(), &[server.address]);
    assert_eq!(client(&channel).write(&long(), plain()).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(parrot.writes(), 0);
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_the_caller_is_not_blamed() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let dialer = Dialer::new(Settings::default(), Some(keys(&["other"])), None, clock()).unwrap();
    let channel = dialer.channel("echo", &[format!("http://{}", server.address)]).unwrap();
    let error = client(&channel).write(&long(), plain()).await.unwrap_err();
    assert_eq!((error.code, error.slug.as_ref()), (Code::Unavailable, "peer.unreachable"));
    assert!(error.retry_after_ms.is_some());
    assert_eq!(parrot.writes(), 0);
}

#[tokio::test]
async fn keys_rotate_without_a_gap() {
    let parrot = Parrot::named("p");
    let both = Guard::new(clock(), 1 << 20).with_keys(keys(&["new", "old"]));
    let server = Server::at(ANY.parse().unwrap(), &parrot, both).await;
    for signer in [&["old"][..], &["old", "new"], &["new", "old"], &["new"]] {
        let dialer = Dialer::new(Settings::default(), Some(keys(signer)), None, clock()).unwrap();
        let channel = dialer.channel("echo", &[format!("http://{}", server.address)]).unwrap();
        client(&channel).write(&long(), plain()).await.unwrap_or_else(|error| panic!("{signer:?}: {error}"));
    }
    assert_eq!(parrot.writes(), 4);
}

#[tokio::test]
async fn a_replayed_call_is_not_run_again() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let proxy = Proxy::before(server.address).await;
    client(&channel_with(Settings::default(), &[proxy.address])).write(&long(), plain()).await.unwrap();
    let heard = proxy.heard.lock().clone();
    for _ in 0..3 {
        let reply = raw(server.address, &heard).await;
        assert!(reply.starts_with("HTTP/1.1 401 ") && reply.contains("replayed"), "{reply}");
    }
    assert_eq!(parrot.writes(), 1);
}

#[tokio::test]
async fn a_changed_body_is_not_run() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let proxy = Proxy::before(server.address).await;
    proxy.set(Fault::BendRequest);
    let channel = channel_with(Settings::default(), &[proxy.address]);
    assert_eq!(client(&channel).write(&long(), plain()).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(parrot.writes(), 0);
}

#[tokio::test]
async fn a_changed_or_foreign_reply_is_not_believed() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let proxy = Proxy::before(server.address).await;
    let channel = channel_with(Settings::default(), &[proxy.address]);
    client(&channel).write(&long(), plain()).await.unwrap();
    proxy.set(Fault::BendReply);
    let error = client(&channel).write(&long(), plain()).await.unwrap_err();
    assert_eq!((error.code, error.slug.as_ref()), (Code::Unavailable, "peer.unreachable"));
    assert_eq!(parrot.writes(), 2, "it was run, so it is not repeated");

    // Whoever listens at the address without the key can answer what it likes.
    let routes =
        axum::Router::new().fallback(|| async { "{\"text\":\"\",\"by\":\"\",\"tenant\":\"t\",\"remaining_ms\":1}" });
    let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let liar = tokio::spawn(async move { axum::serve(listener, routes).await });
    let error = client(&channel_with(Settings::default(), &[address])).read(&long(), plain()).await.unwrap_err();
    assert_eq!(error.slug, "peer.unreachable");
    liar.abort();
}

#[tokio::test]
async fn a_call_signed_too_early_or_too_late_is_refused() {
    let parrot = Parrot::named("p");
    let start = SystemClock.now();
    for (off, runs) in [(-31_000i64, false), (-29_000, false), (-1, false), (0, true), (29_000, true), (31_000, false)]
    {
        let before = parrot.writes();
        // A process that has just started: nothing signed before its start is let in either.
        let guard = Guard::new(Arc::new(ManualClock::at(start)), 1 << 20).with_keys(keys(&["key"]));
        let server = Server::at(ANY.parse().unwrap(), &parrot, guard).await;
        let sender = ManualClock::at(start);
        sender.set(nsl_core::Timestamp(start.0 + off * 1_000));
        let dialer = Dialer::new(Settings::default(), Some(keys(&["key"])), None, Arc::new(sender)).unwrap();
        let channel = dialer.channel("echo", &[format!("http://{}", server.address)]).unwrap();
        let result = client(&channel).write(&cx(Duration::from_secs(5)), plain()).await;
        assert_eq!((result.is_ok(), parrot.writes() - before), (runs, u32::from(runs)), "{off} ms");
    }
}

#[tokio::test]
async fn a_service_that_is_not_run_there_is_said_so() {
    let routes = nsl_rpc::Wire::new([], Default::default()).finish(crate::echo::guard()).unwrap();
    let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let error = client(&channel_with(Settings::default(), &[address])).read(&long(), plain()).await.unwrap_err();
    assert_eq!((error.code, error.slug.as_ref()), (Code::Unavailable, "rpc.not_served"));
    server.abort();
}
