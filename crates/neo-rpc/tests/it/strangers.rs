//! Answers of somebody who is no node, or a broken one: each a failure of its own kind, and no secret in any.

use std::time::Duration;

use neo_rpc::{
    Client, Code, Endpoint, Error, Settings,
    watch::{Interest, Options, Subscription, Websocket},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    canned::{Answer, Canned, result, with_body},
    net::Net,
};

async fn asked(answer: impl Fn(Value) -> Answer + Send + Sync + 'static) -> neo_rpc::Result<u32> {
    let stranger = Canned::answering(answer).await;
    let settings = Settings { timeout: Duration::from_millis(500), most_answer: 1000, ..Settings::default() };
    let url = format!("http://user:SECRET@{}/path-SECRET?key=SECRET", stranger.address);
    let client = Client::with(Endpoint::http(&url).unwrap(), &settings).unwrap();
    let answer = client.block_count().await;
    let all = format!("{client:?} {answer:?} {}", answer.as_ref().err().map(ToString::to_string).unwrap_or_default());
    assert!(!all.contains("SECRET"), "{all}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods, reason = "the test is about variables")]
async fn no_variable_of_the_environment_puts_somebody_in_between() {
    const NODE: &str = "NODE_OF_THIS_TEST";
    // Variables are of a process: this test runs itself in another one.
    if let Ok(url) = std::env::var(NODE) {
        assert_eq!(Client::new(&url).unwrap().block_count().await, Ok(7));
        return;
    }
    let node = Canned::answering(|request| result(&request, json!(7))).await;
    let between = Canned::answering(|request| result(&request, json!(13))).await;
    let name = "strangers::no_variable_of_the_environment_puts_somebody_in_between";
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args([name, "--exact"]).env(NODE, format!("http://0.0.0.0:{}", node.address.port()));
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(name, between.url());
    }
    let done = again.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[tokio::test]
async fn each_is_told_apart() {
    assert_eq!(asked(|request| result(&request, json!(7))).await, Ok(7));

    let busy =
        asked(|_| b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow".to_vec()).await.unwrap_err();
    assert!(matches!(busy, Error::Status { status: 429, retry_after: Some(after), .. } if after.as_secs() == 7));
    assert!(busy.is_transient());
    let denied = asked(|_| with_body("403 Forbidden", "<html>")).await.unwrap_err();
    assert!(matches!(denied, Error::Status { status: 403, .. }) && !denied.is_transient());
    // A node may refuse with a status as well: its words count.
    let refusal = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
    let refused = asked(move |_| with_body("400 Bad Request", refusal)).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::ParseError));

    let aside = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/SECRET\r\nContent-Length: 0\r\n\r\n";
    assert!(matches!(asked(|_| aside.into()).await, Err(Error::Status { status: 302, .. })));
    for body in ["", "<html>", "7", "[]", "{}", r#"{"result":"#] {
        assert!(matches!(asked(move |_| with_body("200 OK", body)).await, Err(Error::Malformed { .. })), "{body}");
    }
    let other = asked(|_| with_body("200 OK", r#"{"jsonrpc":"2.0","id":"7","result":7}"#)).await;
    assert!(matches!(other, Err(Error::Malformed { .. })), "the answer to another request");
    for wrong in [json!(null), json!(-1), json!("7"), json!(1_u64 << 40), json!([7])] {
        assert!(matches!(asked(move |request| result(&request, wrong.clone())).await, Err(Error::Malformed { .. })));
    }

    let cut = asked(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()).await.unwrap_err();
    assert!(matches!(cut, Error::Lost { .. }) && cut.may_have_arrived(), "{cut:?}");
    assert!(matches!(asked(|_| Vec::new()).await, Err(Error::Lost { .. })));
    let large = asked(|request| result(&request, json!("x".repeat(2000)))).await;
    assert_eq!(large, Err(Error::TooLarge { method: "getblockcount", most: 1000 }));
    let endless = asked(|_| [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b' '; 2000]].concat()).await;
    assert_eq!(endless, Err(Error::TooLarge { method: "getblockcount", most: 1000 }));
    let deep =
        asked(|request| with_body("200 OK", &format!(r#"{{"id":{},"x":{}"#, request["id"], "[".repeat(900)))).await;
    assert!(matches!(deep, Err(Error::Malformed { .. })), "{deep:?}");
}

#[tokio::test]
async fn silence_ends_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings { timeout: Duration::from_millis(200), ..Settings::default() };
    let client = Client::with(Endpoint::http(&url).unwrap(), &settings).unwrap();
    let error = timeout(Duration::from_secs(10), client.block_count()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }) && error.may_have_arrived(), "{error:?}");
}

#[tokio::test]
async fn a_batch_has_each_answer_once() {
    let of = |ids: &'static [u64]| async move {
        let stranger = Canned::answering(move |requests| {
            let first = requests[0]["id"].as_u64().unwrap();
            let answers: Vec<_> = ids.iter().map(|id| json!({"id": first + id, "result": id})).collect();
            with_body("200 OK", &json!(answers).to_string())
        })
        .await;
        let client = Client::new(&stranger.url()).unwrap();
        client.batch::<u64>("getblockhash", &[vec![json!(0)], vec![json!(1)], vec![json!(2)]]).await
    };
    assert_eq!(of(&[2, 0, 1]).await.unwrap(), [Ok(0), Ok(1), Ok(2)]);
    for wrong in [&[0, 1][..], &[0, 1, 1], &[0, 1, 2, 3], &[0, 1, 2, 2]] {
        assert!(of(wrong).await.is_err(), "{wrong:?}");
    }
    let refusing =
        Canned::answering(|_| with_body("200 OK", r#"{"id":null,"error":{"code":-32600,"message":"no"}}"#)).await;
    let client = Client::new(&refusing.url()).unwrap();
    let refused = client.batch::<u64>("getblockhash", &[vec![], vec![]]).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::InvalidRequest));
}

/// Before a node, somebody who does not know a method and lies about another.
async fn before(net: &Net, change: impl Fn(&Value, Value) -> Value + Send + Sync + 'static) -> Canned {
    let node = net.node.rpc.trim_start_matches("http://").to_owned();
    Canned::answering(move |request| {
        use std::io::{Read, Write};
        let body = request.to_string();
        let mut stream = std::net::TcpStream::connect(&node).unwrap();
        write!(stream, "POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        with_body("200 OK", &change(&request, answer).to_string())
    })
    .await
}

fn asking() -> Options {
    Options { websocket: Websocket::None, poll: Duration::from_millis(50), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_getblocknotifications_is_read_all_the_same() {
    let net = Net::memory().await;
    let plain = before(&net, |request, answer| match request["method"].as_str() {
        Some("getblocknotifications") => {
            json!({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
        }
        _ => answer,
    })
    .await;
    let from = Some(neo_rpc::watch::Cursor::before(1));
    let start = |client| Subscription::start(client, Interest::notifications(), from, asking());
    let mut plain = start(Client::new(&plain.url()).unwrap()).await.unwrap();
    let mut full = start(net.client.clone()).await.unwrap();
    for _ in 0..20 {
        let (one, other) = tokio::join!(plain.next(), full.next());
        assert_eq!(one.unwrap(), other.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_not_what_its_hash_says_is_not_given() {
    let net = Net::memory().await;
    let other = before(&net, |request, answer| match (request["method"].as_str(), &request["params"][0]) {
        (Some("getblock"), height) if *height == json!(2) => {
            let mut block = answer;
            let text = block["result"].as_str().unwrap();
            // Another Merkle root: the 37th byte on.
            let changed = format!("{}BBBB{}", &text[..48], &text[52..]);
            block["result"] = json!(changed);
            block
        }
        _ => answer,
    })
    .await;
    let blocks = Interest { headers: vec![Default::default()], ..Interest::default() };
    let from = Some(neo_rpc::watch::Cursor::before(1));
    let mut watching = Subscription::start(Client::new(&other.url()).unwrap(), blocks, from, asking()).await.unwrap();
    assert_eq!(watching.next().await.unwrap().cursor.height, 1);
    let error = timeout(Duration::from_secs(20), watching.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Malformed { method: "getblock", .. }), "{error:?}");
    assert_eq!(watching.cursor().height, 1);
}
