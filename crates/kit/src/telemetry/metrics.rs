use std::sync::Arc;

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::process;

const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];
const BYTES: &[f64] = &[64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];

/// The numbers of this process, as Prometheus reads them. Histograms get buckets by their name:
/// `..._seconds`, `..._bytes`, `..._size`. Every metric has the label `service`, this process's name
/// unless it was given another.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Metrics {
    /// Metrics that nobody records into until they are installed.
    pub fn new(service: &str, version: &str) -> Result<Self> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), COUNTS)?
            .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), BYTES)?
            .add_global_label("service", service)
            .build_recorder();
        process::start();
        let metrics = Self { handle: recorder.handle(), recorder: Arc::new(recorder) };
        metrics::with_local_recorder(&metrics.recorder, || {
            describe();
            metrics::gauge!("nsl_build_info", "version" => version.to_owned()).set(1.0);
        });
        Ok(metrics)
    }

    /// Makes these the metrics of the process.
    pub fn install(&self) -> Result<()> {
        metrics::set_global_recorder(Arc::clone(&self.recorder)).ok().context("the metrics were set up before")
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
        metrics::with_local_recorder(&self.recorder, process::record);
        self.handle.render()
    }

    /// Folds what histograms collected; to be called every few seconds, so that they do not grow.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_gauge!("nsl_build_info", "The version that runs");
    describe_gauge!("process_start_time_seconds", "When the process began, in seconds since 1970");
    describe_gauge!("process_uptime_seconds", "How long the process has run");
    describe_gauge!("process_cpu_seconds_total", "Processor time used, user and system");
    describe_gauge!("process_resident_memory_bytes", "Memory in use");
    describe_gauge!("process_peak_resident_memory_bytes", "The most memory that was in use");
    describe_gauge!("process_virtual_memory_bytes", "Address space in use");
    describe_gauge!("process_threads", "Threads of the process");
    describe_gauge!("process_open_fds", "Open file descriptors");
    describe_gauge!("process_max_fds", "The most file descriptors that may be open");
    describe_gauge!("runtime_workers", "Worker threads of the async runtime");
    describe_gauge!("runtime_alive_tasks", "Tasks of the async runtime that live");
    describe_gauge!("runtime_queue_depth", "Tasks that wait in the runtime's shared queue");
    describe_gauge!("listener_active_connections", "Open connections of a listener");
    describe_gauge!(
        "tls_certificate_not_after_seconds",
        "When the certificate of a listener ends, in seconds since 1970"
    );
    describe_counter!("connections_total", "Connections taken by a listener");
    describe_counter!("connections_refused_total", "Connections refused for want of room");
    describe_counter!("connections_cut_total", "Connections ended because the client was slow, idle or wrong");
    describe_counter!("tls_reloads_total", "Times that the certificate of a listener was read again");
    describe_counter!("task_restarts_total", "Background tasks started again after they ended");
    describe_counter!("log_lines_dropped_total", "Log lines dropped because nobody reads stderr");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_process_shows_ten_families_and_durations_have_buckets() {
        let metrics = Metrics::new("test", "1.2.3").unwrap();
        metrics::with_local_recorder(&metrics.recorder, || {
            metrics::histogram!("http_request_duration_seconds", "service" => "storage").record(0.003);
        });
        let text = metrics.render();
        let families = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
        assert!(families >= 10, "{text}");
        assert!(text.contains("nsl_build_info{service=\"test\",version=\"1.2.3\"} 1"), "{text}");
        assert!(text.contains("http_request_duration_seconds_bucket{service=\"storage\",le=\"0.005\"} 1"), "{text}");
        let memory = text.lines().find(|line| line.starts_with("process_resident_memory_bytes{")).unwrap();
        assert!(memory.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 100_000.0, "{memory}");
    }
}
