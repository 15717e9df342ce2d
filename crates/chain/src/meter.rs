use std::time::Duration;

use crate::{ChainKind, config::PoolConfig, error::Trouble, pool::Limit};

/// How long a request may wait for our own limit before another endpoint is tried.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long an endpoint rests that asks for it without saying for how long.
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The limit of one endpoint, and the counting of its requests.
pub(crate) struct Meter {
    chain: ChainKind,
    index: String,
    limit: Limit,
}

impl Meter {
    pub(crate) fn new(chain: ChainKind, index: usize, config: &PoolConfig) -> Self {
        Self { chain, index: index.to_string(), limit: Limit::new(config.requests_per_second, config.burst) }
    }

    pub(crate) fn ready_in(&self) -> Duration {
        self.limit.wait()
    }

    /// Waits for a place in the limit.
    pub(crate) async fn enter(&self) -> Result<(), Trouble> {
        let wait = self.limit.take(PATIENCE).ok_or_else(|| Trouble::Busy { wait: self.limit.wait() })?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// The endpoint asked for a rest.
    pub(crate) fn rest(&self, asked: Option<Duration>) -> Trouble {
        let wait = asked.unwrap_or(REST).min(LONGEST_REST);
        self.limit.rest(wait);
        Trouble::Busy { wait }
    }

    pub(crate) fn count<T>(&self, method: &'static str, done: &Result<T, Trouble>) {
        let outcome = done.as_ref().map_or_else(Trouble::outcome, |_| "ok");
        metrics::counter!(
            "chain_rpc_requests_total",
            "chain" => self.chain.name(),
            "endpoint" => self.index.clone(),
            "method" => method,
            "outcome" => outcome
        )
        .increment(1);
    }
}
