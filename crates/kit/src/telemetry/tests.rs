use std::{
    io::{self, Write},
    sync::Arc,
};

use axum::{Router, body::Bytes, routing::post};
use parking_lot::Mutex;
use serde_json::Value;
use tracing::{debug, error, info, info_span, warn};

use super::*;
use crate::settings::LogFormat;

#[derive(Clone, Default)]
struct Pages(Arc<Mutex<Vec<u8>>>);

impl Write for Pages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(format: LogFormat, otlp: Option<String>) -> (LogSettings, TelemetrySettings) {
    let log = LogSettings { level: "info".to_owned(), format };
    let telemetry = TelemetrySettings { service_name: "nsl".to_owned(), otlp_endpoint: otlp, sample_ratio: 1.0 };
    (log, telemetry)
}

fn lines(pages: &Pages, telemetry: &Telemetry) -> Vec<Value> {
    telemetry.sink.flush();
    let bytes = std::mem::take(&mut *pages.0.lock());
    String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_has_the_names_that_log_queries_use() {
    let pages = Pages::default();
    let (log, telemetry) = settings(LogFormat::Json, None);
    let (telemetry, subscriber) =
        Telemetry::build(&log, &telemetry, "0.1.0", Sink::to(pages.clone()).unwrap()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!(target: "nsl_edge", "request", request_id = "req_1", tenant = tracing::field::Empty);
        adopt(&span, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let _entered = span.enter();
        span.record("tenant", "ten_1");
        let inner = info_span!(target: "nsl_storage", "storage.get");
        let _inner = inner.enter();
        error!(duration = 12.5, error.code = "storage.key_too_long", key_length = 300, "line\nbreak \"quoted\"");
        debug!("not at this level");
        assert!(inject(&span).is_none());
    });
    let all = lines(&pages, &telemetry);
    let [line] = all.as_slice() else { panic!("{all:?}") };
    assert!(nsl_core::Timestamp::parse(line["@timestamp"].as_str().unwrap()).is_some());
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["message"], "line\nbreak \"quoted\"");
    assert_eq!(line["service"], serde_json::json!({"name": "nsl", "version": "0.1.0"}));
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(line["span_id"], "b7ad6b7169203331", "of the caller: there is none of our own");
    assert_eq!(line["request_id"], "req_1");
    assert_eq!(line["tenant"], "ten_1");
    assert_eq!(line["duration"], 12.5);
    assert_eq!(line["error.code"], "storage.key_too_long");
    assert_eq!(line["fields"], serde_json::json!({"key_length": 300}));
}

#[test]
fn the_level_changes_while_running_and_ids_survive_a_high_one() {
    let pages = Pages::default();
    let (log, telemetry) = settings(LogFormat::Json, None);
    let (telemetry, subscriber) =
        Telemetry::build(&log, &telemetry, "0.1.0", Sink::to(pages.clone()).unwrap()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let say = || {
            let _entered = info_span!(target: "nsl_edge", "request", request_id = "req_2").entered();
            debug!("quiet");
            info!("normal");
            warn!("loud");
        };
        say();
        telemetry.set_level("warn").unwrap();
        say();
        telemetry.set_level("debug").unwrap();
        say();
        assert!(telemetry.set_level("nonsense").is_err());
    });
    let all = lines(&pages, &telemetry);
    let messages: Vec<_> = all.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["normal", "loud", "loud", "quiet", "normal", "loud"]);
    assert!(all.iter().all(|line| line["request_id"] == "req_2"), "{all:?}");
}

#[test]
fn text_stays_on_one_line() {
    let pages = Pages::default();
    let (log, telemetry) = settings(LogFormat::Text, None);
    let (telemetry, subscriber) =
        Telemetry::build(&log, &telemetry, "0.1.0", Sink::to(pages.clone()).unwrap()).unwrap();
    tracing::subscriber::with_default(subscriber, || info!(key = "two words", "a\nb"));
    telemetry.sink.flush();
    let text = String::from_utf8(pages.0.lock().clone()).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains(" INFO ") && text.ends_with("a b key=\"two words\"\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "aborted at the end of the test")]
async fn spans_reach_a_collector_and_cross_processes() {
    let received = Arc::new(Mutex::new(Vec::<u8>::new()));
    let kept = Arc::clone(&received);
    let collect = post(move |body: Bytes| async move { kept.lock().extend_from_slice(&body) });
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let serving = tokio::spawn(async { axum::serve(socket, Router::new().route("/v1/traces", collect)).await });

    let pages = Pages::default();
    let (log, telemetry) = settings(LogFormat::Json, Some(endpoint));
    let (telemetry, subscriber) =
        Telemetry::build(&log, &telemetry, "0.1.0", Sink::to(pages.clone()).unwrap()).unwrap();
    let sent_on = tracing::subscriber::with_default(subscriber, || {
        let span = info_span!(target: "nsl_edge", "answer the client", request_id = "req_3");
        adopt(&span, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let _entered = span.enter();
        info!("inside");
        let _inner = tracing::debug_span!(target: "nsl_rpc", "storage.get").entered();
        tracing::debug!("not a line");
        inject(&span).unwrap()
    });
    let all = lines(&pages, &telemetry);
    assert_eq!(all[0]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(all[0]["request_id"], "req_3");
    assert_eq!(sent_on, format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", all[0]["span_id"].as_str().unwrap()));
    telemetry.shutdown(Duration::from_secs(3)).await;
    let body = received.lock().clone();
    let has = |wanted: &[u8]| body.windows(wanted.len()).any(|window| window == wanted);
    assert!(
        has(b"answer the client")
            && has(b"service.name")
            && has(&hex::decode("0af7651916cd43dd8448eb211c80319c").unwrap())
    );
    assert!(has(&hex::decode("b7ad6b7169203331").unwrap()), "the caller's span is the parent");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_holds_nothing_up() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    let (log, telemetry) = settings(LogFormat::Json, Some(endpoint));
    let (telemetry, subscriber) = Telemetry::build(&log, &telemetry, "0.1.0", Sink::to(io::sink()).unwrap()).unwrap();
    let before = tokio::time::Instant::now();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..20_000 {
            let _entered = info_span!(target: "nsl_edge", "request").entered();
        }
    });
    telemetry.shutdown(Duration::from_secs(3)).await;
    assert!(before.elapsed() < Duration::from_secs(8), "{:?}", before.elapsed());
}
