use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusBuilder;
use nsl_core::{Code, Cx, Result};
use nsl_rpc::{Client, Settings, TraceHooks, Via, Wire};

use crate::echo::{
    Echo, EchoClient, Parrot, Server, Then, ask, channel_with, client, cx, dialer, eventually, guard, long, plain,
};

nsl_rpc::service! {
    /// Asks an echo.
    Valley, ValleyClient, "valley" {
        /// Passes on what the echo does.
        fn call(Then) -> ();
    }
}

struct Deep(EchoClient);

#[nsl_rpc::export::async_trait]
impl Valley for Deep {
    async fn call(&self, cx: &Cx, then: Then) -> Result<()> {
        self.0.write(cx, ask("x", then)).await.map(drop)
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let lines = self.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || lines.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_private_cause_is_logged_once_where_it_arose_however_deep() {
    let server = Server::start(&Parrot::named("p")).await;
    let near = EchoClient::new(Via::Local(Parrot::named("p") as Arc<dyn Echo>));
    let far = client(&channel_with(Settings::default(), &[server.address]));
    for echo in [near, far] {
        let lines = Lines::default();
        let listening = lines.listen();
        let valley = ValleyClient::new(Via::Local(Arc::new(Deep(echo)) as Arc<dyn Valley>));
        let error = valley.call(&long(), Then::Fail(Code::Internal)).await.unwrap_err();
        drop(listening);
        assert_eq!(error.slug, "echo.told_to_fail");
        let text = lines.text();
        assert_eq!(text.matches("a private cause").count(), 1, "{text}");
        assert!(text.contains("echo.write failed") && text.contains(r#""error.code":"echo.told_to_fail""#), "{text}");
    }
}

#[tokio::test]
async fn what_a_peer_does_is_logged_with_request_and_tenant() {
    let server = Server::start(&Parrot::named("p")).await;
    let far = client(&channel_with(Settings::default(), &[server.address]));
    let (lines, cx) = (Lines::default(), long());
    let listening = lines.listen();
    far.write(&cx, ask("x", Then::Panic)).await.unwrap_err();
    drop(listening);
    let text = lines.text();
    assert!(text.contains("panicked: told to panic"), "{text}");
    assert!(text.contains(cx.trace.request_id.as_str()) && text.contains("ten_test"), "{text}");
    assert!(!text.contains("-----"), "no key is in the log");
}

static ADOPTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[tokio::test]
async fn a_trace_crosses_the_wire() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    nsl_rpc::set_trace_hooks(TraceHooks {
        inject: |span| span.metadata().filter(|of| of.name() == "echo.write").map(|_| PARENT.to_owned()),
        adopt: |_, parent| ADOPTED.lock().unwrap().push(parent.to_owned()),
    });
    let lines = Lines::default();
    let _listening = lines.listen();
    let server = Server::start(&Parrot::named("p")).await;
    let far = client(&channel_with(Settings::default(), &[server.address]));
    far.write(&long(), plain()).await.unwrap();
    assert_eq!(*ADOPTED.lock().unwrap(), [PARENT], "the caller's span is the parent");
    let mut cx = long();
    cx.trace.traceparent = Some("00-from-outside".into());
    far.read(&cx, plain()).await.unwrap();
    assert_eq!(ADOPTED.lock().unwrap()[1], "00-from-outside", "untraced here, it is passed on");
}

// A service of its own, whose metrics nobody has used before the recorder is there.
nsl_rpc::service! {
    /// An echo under another name.
    Tally, TallyClient, "tally" {
        /// As the echo does.
        fn write(crate::echo::Ask) -> crate::echo::Told;
    }
}

#[nsl_rpc::export::async_trait]
impl Tally for Parrot {
    async fn write(&self, cx: &Cx, ask: crate::echo::Ask) -> Result<crate::echo::Told> {
        Echo::write(self, cx, ask).await
    }
}

#[tokio::test]
async fn every_call_is_counted_near_and_far() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let tally = Parrot::named("p") as Arc<dyn Tally>;
    let near = TallyClient::new(Via::Local(Arc::clone(&tally)));
    let mut wire = Wire::new(["tally".to_owned()], Default::default());
    wire.add::<TallyClient>(async move || Ok(tally)).await;
    let server = Server::of(wire.finish(guard()).unwrap(), "127.0.0.1:0".parse().unwrap()).await;
    let channel = dialer(Settings::default()).channel("tally", &[format!("http://{}", server.address)]).unwrap();
    let far = TallyClient::new(Via::Remote(channel.clone()));
    for client in [&near, &far] {
        client.write(&long(), plain()).await.unwrap();
        client.write(&long(), plain()).await.unwrap();
        client.write(&long(), ask("x", Then::Fail(Code::NotFound))).await.unwrap_err();
        client.write(&cx(Duration::from_millis(50)), ask("x", Then::Hang)).await.unwrap_err();
        let cx = long();
        tokio::select! {
            biased;
            _ = client.write(&cx, ask("x", Then::Hang)) => panic!("a hanging call came back"),
            () = tokio::task::yield_now() => {}
        }
    }
    let count = |outcome: &str, via: &str| {
        let labels = format!(r#"service="tally",method="write",outcome="{outcome}",via="{via}""#);
        let text = metrics.render();
        let line = text.lines().find(|line| line.starts_with("rpc_requests_total{") && line.contains(&labels));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).unwrap_or(0)
    };
    for via in ["local", "remote"] {
        assert_eq!((count("ok", via), count("not_found", via)), (2, 1), "{via}: {}", metrics.render());
        assert_eq!((count("timeout", via), count("cancelled", via)), (1, 1), "{via}: {}", metrics.render());
    }
    eventually("the far side counts what it served", async || {
        (count("ok", "served"), count("not_found", "served")) == (2, 1)
    })
    .await;
    let text = metrics.render();
    assert!(text.contains("rpc_request_duration_seconds"), "{text}");
    let limit = format!(r#"rpc_concurrency_limit{{service="tally",address="{}"}} 100"#, server.address);
    assert!(text.contains(&limit), "{text}");

    drop(server);
    for _ in 0..6 {
        far.write(&long(), plain()).await.unwrap_err();
    }
    let circuit = format!(r#"rpc_circuit_state{{service="tally",address="{}"}} 2"#, channel.state()[0].address);
    assert!(metrics.render().contains(&circuit), "{}", metrics.render());
}
