use std::{sync::atomic::Ordering, time::Duration};

use nsl_edge::Settings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use crate::rig::{KEY, Rig, problem, settings};

#[tokio::test]
async fn each_principal_and_each_address_has_its_budget() {
    let rig =
        Rig::start(&["limits.general_per_minute=3", "limits.anonymous_per_minute=2", "limits.keys_per_minute=1"]).await;
    let left = |response: &reqwest::Response| response.headers()["ratelimit"].to_str().unwrap().to_owned();
    for (n, expected) in ["\"general\";r=2;t=20", "\"general\";r=1;t=40", "\"general\";r=0;t=60"].iter().enumerate() {
        let response = rig.with_bearer(KEY).await;
        assert_eq!((response.status().as_u16(), left(&response).as_str()), (200, *expected), "request {n}");
        assert_eq!(response.headers()["ratelimit-policy"], "\"general\";q=3;w=60");
    }
    let response = rig.with_bearer(KEY).await;
    assert_eq!(response.headers()["retry-after"], "20");
    assert_eq!(left(&response), "\"general\";r=0;t=60");
    let (status, code, body) = problem(response).await;
    assert_eq!((status, code.as_str(), &body["details"]["limit"]), (429, "limit.rate", &"general".into()));

    assert_eq!(rig.get("/v1/echo/open").send().await.unwrap().status(), 200, "an address is not a principal");
    assert_eq!(rig.get("/nowhere").send().await.unwrap().status(), 404);
    let response = rig.get("/v1/echo/open").send().await.unwrap();
    assert_eq!(left(&response), "\"anonymous\";r=0;t=60");
    assert_eq!(response.status(), 429);

    let keys = || rig.get("/v1/echo/keys").bearer_auth(KEY).send();
    assert_eq!(keys().await.unwrap().headers()["ratelimit-policy"], "\"keys\";q=1;w=60");
    assert_eq!(keys().await.unwrap().status(), 429);
    rig.clock.advance(Duration::from_secs(20));
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn sign_in_is_counted_by_address_and_numbers_change_while_serving() {
    let rig = Rig::start(&["limits.auth_per_15_minutes=2"]).await;
    let sign_in = || rig.get("/v1/echo/sign-in").send();
    for expected in [200, 200, 429] {
        assert_eq!(sign_in().await.unwrap().status(), expected);
    }
    let more: Settings = settings(&["limits.auth_per_15_minutes=3"]);
    rig.edge.reload(&more);
    rig.clock.advance(Duration::from_secs(300));
    assert_eq!(sign_in().await.unwrap().status(), 200);
    assert_eq!(sign_in().await.unwrap().status(), 429);
    rig.stop().await;
}

#[tokio::test]
async fn ipv6_addresses_are_counted_by_network() {
    let rig = Rig::start(&["limits.anonymous_per_minute=2", "http.trusted_proxies=127.0.0.0/8"]).await;
    let from = |address: &'static str| rig.get("/v1/echo/open").header("x-forwarded-for", address).send();
    assert_eq!(from("2001:db8:1:2::1").await.unwrap().status(), 200);
    assert_eq!(from("2001:db8:1:2::2").await.unwrap().status(), 200);
    assert_eq!(from("2001:db8:1:2:ffff::3").await.unwrap().status(), 429);
    assert_eq!(from("2001:db8:1:3::1").await.unwrap().status(), 200);
    rig.stop().await;
}

#[tokio::test]
async fn bodies_have_the_size_of_their_route() {
    let rig = Rig::start(&[]).await;
    let post = async |path: &str, size: usize| {
        let body = format!(r#"{{"key":"k","value":"{}"}}"#, "x".repeat(size - 22));
        assert_eq!(body.len(), size);
        let request = rig.keyed(reqwest::Method::POST, path).header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    };
    assert_eq!(post("/v1/echo/store", 1_310_720).await.status(), 200);
    assert_eq!(post("/v1/echo/small", 100).await.status(), 200);
    for (path, size, limit) in [("/v1/echo/store", 1_310_721, 1_310_720), ("/v1/echo/small", 101, 100)] {
        let (status, code, body) = problem(post(path, size).await).await;
        assert_eq!((status, code.as_str()), (413, "request.too_large"));
        assert_eq!(body["details"]["limit_bytes"], limit);
    }
    // Without a length told beforehand.
    let piece = || Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 60]));
    let pieces = futures_util::stream::iter([piece(), piece()]);
    let request = rig.keyed(reqwest::Method::POST, "/v1/echo/small").body(reqwest::Body::wrap_stream(pieces));
    let (status, code, _) = problem(request.header("content-type", "application/json").send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (413, "request.too_large"));
    rig.stop().await;
}

