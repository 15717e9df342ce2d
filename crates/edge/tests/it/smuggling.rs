use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::rig::{KEY, Rig};

/// Sends bytes as they are, closes the sending side, and reads until the other side has closed too.
async fn talk(rig: &Rig, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(rig.address).await.unwrap();
    // The other side may answer and close before it has read everything.
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open after {}", String::from_utf8_lossy(bytes));
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect()
}

const HIDDEN: &str = "GET /v1/echo/hidden HTTP/1.1\r\nhost: a\r\n\r\n";

fn post(fields: &str, body: &str) -> String {
    format!(
        "POST /v1/echo/store HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\n{fields}\r\n{body}"
    )
}

/// Requests that two readers take for different things. None may make a second request of its inside.
fn corpus() -> Vec<(&'static str, String)> {
    let chunked_end = format!("0\r\n\r\n{HIDDEN}");
    let length = chunked_end.len();
    let te = |field: &str| post(&format!("content-length: {length}\r\n{field}\r\n"), &chunked_end);
    let get = |line: &str| format!("{line}\r\nhost: a\r\n\r\n{HIDDEN}");
    vec![
        ("CL.TE", te("transfer-encoding: chunked")),
        ("TE.CL", post(&format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"), &chunked_end)),
        ("TE with a space before the colon", te("transfer-encoding : chunked")),
        ("TE with a tab before the colon", te("transfer-encoding\t: chunked")),
        ("TE after a space", te(" transfer-encoding: chunked")),
        ("TE folded", te("transfer-encoding:\r\n chunked")),
        ("TE with a vertical tab", te("transfer-encoding: \x0bchunked")),
        ("TE in quotes", te("transfer-encoding: \"chunked\"")),
        ("TE unknown", te("transfer-encoding: xchunked")),
        ("TE chunked, identity", te("transfer-encoding: chunked, identity")),
        ("TE identity", te("transfer-encoding: identity")),
        ("TE chunked twice", te("transfer-encoding: chunked, chunked")),
        ("TE two fields", te("transfer-encoding: chunked\r\ntransfer-encoding: x")),
        ("TE two fields, the other order", te("transfer-encoding: x\r\ntransfer-encoding: chunked")),
        ("TE gzip, chunked", te("transfer-encoding: gzip, chunked")),
        ("TE null byte", te("transfer-encoding: chunked\0")),
        ("TE upper case", te("Transfer-Encoding: CHUNKED")),
        ("TE in HTTP/1.0", te("transfer-encoding: chunked").replacen("HTTP/1.1", "HTTP/1.0", 1)),
        ("two lengths", post(&format!("content-length: 0\r\ncontent-length: {}\r\n", HIDDEN.len()), HIDDEN)),
        ("two lengths in one field", post(&format!("content-length: {}, {}\r\n", HIDDEN.len(), HIDDEN.len()), HIDDEN)),
        ("length with a plus", post(&format!("content-length: +{}\r\n", HIDDEN.len()), HIDDEN)),
        ("negative length", post("content-length: -1\r\n", HIDDEN)),
        ("hexadecimal length", post("content-length: 0x10\r\n", HIDDEN)),
        ("length with a space inside", post("content-length: 1 0\r\n", HIDDEN)),
        ("length too large to be", post("content-length: 99999999999999999999999999\r\n", HIDDEN)),
        ("length that overflows to zero", post("content-length: 18446744073709551616\r\n", HIDDEN)),
        ("empty length", post("content-length: \r\n", HIDDEN)),
        ("length and a space before the colon", post("content-length : 0\r\n", HIDDEN)),
        ("chunk size with a sign", post("transfer-encoding: chunked\r\n", &format!("-1\r\n\r\n{HIDDEN}"))),
        ("chunk size with 0x", post("transfer-encoding: chunked\r\n", &format!("0x1\r\na\r\n{chunked_end}"))),
        (
            "chunk size too large to be",
            post("transfer-encoding: chunked\r\n", &format!("fffffffffffffffff\r\n{HIDDEN}")),
        ),
        ("chunk ends early", post("transfer-encoding: chunked\r\n", &format!("5\r\nab\r\n{chunked_end}"))),
        ("chunk ends late", post("transfer-encoding: chunked\r\n", &format!("1\r\nabc\r\n{chunked_end}"))),
        (
            "chunk extension with a bare line feed",
            post("transfer-encoding: chunked\r\n", &format!("0;a\nb\r\n\r\n{HIDDEN}")),
        ),
        ("bare line feed after a chunk", post("transfer-encoding: chunked\r\n", &format!("1\nx\n0\n\n{HIDDEN}"))),
        ("bare carriage return in a field", post("x-a: b\rcontent-length: 0\r\n", HIDDEN)),
        ("line feed in a value", post("x-a: b\ntransfer-encoding: chunked\r\n", &chunked_end)),
        ("null in a name", post("x\0a: b\r\ncontent-length: 0\r\n", HIDDEN)),
        ("a field without a colon", post("x-a\r\ncontent-length: 0\r\n", HIDDEN)),
        ("an empty name", post(": b\r\ncontent-length: 0\r\n", HIDDEN)),
        ("two hosts", "GET /v1/echo/open HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned()),
        ("a space in the target", get("GET /v1/echo /open HTTP/1.1")),
        ("no version", get("GET /v1/echo/open")),
        ("another version", get("GET /v1/echo/open HTTP/1.2")),
        ("a lower-case version", get("GET /v1/echo/open http/1.1")),
        ("a method with a null", get("GE\0T /v1/echo/open HTTP/1.1")),
        ("a second request line", "GET /v1/echo/open HTTP/1.1\r\nGET /v1/echo/hidden HTTP/1.1\r\n\r\n".to_owned()),
        ("an HTTP/2 preface that is cut", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_owned()),
    ]
}

#[tokio::test]
async fn no_request_is_taken_for_two() {
    let rig = Rig::start(&[]).await;
    for (name, request) in corpus() {
        let answer = talk(&rig, request.as_bytes()).await;
        let got = statuses(&answer);
        assert!(got.len() <= 1, "{name}: {got:?}");
        assert!(got.iter().all(|status| status.starts_with('4')), "{name}: {answer}");
        let reached = rig.service.reached.lock().clone();
        assert!(!reached.iter().any(|seen| seen.contains("hidden")), "{name}: {reached:?}");
    }
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn honest_requests_share_a_connection_until_one_is_chunked() {
    let rig = Rig::start(&[]).await;
    let body = r#"{"key":"k","value":1}"#;
    let plain = post(&format!("content-length: {}\r\n", body.len()), body);
    let chunked = post("transfer-encoding: chunked\r\n", &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    let answer = talk(&rig, format!("{plain}{plain}{chunked}{plain}").as_bytes()).await;
    assert_eq!(statuses(&answer), ["200", "200", "200"], "nothing after a chunked request is believed");
    assert!(answer.to_ascii_lowercase().contains("connection: close"));
    rig.stop().await;
}

/// The shapes in which HTTP/2 requests smuggle when a proxy writes them out as HTTP/1: here nobody does,
/// but they are refused all the same.
#[tokio::test]
async fn http2_requests_with_fields_of_http1_are_refused() {
    let rig = Rig::start(&[]).await;
    for (name, value) in [
        ("transfer-encoding", "chunked"),
        ("connection", "transfer-encoding"),
        ("content-length", "5"),
        ("content-length", "0"),
        ("host", "b"),
    ] {
        let outcome = h2_post(&rig, name, value).await;
        assert!(outcome.as_ref().map_or(true, |status| *status >= 400), "{name}: {value} was {outcome:?}");
    }
    assert_eq!(rig.service.was_reached(), 0);
    assert_eq!(h2_post(&rig, "x-plain", "1").await.unwrap(), 200);
    rig.stop().await;
}

// A hand-written HTTP/2 client: no library sends what these requests need.
async fn h2_post(rig: &Rig, name: &str, value: &str) -> Result<u16, String> {
    let body = br#"{"key":"k","value":1}"#;
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/echo/store"),
        (":authority", "a"),
        ("x-api-key", KEY),
        ("content-type", "application/json"),
        (name, value),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        // Literal without indexing, new name, no Huffman coding (RFC 7541 section 6.2.2).
        block.extend([0, name.len() as u8]);
        block.extend(name.as_bytes());
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let size = (payload.len() as u32).to_be_bytes();
        [&size[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let mut socket = TcpStream::connect(rig.address).await.unwrap();
    let hello = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, 4, 1, &block),
        frame(0, 1, 1, body),
    ];
    socket.write_all(&hello.concat()).await.unwrap();
    loop {
        let mut head = [0; 9];
        let read = timeout(Duration::from_secs(10), socket.read_exact(&mut head)).await.expect("an answer in time");
        read.map_err(|error| format!("closed: {error}"))?;
        let size = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; size];
        socket.read_exact(&mut payload).await.map_err(|error| error.to_string())?;
        match head[3] {
            1 => return h2_status(&payload).ok_or_else(|| "no status".to_owned()),
            3 => return Err("the stream was reset".to_owned()),
            7 => return Err("the connection was ended".to_owned()),
            _ => {}
        }
    }
}

// `:status` comes first: indexed (RFC 7541 appendix A, entries 8 to 14) or as a literal of its own.
fn h2_status(block: &[u8]) -> Option<u16> {
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20)?;
    let block = &block[start..];
    match block.first()? {
        indexed @ 0x88..=0x8e => Some([200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]),
        _ => {
            let (length, text) = (block.get(1)?, block.get(2..)?);
            match length & 0x80 {
                0 => std::str::from_utf8(text.get(..usize::from(*length))?).ok()?.parse().ok(),
                // Huffman: digits have five or six bits; a first digit of 4 is all that is asked here.
                _ => Some(if text.first()? >> 2 == 0b011010 { 400 } else { 200 }),
            }
        }
    }
}
