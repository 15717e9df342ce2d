//! Logs, metrics and traces of one process.
//!
//! Holds: a log line is one JSON object on stderr whose names are fixed; neither a stuck
//! reader of the logs nor a dead trace collector holds anything up; spans cost next to nothing while
//! traces are not sent.

mod gate;
mod line;
mod log;
mod metrics;
mod otlp;
mod process;
mod traceparent;
mod writer;

use std::{sync::OnceLock, time::Duration};

use anyhow::{Context, Result};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;

use crate::settings::{LogSettings, TelemetrySettings};

use self::{gate::Gate, line::Speaker, log::Log, writer::Sink};
pub use self::{
    gate::parse_level,
    metrics::Metrics,
    traceparent::{adopt, inject},
};

/// The telemetry of this process, from start to shutdown.
pub struct Telemetry {
    gate: Gate,
    sink: Sink,
    provider: Option<SdkTracerProvider>,
    metrics: Metrics,
}

impl Telemetry {
    /// Sets up logs, metrics and traces for the whole process; once, within a tokio runtime.
    pub fn start(log: &LogSettings, telemetry: &TelemetrySettings, version: &str) -> Result<Self> {
        let (started, subscriber) = Self::build(log, telemetry, version, Sink::stderr()?)?;
        tracing::subscriber::set_global_default(subscriber).context("the logs were set up before")?;
        started.metrics.install()?;
        started.log_panics();
        Ok(started)
    }

    fn build(
        log: &LogSettings,
        telemetry: &TelemetrySettings,
        version: &str,
        sink: Sink,
    ) -> Result<(Self, impl Subscriber + Send + Sync + 'static)> {
        let level = parse_level(&log.level).map_err(anyhow::Error::msg)?;
        let gate = Gate::new(level, telemetry.otlp_endpoint.is_some());
        let speaker = Speaker { name: telemetry.service_name.clone(), version: version.to_owned() };
        let endpoint = telemetry.otlp_endpoint.as_deref();
        let provider =
            endpoint.map(|endpoint| otlp::provider(endpoint, telemetry.sample_ratio, &speaker)).transpose()?;
        let traces = provider.as_ref().map(|provider| {
            let tracer = provider.tracer("nsl");
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_context_activation(false)
                .with_threads(false)
                .with_location(false)
        });
        let metrics = Metrics::new(&speaker.name, version)?;
        let lines = Log {
            format: log.format,
            speaker,
            sink: sink.clone(),
            traced: provider.is_some(),
            dispatch: OnceLock::new(),
        };
        let subscriber = tracing_subscriber::registry().with(gate.clone()).with(traces).with(lines);
        Ok((Self { gate, sink, provider, metrics }, subscriber))
    }

    /// Changes the level of the logs while running.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        self.gate.set(parse_level(level)?);
        Ok(())
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Sends the spans and writes the lines that still wait, as far as there is time: a dead collector costs
    /// two thirds of it, so that the lines are written in any case.
    pub async fn shutdown(&self, within: Duration) {
        let (provider, sink) = (self.provider.clone(), self.sink.clone());
        let flush = tokio::task::spawn_blocking(move || {
            if let Some(provider) = provider {
                // What cannot be sent was warned of by the sender.
                let _ = provider.shutdown_with_timeout(within * 2 / 3);
            }
            sink.flush();
        });
        let _ = tokio::time::timeout(within, flush).await;
    }

    /// A panic is one line like any other, not a text of several.
    fn log_panics(&self) {
        let sink = self.sink.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = panic.payload_as_str().unwrap_or("no message");
            tracing::error!(place, "panicked: {message}");
            sink.flush();
        }));
    }
}

#[cfg(test)]
mod tests;
