//! What the kernel knows of this process, from /proc.

use std::{fs, sync::LazyLock};

use nsl_core::{Clock, SystemClock, Timestamp};
use tokio::time::Instant;

/// The kernel counts processor time in hundredths of a second on every platform that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

static START: LazyLock<(Timestamp, Instant)> = LazyLock::new(|| (SystemClock.now(), Instant::now()));

/// Remembers when the process began.
pub(super) fn start() {
    LazyLock::force(&START);
}

/// Brings the process metrics up to date; what cannot be read is left as it was.
pub(super) fn record() {
    let (began, since) = *START;
    metrics::gauge!("process_start_time_seconds").set(began.0 as f64 / 1e6);
    metrics::gauge!("process_uptime_seconds").set(since.elapsed().as_secs_f64());
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds) {
        metrics::gauge!("process_cpu_seconds_total").set(seconds);
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        let set = |name: &'static str, key, scale: f64| {
            if let Some(number) = number_after(&status, key) {
                metrics::gauge!(name).set(number * scale);
            }
        };
        set("process_resident_memory_bytes", "VmRSS:", 1024.0);
        set("process_peak_resident_memory_bytes", "VmHWM:", 1024.0);
        set("process_virtual_memory_bytes", "VmSize:", 1024.0);
        set("process_threads", "Threads:", 1.0);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        metrics::gauge!("process_open_fds").set(files.count() as f64);
    }
    if let Some(most) =
        fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(|text| number_after(text, "Max open files"))
    {
        metrics::gauge!("process_max_fds").set(most);
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let runtime = runtime.metrics();
        metrics::gauge!("runtime_workers").set(runtime.num_workers() as f64);
        metrics::gauge!("runtime_alive_tasks").set(runtime.num_alive_tasks() as f64);
        metrics::gauge!("runtime_queue_depth").set(runtime.global_queue_depth() as f64);
    }
}

/// User and system time; the name in front may contain anything, so counting starts after it.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

fn number_after(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_of_the_kernel_are_read() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 1234 1000 200";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(number_after("Name:\tx\nVmRSS:\t    512 kB\n", "VmRSS:"), Some(512.0));
        assert_eq!(number_after("Max open files            1024   4096   files", "Max open files"), Some(1024.0));
    }
}
