use std::{io, sync::Arc};

use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    forge::{Signer, claims},
    rig::{KEY, Rig},
};

#[tokio::test]
async fn requests_are_counted_by_service_method_route_and_status() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let rig = Rig::start(&[]).await;
    for _ in 0..2 {
        rig.with_bearer(KEY).await;
    }
    rig.get("/v1/echo/me").send().await.unwrap();
    rig.get("/api/echo/fail/gone?secret=1").bearer_auth(KEY).send().await.unwrap();
    rig.get("/made/up/nowhere-known").send().await.unwrap();
    rig.http.request("BREW".parse().unwrap(), format!("{}/v1/echo/me", rig.url)).send().await.unwrap();
    let text = metrics.render();
    for line in [
        r#"http_requests_total{service="echo",method="GET",route="/v1/echo/me",status="200"} 2"#,
        r#"http_requests_total{service="echo",method="GET",route="/v1/echo/me",status="401"} 1"#,
        r#"http_requests_total{service="echo",method="GET",route="/v1/echo/fail/{how}",status="410"} 1"#,
        r#"http_requests_total{service="edge",method="GET",route="none",status="404"} 1"#,
        r#"http_requests_total{service="echo",method="OTHER",route="/v1/echo/me",status="401"} 1"#,
        r#"http_request_duration_seconds_count{service="echo",method="GET",route="/v1/echo/me"} 3"#,
        r#"api_active_connections{service="echo"} 0"#,
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
    assert!(!text.contains("nowhere-known") && !text.contains("BREW") && !text.contains("secret"));
    rig.stop().await;
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_line_has_a_credential_or_an_address_in_it() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
    // The HTTP client is not ours and knows what it sends.
    let filter = tracing_subscriber::EnvFilter::new("trace,reqwest=off,hyper_util=off,h2=off,hyper=off");
    let _guard = tracing::subscriber::set_default(subscriber.with_env_filter(filter).finish());
    let rig = Rig::start(&["edge.timeout_ms=1000"]).await;
    let token = Signer::ed().token("ed", &claims());
    let long = format!("nsl_{}", "x".repeat(200));
    for credential in [KEY, "nsl_a_wrong_kolibri", token.as_str(), long.as_str()] {
        rig.with_bearer(credential).await;
        rig.get("/v1/echo/me")
            .header("x-api-key", credential)
            .header("authorization", "Basic c2VjcmV0")
            .send()
            .await
            .unwrap();
    }
    for how in ["internal", "panic", "unavailable", "hidden", "unlisted"] {
        rig.get(&format!("/v1/echo/fail/{how}?token=pelican"))
            .bearer_auth(KEY)
            .header("user-agent", "ostrich/1")
            .send()
            .await
            .unwrap();
    }
    let body = json!({ "key": "k", "value": "flamingo", "more": 1 }).to_string();
    let request = rig.keyed(reqwest::Method::POST, "/v1/echo/store").header("content-type", "application/json");
    request.header("idempotency-key", "penguin").body(body).send().await.unwrap();
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    assert!(text.contains("request failed") && text.contains("request_id="), "{text}");
    let signature = token.rsplit('.').next().unwrap();
    for secret in [KEY, "nsl_xx", signature, "c2VjcmV0", "kolibri", "pelican", "ostrich", "flamingo", "penguin", "ip="]
    {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(text.matches("a handler panicked").count(), 1, "a failure is said once");
    rig.stop().await;
}
