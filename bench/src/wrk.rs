//! The load: `wrk` with 64 connections, one thread, for some seconds.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

pub(crate) const SECONDS: u32 = 8;

/// What a run of `wrk` measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

pub(crate) struct Load(Child);

impl Load {
    /// Starts asking `url`; `more` are further arguments of `wrk`.
    pub(crate) fn start(url: &str, connections: u32, seconds: u32, headers: &[String], more: &[&str]) -> Result<Self> {
        let mut command = Command::new("wrk");
        command.args(["-t1", "--latency", "--timeout", "10s"]);
        command.arg(format!("-c{connections}")).arg(format!("-d{seconds}s"));
        for header in headers {
            command.args(["-H", header]);
        }
        let script = more.first().map(|script| ["-s", script]);
        command.args(script.into_iter().flatten()).arg(url);
        if let Some(arguments) = more.get(1..).filter(|rest| !rest.is_empty()) {
            command.arg("--").args(arguments);
        }
        Ok(Self(command.stdout(Stdio::piped()).spawn().context("starting wrk")?))
    }

    /// Waits for the end, and refuses a run with failed requests: those would be fast and worth nothing.
    pub(crate) fn finish(self) -> Result<Rate> {
        let output = self.0.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "wrk failed: {text}");
        ensure!(!text.contains("Non-2xx"), "some requests were refused: {text}");
        ensure!(!text.contains("Socket errors"), "some connections failed: {text}");
        let after = |word: &str| {
            text.lines()
                .find_map(|line| line.trim().strip_prefix(word))
                .map(|rest| rest.trim().to_owned())
                .with_context(|| format!("wrk did not print {word}: {text}"))
        };
        Ok(Rate {
            per_second: after("Requests/sec:")?.parse()?,
            p50_ms: milliseconds(&after("50%")?)?,
            p99_ms: milliseconds(&after("99%")?)?,
        })
    }
}

/// Warms up for two seconds, then measures.
pub(crate) fn measure(url: &str, headers: &[String], more: &[&str]) -> Result<Rate> {
    if more.is_empty() {
        Load::start(url, 64, 2, headers, more)?.finish()?;
    }
    Load::start(url, 64, SECONDS, headers, more)?.finish()
}

fn milliseconds(text: &str) -> Result<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1_000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * factor);
        }
    }
    anyhow::bail!("not a time: {text}")
}
