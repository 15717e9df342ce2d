use nsl_sandbox::{Launch, Otlp, Ready, eventually, free_port, http, nsl_command};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn one_trace_goes_through_both_processes() {
    let otlp = Otlp::start().unwrap();
    let room = tempfile::tempdir().unwrap();
    let data = room.path().join("data");
    let ports = [(); 2].map(|()| [free_port().unwrap(), free_port().unwrap(), free_port().unwrap()]);
    let start = |name: &str, services: &str, peers: &[&str], at: usize| {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let [public, internal, ops] = ports[at].map(url);
        let launch = Launch::serve(
            ["serve", "--services", services, "--migrate"],
            Ready { public, internal, ops, tenant: None, api_key: None },
        );
        let mut launch = launch
            .unwrap()
            .env("NSL_PROFILE", "development")
            .env("NSL_DATA_DIR", &data)
            .env("NSL_TELEMETRY__SERVICE_NAME", name)
            .env("NSL_TELEMETRY__OTLP_ENDPOINT", otlp.endpoint());
        for (listener, port) in ["PUBLIC", "INTERNAL", "OPS"].iter().zip(ports[at]) {
            launch = launch.env(&format!("NSL_{listener}__ADDRESS"), format!("127.0.0.1:{port}"));
        }
        for service in peers {
            launch = launch.env(&format!("NSL_PEERS__{service}"), format!("http://127.0.0.1:{}", ports[1 - at][1]));
        }
        launch.start().unwrap()
    };
    let core = start("core", "audit,identity", &[], 0);
    let storage = start("storage", "storage", &["AUDIT", "IDENTITY"], 1);
    let mut create = nsl_command(["tenant", "create", "acme", "--json"]).unwrap();
    let made = create.env("NSL_PROFILE", "development").env("NSL_DATA_DIR", &data).output().unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let headers = [
        format!("X-API-Key: {}", made["key"]["secret"].as_str().unwrap()),
        format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01"),
    ];
    assert_eq!(http("GET", storage.public(), "/v1/storage/usage", &headers, "").unwrap().status, 200);
    eventually("spans of both processes in the caller's trace", 20, || {
        let spans = otlp.spans();
        let of = |service: &str| spans.iter().any(|span| span.service == service && span.trace == TRACE);
        Ok(of("core") && of("storage"))
    })
    .unwrap();
    let spans = otlp.spans();
    // What core did has its cause in a span of the other process.
    let served = spans.iter().find(|span| span.service == "core" && span.trace == TRACE).unwrap();
    eventually("the parent is there too", 20, || {
        Ok(otlp.spans().iter().any(|span| span.service == "storage" && span.id == served.parent))
    })
    .unwrap();
    assert!(storage.terminate().unwrap().success() && core.terminate().unwrap().success());
}
