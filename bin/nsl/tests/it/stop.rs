use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use nsl_sandbox::{Connection, Launch, Signal, eventually};

/// Everything that can hold up an end at once: a request that never ends, a collector that takes bytes and
/// answers nothing, a database that takes no writes.
#[test]
fn a_stop_signal_ends_a_process_within_ten_seconds_whatever_hangs() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let collector = format!("http://{}", silent.local_addr().unwrap());
    let nsl = Launch::dev()
        .unwrap()
        .env("NSL_TELEMETRY__OTLP_ENDPOINT", &collector)
        .env("NSL_HTTP__BODY_GRACE_MS", "60000")
        .env("NSL_EDGE__TIMEOUT_MS", "60000")
        .start()
        .unwrap();
    assert_eq!(nsl.request("POST", "/v1/storage/store/neo-n3", r#"{"key":"k","value":1}"#).unwrap().status, 200);

    let database = rusqlite::Connection::open(nsl.directory().join("nsl.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let head = |length: usize| {
        format!(
            "POST /v1/storage/store/neo-n3 HTTP/1.1\r\nHost: nsl\r\nX-API-Key: {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
            nsl.api_key()
        )
    };
    let (mut endless, mut stuck) = (Connection::open(nsl.public()).unwrap(), Connection::open(nsl.public()).unwrap());
    endless.send(format!("{}{{\"key\":", head(1000)).as_bytes()).unwrap();
    let body = r#"{"key":"k","value":2}"#;
    stuck.send(format!("{}{body}", head(body.len())).as_bytes()).unwrap();
    eventually("both requests are in flight", 10, || {
        let metrics = nsl_sandbox::http("GET", nsl.ops(), "/metrics", &[], "")?.body;
        let active = metrics.lines().filter(|line| line.starts_with("api_active_connections{"));
        Ok(active.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() >= 2.0)
    })
    .unwrap();

    let began = Instant::now();
    nsl.process().signal(Signal::Terminate).unwrap();
    nsl.process().wait(15).unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}\n{}", began.elapsed(), nsl.output());
    let said = nsl.output();
    for line in ["did not finish in time and are cut", "the last writes did not end in time", "\"stopped\""] {
        assert!(said.contains(line), "{line} in:\n{said}");
    }
    drop(database);
}
