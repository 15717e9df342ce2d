use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context, Result};
use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::line::Speaker;

/// Spans that wait for the collector; further ones are dropped, never waited for.
const WAITING: usize = 8_192;
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends finished spans to a collector in batches, from a thread of its own.
pub(super) fn provider(endpoint: &str, ratio: f64, speaker: &Speaker) -> Result<SdkTracerProvider> {
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .context("cannot set up the client of the trace collector")?;
    let collector = Collector { http, runtime: Handle::try_current()?, down: AtomicBool::new(false) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()
        .with_context(|| format!("cannot send traces to {endpoint}"))?;
    let batches =
        BatchConfigBuilder::default().with_max_queue_size(WAITING).with_scheduled_delay(Duration::from_secs(1));
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build();
    let resource = Resource::builder_empty()
        .with_service_name(speaker.name.clone())
        .with_attribute(KeyValue::new("service.version", speaker.version.clone()))
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_resource(resource)
        .with_sampler(sampler)
        .build())
}

/// The exporter's thread has no runtime of its own: requests run on the one of the process. One
/// warning when the collector goes away, one word when it is back.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    down: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    #[allow(clippy::disallowed_methods, reason = "the exporter waits for it, and drops it at the stop")]
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let sending = self.runtime.spawn(async move {
            let response = http.execute(request).await?;
            let status = response.status();
            let mut answer = Response::new(response.bytes().await?);
            *answer.status_mut() = status;
            Ok::<_, reqwest::Error>(answer)
        });
        let outcome: Result<Response<Bytes>, HttpError> = match sending.await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(answer),
            Ok(Ok(answer)) => Err(format!("the trace collector answered {}", answer.status()).into()),
            Ok(Err(error)) => Err(error.without_url().into()),
            Err(stopped) => Err(stopped.into()),
        };
        match (&outcome, self.down.swap(outcome.is_err(), Relaxed)) {
            (Err(error), false) => warn!(
                error = error.as_ref() as &dyn std::error::Error,
                "cannot send traces, dropping them until it works again"
            ),
            (Ok(_), true) => info!("traces are sent again"),
            _ => {}
        }
        outcome
    }
}
