use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use nsl_core::{Code, Cx, Once, Replay};
use nsl_rpc::{Client, Settings, Via};
use tower::ServiceExt;

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
async fn a_replay_is_told_near_and_far() {
    for (client, ..) in both().await {
        let once = Some(Once { key: "key".into(), fingerprint: "print".into() });
        let cx = Cx { once, replay: Replay::heeded(), ..long() };
        for (then, is_replay) in [(Then::Tell, false), (Then::Repeat, true), (Then::Tell, false), (Then::Repeat, true)]
        {
            let told = client.write(&cx, ask("x", then)).await.unwrap();
            assert_eq!((told.text.as_str(), cx.replay.is_replay()), ("x", is_replay));
        }
        // What is far answers as ever to whoever has no key.
        assert_eq!(client.write(&long(), ask("x", Then::Repeat)).await.unwrap().text, "x");
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

/// What a peer of a neighbouring version might send, straight to the routes.
async fn raw(parrot: &Arc<Parrot>, body: String) -> (u16, serde_json::Value) {
    let request = http::Request::post("/rpc/echo/write").body(axum::body::Body::from(body)).unwrap();
    let routes = EchoClient::routes(Arc::clone(parrot) as Arc<dyn Echo>);
    let response = routes.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 65_536).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn body(request: serde_json::Value, budget_ms: u64) -> String {
    let mut cx = serde_json::to_value(long().to_wire()).unwrap();
    cx["budget_ms"] = budget_ms.into();
    cx["of_a_later_version"] = serde_json::json!({"a": [1]});
    serde_json::json!({"cx": cx, "request": request, "more": true}).to_string()
}

#[tokio::test]
async fn fields_of_a_later_version_are_ignored_and_missing_ones_are_our_fault() {
    let parrot = Parrot::named("p");
    let (status, told) = raw(&parrot, body(serde_json::json!({"text": "x", "new": 1}), 1_000)).await;
    assert_eq!((status, &told["text"]), (200, &"x".into()), "{told}");
    for bad in [body(serde_json::json!({"then": "Tell"}), 1_000), "{}".into(), String::new(), "[".repeat(100_000)] {
        let (status, error) = raw(&parrot, bad).await;
        assert_eq!((status, &error["slug"]), (500, &"rpc.malformed".into()), "{error}");
    }
    assert_eq!(parrot.writes(), 1);
}

#[tokio::test]
async fn the_far_side_gives_up_by_itself() {
    let parrot = Parrot::named("p");
    let (status, error) = raw(&parrot, body(serde_json::json!({"text": "x", "then": "Hang"}), 40)).await;
    assert_eq!((status, &error["code"], &error["slug"]), (504, &"timeout".into(), &"deadline".into()));
    assert_eq!(parrot.dropped.load(Ordering::SeqCst), 1);
    let (status, _) = raw(&parrot, body(serde_json::json!({"text": "x"}), 0)).await;
    assert_eq!((status, parrot.writes()), (504, 1), "what arrives too late is not begun");
}
