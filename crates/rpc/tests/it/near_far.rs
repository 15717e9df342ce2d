use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use nsl_core::Code;
use nsl_rpc::{Client, Settings, Via};

use crate::echo::{Echo, EchoClient, Parrot, Server, Then, ask, channel_with, client, cx, eventually, long, plain};

/// The same client twice: to an object of this process, and over a socket.
async fn both() -> [(EchoClient, Arc<Parrot>, Option<Server>); 3] {
    let (near, far, far2) = (Parrot::named("parrot"), Parrot::named("parrot"), Parrot::named("parrot"));
    let (server, server2) = (Server::start(&far).await, Server::start(&far2).await);
    let local = EchoClient::new(Via::Local(Arc::clone(&near) as Arc<dyn Echo>));
    let remote = client(&channel_with(Settings::default(), &[server.address]));
    let remote2 = client(&channel_with(Settings { http2: true, ..Settings::default() }, &[server2.address]));
    [(local, near, None), (remote, far, Some(server)), (remote2, far2, Some(server2))]
}

#[tokio::test]
async fn a_reply_is_the_same_near_and_far() {
    for (client, parrot, _server) in both().await {
        let told = client.write(&long(), ask("grüße \"\u{1F99C}\"", Then::Tell)).await.unwrap();
        assert_eq!((told.text.as_str(), told.by.as_str()), ("grüße \"\u{1F99C}\"", "parrot"));
        assert_eq!(told.tenant, long().tenant);
        assert!((9_000..=10_000).contains(&told.remaining_ms), "{}", told.remaining_ms);
        client.read(&long(), plain()).await.unwrap();
        assert_eq!((parrot.writes(), parrot.reads()), (1, 1));
    }
}

#[tokio::test]
async fn an_error_is_the_same_near_and_far() {
    let codes = [
        Code::Invalid,
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::Conflict,
        Code::Exhausted,
        Code::Timeout,
        Code::Unavailable,
        Code::Internal,
    ];
    for (client, ..) in both().await {
        for code in codes {
            let error = client.write(&long(), ask("x", Then::Fail(code))).await.unwrap_err();
            assert_eq!((error.code, error.slug.as_ref()), (code, "echo.told_to_fail"));
            assert_eq!(error.message, "as you wished");
            assert_eq!(error.details["text"], "x");
            assert_eq!(error.retry_after_ms, Some(1_250));
            assert!(error.cause().is_none(), "a private cause stays where it was logged");
        }
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_the_work() {
    for (client, parrot, _server) in both().await {
        let error = client.write(&cx(Duration::from_millis(80)), ask("x", Then::Hang)).await.unwrap_err();
        assert_eq!((error.code, error.slug.as_ref()), (Code::Timeout, "deadline"));
        eventually("the work is dropped", async || parrot.dropped.load(Ordering::SeqCst) == 1).await;
    }
}

#[tokio::test]
async fn a_passed_deadline_runs_nothing() {
    for (client, parrot, _server) in both().await {
        let error = client.write(&cx(Duration::ZERO), plain()).await.unwrap_err();
        assert_eq!(error.code, Code::Timeout);
        assert_eq!(parrot.writes(), 0);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_the_work() {
    for (client, parrot, _server) in both().await {
        let call = async { client.write(&long(), ask("x", Then::Hang)).await };
        let gone = async { eventually("it is being worked on", async || parrot.writes() == 1).await };
        tokio::select! { _ = call => panic!("a hanging call came back"), () = gone => {} }
        eventually("the work is dropped", async || parrot.dropped.load(Ordering::SeqCst) == 1).await;
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_harms_no_other_call() {
    for (client, ..) in both().await {
        let (error, other) =
            tokio::join!(async { client.write(&long(), ask("x", Then::Panic)).await.unwrap_err() }, async {
                client.read(&long(), ask("y", Then::Linger(50))).await
            });
        assert_eq!((error.code, error.slug.as_ref()), (Code::Internal, "internal"));
        assert!(!error.message.contains("told to panic"));
        assert_eq!(other.unwrap().text, "y");
    }
}

#[tokio::test]
async fn a_call_larger_than_peers_take_is_refused_before_it_is_sent() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    let client = client(&channel_with(Settings { body_limit: 4_096, ..Settings::default() }, &[server.address]));
    let error = client.write(&long(), ask(&"x".repeat(5_000), Then::Tell)).await.unwrap_err();
    assert_eq!((error.code, error.slug.as_ref()), (Code::Invalid, "rpc.too_large"));
    assert_eq!(parrot.writes(), 0);
    client.write(&long(), ask(&"x".repeat(3_000), Then::Tell)).await.unwrap();
}

#[tokio::test]
async fn five_mebibytes_travel() {
    let parrot = Parrot::named("p");
    let server = Server::start(&parrot).await;
    for http2 in [false, true] {
        let client = client(&channel_with(Settings { http2, ..Settings::default() }, &[server.address]));
        let text = "y".repeat(5 << 20);
        assert_eq!(client.write(&long(), ask(&text, Then::Tell)).await.unwrap().text, text);
    }
}
