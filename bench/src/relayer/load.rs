//! The load on the public API of a real `nsl`.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nsl_sandbox::{Launch, Nsl};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

/// Clients that submit at once.
const CLIENTS: u64 = 16;
const PATIENCE: Duration = Duration::from_secs(300);
const UNLIMITED: &str = "1000000000";

/// An `nsl` before a node, with one account.
pub(super) struct Relay {
    nsl: Nsl,
    http: reqwest::Client,
    chain: &'static str,
}

/// What a run measured.
pub(super) struct Run {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
}

impl Relay {
    pub(super) async fn start(chain: &'static str, settings: &[(&str, String)], key: &str) -> Result<Self> {
        let mut launch = Launch::dev()?.env("NSL_LIMITS__GENERAL_PER_MINUTE", UNLIMITED).env("NSL_LOG__LEVEL", "warn");
        for (name, value) in settings {
            launch = launch.env(name, value);
        }
        let nsl = tokio::task::block_in_place(|| launch.start())?;
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(Duration::from_secs(60)).build()?;
        let relay = Self { nsl, http, chain };
        let account = json!({ "label": "bench", "key": key }).to_string();
        let (status, answer) = relay.post(&format!("accounts/{chain}"), "account", account).await?;
        ensure!(status == 201, "taking the account over: {status} {answer}");
        Ok(relay)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.nsl.public())
    }

    async fn post(&self, path: &str, once: &str, body: String) -> Result<(u16, Value)> {
        let request = self.http.post(self.url(path)).bearer_auth(self.nsl.api_key()).header("Idempotency-Key", once);
        let answer = request.header("Content-Type", "application/json").body(body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// Submits these bodies, at so many a second or as fast as they are taken, and waits until all are final.
    #[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
    pub(super) async fn run(self: &Arc<Self>, name: &str, bodies: Vec<String>, rate: Option<f64>) -> Result<Run> {
        let bodies = Arc::new(bodies);
        let latencies = Arc::new(Mutex::new(Vec::with_capacity(bodies.len())));
        let began = Instant::now();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (relay, bodies, latencies) = (Arc::clone(self), Arc::clone(&bodies), Arc::clone(&latencies));
            let name = name.to_owned();
            clients.spawn(async move {
                let mut ids = Vec::new();
                for number in (client..bodies.len() as u64).step_by(CLIENTS as usize) {
                    if let Some(rate) = rate {
                        let due = began + Duration::from_secs_f64(number as f64 / rate);
                        sleep(due.saturating_duration_since(Instant::now())).await;
                    }
                    let asked = Instant::now();
                    let path = format!("tx/{}", relay.chain);
                    let body = bodies[number as usize].clone();
                    let (status, answer) = relay.post(&path, &format!("{name}-{number}"), body).await?;
                    ensure!(status == 202, "submitting {number}: {status} {answer}");
                    latencies.lock().expect("no holder panics").push(asked.elapsed());
                    ids.push(answer["id"].as_str().context("an answer without an id")?.to_owned());
                }
                Ok(ids)
            });
        }
        let mut ids = Vec::new();
        while let Some(client) = clients.join_next().await {
            ids.extend(client??);
        }
        // The last of all, since identities are ordered by time; those before it are looked at afterwards.
        ids.sort();
        for id in ids.iter().rev() {
            self.wait(id, began + PATIENCE).await?;
        }
        let per_second = ids.len() as f64 / began.elapsed().as_secs_f64();
        let mut latencies = std::mem::take(&mut *latencies.lock().expect("no holder panics"));
        latencies.sort();
        let at = |share: usize| latencies[(latencies.len() - 1) * share / 100].as_secs_f64() * 1_000.0;
        Ok(Run { per_second, p50_ms: at(50), p95_ms: at(95) })
    }

    #[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
    async fn wait(&self, id: &str, until: Instant) -> Result<()> {
        loop {
            let request = self.http.get(self.url(&format!("tx/{}/{id}", self.chain)));
            let found: Value = request.bearer_auth(self.nsl.api_key()).send().await?.json().await?;
            match found["state"].as_str() {
                Some("final") => return Ok(()),
                Some("failed" | "expired" | "replaced") => anyhow::bail!("a transaction failed: {found}"),
                _ => ensure!(Instant::now() < until, "not done in time: {found}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Run {
    pub(super) fn row(&self, what: &str, bare: Option<f64>) -> [String; 5] {
        let ratio = bare.map_or(String::new(), |bare| format!("{:.2} of by itself", self.per_second / bare));
        [
            what.to_owned(),
            format!("{:.0}", self.per_second),
            format!("{:.1}", self.p50_ms),
            format!("{:.1}", self.p95_ms),
            ratio,
        ]
    }
}