#[tokio::test]
async fn a_route_has_its_time() {
    let rig = Rig::start(&[]).await;
    let (status, code, _) = problem(rig.get("/v1/echo/slow").bearer_auth(KEY).send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (504, "deadline"));
    assert_eq!(rig.service.finished.load(Ordering::SeqCst), 0);
    rig.stop().await;
}

#[tokio::test]
async fn more_than_can_be_done_is_turned_away_and_who_leaves_makes_room() {
    let rig = Rig::start(&["edge.in_flight=2", "edge.waiting=1", "edge.wait_ms=10000"]).await;
    let mut work = JoinSet::new();
    let begin = |work: &mut JoinSet<u16>| {
        let request = rig.get("/v1/echo/wait").bearer_auth(KEY);
        work.spawn(async move { request.send().await.map_or(0, |response| response.status().as_u16()) });
    };
    begin(&mut work);
    begin(&mut work);
    until(|| rig.service.was_reached() == 2).await;
    let response = {
        // One more may wait, the next is told to come back; which is which is open.
        begin(&mut work);
        loop {
            let response = rig.get("/v1/echo/open").timeout(Duration::from_millis(150)).send().await;
            if let Ok(response) = response {
                break response;
            }
        }
    };
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(problem(response).await.1, "overloaded");
    work.shutdown().await;
    assert_eq!(rig.with_bearer(KEY).await.status(), 200, "those who left are not counted any more");
    rig.stop().await;
}

async fn until(mut done: impl FnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(10), async {
        while !done() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it happens soon");
}

#[tokio::test]
async fn a_request_that_is_given_up_ends_its_work() {
    let rig = Rig::start(&[]).await;
    let request = rig.get("/v1/echo/wait").bearer_auth(KEY).timeout(Duration::from_millis(50)).send().await;
    assert!(request.unwrap_err().is_timeout());
    until(|| rig.service.left.load(Ordering::SeqCst) == 1).await;
    assert_eq!(rig.with_bearer(KEY).await.status(), 200);
    assert_eq!(rig.service.finished.load(Ordering::SeqCst), 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_slow_clients_do_not_slow_the_others() {
    let rig =
        Rig::start(&["edge.in_flight=50", "edge.timeout_ms=20000", "http.max_connections_per_address=1000"]).await;
    let head = format!(
        "POST /v1/echo/store HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: 1000000\r\n\r\n{{"
    );
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        slow.push(socket);
    }
    let mut times = Vec::new();
    for n in 0..300 {
        if n % 3 == 0 {
            for socket in &mut slow {
                socket.write_all(b" ").await.unwrap();
            }
        }
        let started = Instant::now();
        assert_eq!(rig.with_bearer(KEY).await.status(), 200);
        times.push(started.elapsed());
    }
    times.sort();
    assert!(times[296] < Duration::from_millis(100), "P99 {:?}", times[296]);
    drop(slow);
    rig.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_in_408() {
    let rig = Rig::start(&["edge.timeout_ms=300"]).await;
    let mut socket = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "POST /v1/echo/store HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"key\""
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request.too_slow"), "{answer}");
    assert_eq!(rig.service.was_reached(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn bodies_together_take_bounded_memory() {
    let rig = Rig::start(&["edge.body_bytes=1000", "edge.body_memory_bytes=2500"]).await;
    let head = format!(
        "POST /v1/echo/store HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    );
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        socket.write_all(format!("{head}{}", "x".repeat(900)).as_bytes()).await.unwrap();
        sockets.push(socket);
    }
    // Whichever of the three came last found no room.
    let (answer, _, rest) = futures_util::future::select_all(sockets.into_iter().map(|mut socket| {
        Box::pin(async move {
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            answer
        })
    }))
    .await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("overloaded"), "{answer}");
    drop(rest);
    rig.stop().await;
}
