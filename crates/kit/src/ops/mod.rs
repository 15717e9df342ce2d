//! What operators and orchestrators ask a process: is it well, how is it doing, what is it.

mod health;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

use crate::telemetry::Metrics;

pub use self::health::{CheckReport, Health, Kind, Report, Status};

/// What `/api/info` says.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    pub name: String,
    pub version: String,
    /// The commit that was built, or `unknown`.
    pub commit: String,
    /// The services that this process runs.
    pub services: Vec<String>,
}

/// Everything of the ops listener: health, metrics, info.
pub fn router(health: &Health, metrics: &Metrics, info: Info) -> Router {
    public_router(health, info, true).merge(metrics_router(metrics))
}

/// `/health*`, `/ready` and `/api/info`, for the public listener too. Reasons may name addresses of
/// engines: strangers see the states only.
pub fn public_router(health: &Health, info: Info, reasons: bool) -> Router {
    let shown = Shown { health: health.clone(), reasons };
    Router::new()
        .route("/health", get(whole))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/ready", get(ready))
        .with_state(shown)
        .route("/api/info", get(async move || Json(info.clone())))
}

/// `/metrics`.
pub fn metrics_router(metrics: &Metrics) -> Router {
    Router::new().route("/metrics", get(render)).with_state(metrics.clone())
}

#[derive(Clone)]
struct Shown {
    health: Health,
    reasons: bool,
}

impl Shown {
    fn report(&self) -> Report {
        let mut report = self.health.report();
        if !self.reasons {
            report.checks.values_mut().for_each(|check| check.reason = None);
        }
        report
    }
}

async fn whole(State(shown): State<Shown>) -> Response {
    answer(&shown.report())
}

/// The process answers: that is all that liveness means. A lost engine is no reason to be restarted.
async fn live() -> Response {
    uncached(StatusCode::OK, Json(serde_json::json!({ "status": Status::Healthy })))
}

async fn ready(State(shown): State<Shown>) -> Response {
    answer(&shown.report())
}

fn answer(report: &Report) -> Response {
    let code = if report.status == Status::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    uncached(code, Json(report))
}

fn uncached(code: StatusCode, body: impl IntoResponse) -> Response {
    (code, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}

async fn render(State(metrics): State<Metrics>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::{serve::collect, tasks::Tasks};

    async fn ask(router: &Router, path: &str) -> (u16, String) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = collect(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_pages_say_what_is_so() {
        let (health, metrics) = (Health::new(), Metrics::new("nsl", "0.1.0").unwrap());
        let info = Info {
            name: "nsl".into(),
            version: "0.1.0".into(),
            commit: "abc".into(),
            services: vec!["storage".into()],
        };
        health.check("sql", Kind::Critical, || async { anyhow::bail!("cannot reach 10.0.0.7") });
        health.started();
        health.run(&Tasks::new()).await;
        let ops = router(&health, &metrics, info.clone());
        let (code, body) = ask(&ops, "/health").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((code, &body["status"]), (503, &Value::from("Unhealthy")));
        assert_eq!(body["checks"]["sql"]["reason"], "cannot reach 10.0.0.7");
        assert_eq!(ask(&ops, "/health/live").await, (200, r#"{"status":"Healthy"}"#.to_owned()));
        assert_eq!(ask(&ops, "/ready").await.0, 503);
        assert_eq!(ask(&ops, "/health/ready").await.0, 503);
        let (code, body) = ask(&ops, "/api/info").await;
        assert_eq!(
            (code, body.as_str()),
            (200, r#"{"name":"nsl","version":"0.1.0","commit":"abc","services":["storage"]}"#)
        );
        assert!(ask(&ops, "/metrics").await.1.contains("process_resident_memory_bytes"));

        let public = public_router(&health, info, false);
        assert!(!ask(&public, "/health").await.1.contains("10.0.0.7"));
        assert_eq!(ask(&public, "/metrics").await.0, 404);
    }
}
