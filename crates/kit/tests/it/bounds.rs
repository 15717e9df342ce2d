//! What a stranger may cost: time, bytes, connections.

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    routing::{get, post},
};
use futures_util::stream;
use nsl_kit::serve::{collect, is_too_slow};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use super::{GET, ask, connect, read_answer, serve, until_closed};

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn a_slow_head_is_cut_while_others_are_served() {
    let serving = serve(&["http.header_timeout_ms=300"], hello()).await.unwrap();
    let started = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(&serving).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
        slow.push(stream);
    }
    let mut good = connect(&serving).await;
    assert_eq!(ask(&mut good, GET).await.unwrap(), (200, "hello".into()));
    for stream in &mut slow {
        assert!(until_closed(stream).await.is_empty());
    }
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_trickle_of_head_bytes_buys_no_time() {
    let serving = serve(&["http.header_timeout_ms=300"], hello()).await.unwrap();
    let mut stream = connect(&serving).await;
    assert_eq!(ask(&mut stream, GET).await.unwrap().0, 200);
    let started = Instant::now();
    let (mut reader, mut writer) = stream.into_split();
    let trickle = async {
        while writer.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = trickle => {}
        read = until_closed(&mut reader) => assert!(!read.starts_with(b"HTTP/1.1 200")),
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_idle_connection_has_its_own_time() {
    let serving = serve(&["http.header_timeout_ms=100", "http.idle_timeout_ms=800"], hello()).await.unwrap();
    let mut stream = connect(&serving).await;
    assert_eq!(ask(&mut stream, GET).await.unwrap().0, 200);
    let started = Instant::now();
    assert!(until_closed(&mut stream).await.is_empty());
    let lasted = started.elapsed();
    assert!(lasted >= Duration::from_millis(750) && lasted < Duration::from_secs(4), "{lasted:?}");
}

#[tokio::test]
async fn a_slow_body_ends_in_an_error_that_says_so() {
    let (sender, mut seen) = mpsc::channel(1);
    let handler = post(async move |request: Request| {
        let error = collect(request.into_body(), 1 << 20).await.unwrap_err();
        sender.send(is_too_slow(error.as_ref())).await.unwrap();
        "cut"
    });
    let flags = ["http.body_grace_ms=200", "http.body_min_bytes_per_second=1000"];
    let serving = serve(&flags, Router::new().route("/", handler)).await.unwrap();
    let mut stream = connect(&serving).await;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nsome").await.unwrap();
    assert_eq!(seen.recv().await, Some(true));
    assert_eq!(read_answer(&mut stream).await.unwrap().1, "cut");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    // The body is dropped, and the sender with it, when the connection is given up.
    let (sender, mut alive) = mpsc::channel::<()>(1);
    let handler = get(move || {
        let sender = sender.clone();
        async move {
            let chunk = Bytes::from_static(&[0; 65_536]);
            Body::from_stream(stream::repeat_with(move || {
                let _held = &sender;
                Ok::<_, std::io::Error>(chunk.clone())
            }))
        }
    });
    let serving = serve(&["http.write_stall_ms=300"], Router::new().route("/", handler)).await.unwrap();
    let mut stream = connect(&serving).await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    let started = Instant::now();
    serving.drain(Duration::from_secs(20)).await;
    assert_eq!(alive.recv().await, None);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn heads_are_bounded_in_bytes_and_fields() {
    let serving = serve(&["http.max_header_bytes=8192", "http.max_headers=20"], hello()).await.unwrap();
    let many: String = (0..21).map(|n| format!("x-{n}: y\r\n")).collect();
    for head in [
        format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9000)),
    ] {
        let mut stream = connect(&serving).await;
        assert_eq!(ask(&mut stream, &head).await.unwrap().0, 431);
    }
    let mut stream = connect(&serving).await;
    assert_eq!(ask(&mut stream, GET).await.unwrap().0, 200);
}

#[tokio::test]
async fn one_address_has_its_share_and_gets_room_back() {
    let serving = serve(&["http.max_connections_per_address=2"], hello()).await.unwrap();
    let (mut first, mut second) = (connect(&serving).await, connect(&serving).await);
    assert_eq!(ask(&mut first, GET).await.unwrap().0, 200);
    assert_eq!(ask(&mut second, GET).await.unwrap().0, 200);
    let mut third = connect(&serving).await;
    let refused = until_closed(&mut third).await;
    assert!(refused.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&refused));
    drop(first);
    loop {
        let mut again = connect(&serving).await;
        if ask(&mut again, GET).await.is_ok_and(|(status, _)| status == 200) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let exempt = serve(&["http.max_connections_per_address=1", "http.exempt_loopback=true"], hello()).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut stream = connect(&exempt).await;
        assert_eq!(ask(&mut stream, GET).await.unwrap().0, 200);
        held.push(stream);
    }
}

#[tokio::test]
async fn connections_are_bounded_overall() {
    let serving = serve(&["http.max_connections=1"], hello()).await.unwrap();
    let mut first = connect(&serving).await;
    assert_eq!(ask(&mut first, GET).await.unwrap().0, 200);
    assert!(until_closed(&mut connect(&serving).await).await.starts_with(b"HTTP/1.1 503 "));
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Sends frames until the other side closes; returns the error code of its GOAWAY, if it sent one.
async fn flood(url: &nsl_kit::serve::Serving, mut next: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let (mut reader, mut writer) = connect(url).await.into_split();
    let write = async {
        writer.write_all(PREFACE).await?;
        writer.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        for round in 0..100_000 {
            writer.write_all(&next(round)).await?;
        }
        std::io::Result::Ok(())
    };
    let read = async {
        let mut code = None;
        let mut head = [0; 9];
        while reader.read_exact(&mut head).await.is_ok() {
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            if reader.read_exact(&mut payload).await.is_err() {
                break;
            }
            if head[3] == GO_AWAY {
                code = Some(u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]));
            }
        }
        code
    };
    let (wrote, code) = tokio::join!(write, read);
    assert!(wrote.is_err(), "the flood was taken to its end");
    code
}

#[tokio::test]
async fn a_flood_of_http2_resets_is_ended_and_others_are_served() {
    let serving = serve(&[], hello()).await.unwrap();
    // GET / of http://x, and the change of mind.
    let head = [0x82, 0x86, 0x84, 0x41, 0x01, b'x'];
    let code = flood(&serving, |round| {
        let stream = round * 2 + 1;
        let mut both = frame(HEADERS, 0x05, stream, &head);
        both.extend(frame(RESET, 0, stream, &8u32.to_be_bytes()));
        both
    });
    let code = code.await;
    assert!(
        code.is_none_or(|code| code == 11),
        "ENHANCE_YOUR_CALM, unless the reset of the socket came first: {code:?}"
    );
    assert_eq!(ask(&mut connect(&serving).await, GET).await.unwrap().0, 200);
}

#[tokio::test]
async fn an_http2_head_without_end_is_ended() {
    let serving = serve(&[], hello()).await.unwrap();
    let piece = [&[0x00, 0x01, b'a', 0x7f, 0x81, 0x7c][..], &[b'b'; 16_000]].concat();
    flood(&serving, |round| match round {
        0 => frame(HEADERS, 0x01, 1, &[0x82, 0x86, 0x84, 0x41, 0x01, b'x']),
        _ => frame(CONTINUATION, 0, 1, &piece),
    })
    .await;
    assert_eq!(ask(&mut connect(&serving).await, GET).await.unwrap().0, 200);
}
