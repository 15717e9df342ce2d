//! The stop: what is in flight finishes, and it all ends in its budget.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Extension, Router, routing::get};
use nsl_kit::serve::Leaving;
use tokio::{net::TcpStream, sync::Notify};

use super::{GET, ask, connect, serve, until_closed};

struct Gate {
    entered: Notify,
    open: Notify,
}

fn gated() -> (Arc<Gate>, Router) {
    let gate = Arc::new(Gate { entered: Notify::new(), open: Notify::new() });
    let held = Arc::clone(&gate);
    let handler = get(move || {
        let gate = Arc::clone(&held);
        async move {
            gate.entered.notify_one();
            gate.open.notified().await;
            "finished"
        }
    });
    (gate, Router::new().route("/slow", handler).route("/", get(|| async { "quick" })))
}

#[tokio::test]
async fn a_long_answer_is_told_to_end() {
    let entered = Arc::new(Notify::new());
    let began = Arc::clone(&entered);
    let follow = get(move |Extension(leaving): Extension<Leaving>| {
        let began = Arc::clone(&began);
        async move {
            began.notify_one();
            leaving.wait().await;
            "told"
        }
    });
    let serving = serve(&[], Router::new().route("/", follow)).await.unwrap();
    let mut busy = connect(&serving).await;
    let asked = tokio::spawn(async move { ask(&mut busy, GET).await });
    entered.notified().await;
    assert!(serving.drain(Duration::from_secs(8)).await, "without anything that was cut off");
    assert_eq!(asked.await.unwrap().unwrap(), (200, "told".into()));
}

#[tokio::test]
async fn a_request_in_flight_finishes_and_nothing_new_is_taken() {
    let (gate, router) = gated();
    let serving = serve(&[], router).await.unwrap();
    let mut idle = connect(&serving).await;
    assert_eq!(ask(&mut idle, GET).await.unwrap().0, 200);
    let mut silent = connect(&serving).await;
    let mut busy = connect(&serving).await;
    let asked = tokio::spawn(async move {
        let answer = ask(&mut busy, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        (answer, until_closed(&mut busy).await)
    });
    gate.entered.notified().await;
    let drain = tokio::spawn({
        let serving = Arc::clone(&serving);
        async move { serving.drain(Duration::from_secs(8)).await }
    });
    assert!(until_closed(&mut idle).await.is_empty(), "an idle connection is closed at once");
    assert!(until_closed(&mut silent).await.is_empty(), "so is one that never asked");
    assert!(TcpStream::connect(serving.address()).await.is_err(), "the port is closed");
    assert!(!drain.is_finished());
    gate.open.notify_one();
    let (answer, rest) = asked.await.unwrap();
    assert_eq!(answer, (200, "finished".into()));
    assert!(rest.is_empty());
    assert!(drain.await.unwrap());
}

#[tokio::test]
async fn http2_requests_finish_too() {
    let (gate, router) = gated();
    let serving = serve(&[], router).await.unwrap();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("{}/slow", serving.url());
    let asked = tokio::spawn(async move { client.get(url).send().await.unwrap().text().await.unwrap() });
    gate.entered.notified().await;
    let drain = tokio::spawn({
        let serving = Arc::clone(&serving);
        async move { serving.drain(Duration::from_secs(8)).await }
    });
    while TcpStream::connect(serving.address()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.open.notify_one();
    assert_eq!(asked.await.unwrap(), "finished");
    assert!(drain.await.unwrap());
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_process() {
    let (gate, router) = gated();
    let serving = serve(&[], router).await.unwrap();
    let mut busy = connect(&serving).await;
    let asked = tokio::spawn(async move { ask(&mut busy, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await });
    gate.entered.notified().await;
    let started = Instant::now();
    assert!(!serving.drain(Duration::from_millis(300)).await);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(asked.await.unwrap().is_err());
}
