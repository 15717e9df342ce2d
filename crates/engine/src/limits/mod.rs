//! How often someone may do something.
//!
//! Promises: over no span of time is more granted than the burst and the average of that span; with Redis this
//! holds for all processes together; what happens while Redis is away is a setting; the memory that callers can
//! make us use is bounded.

mod exact;
mod gcra;
mod local;

use std::{sync::Arc, time::Duration};

use nsl_core::Clock;
use serde::Deserialize;

use crate::{Mistake, redis::Redis};
pub use gcra::{Decision, Quota, gcra};

/// Where the counts are kept. The quotas stand in the same section and belong to whoever asks.
#[derive(Clone, Debug, Deserialize)]
pub struct LimitsConfig {
    pub engine: LimitsEngine,
    pub on_loss: OnLoss,
    /// The part of each quota that one process grants on its own, with `on_loss = "local"`.
    pub local_share: f64,
    /// Callers remembered by one process.
    pub callers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitsEngine {
    /// Each process counts for itself.
    Memory,
    /// All processes count together.
    Redis,
}

/// What to answer while Redis is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// Everything is allowed.
    Open,
    /// Nothing is.
    Closed,
    /// Each process grants its share.
    Local,
}

impl LimitsConfig {
    pub fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if !(self.local_share > 0.0 && self.local_share <= 1.0) {
            mistakes.push(Mistake::new("limits.local_share", format!("{} is not within 0 to 1", self.local_share)));
        }
        if self.callers < 1_000 {
            mistakes.push(Mistake::new("limits.callers", format!("{} is under 1000", self.callers)));
        }
        mistakes
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Limits(Arc<Engine>);

enum Engine {
    Memory(local::Local),
    Redis(exact::Exact),
}

impl Limits {
    /// `redis` is needed, and used, exactly when the configuration says so.
    pub fn build(config: &LimitsConfig, redis: Option<&Redis>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let local = || local::Local::new(config.callers, clock.clone());
        Ok(Self(Arc::new(match (config.engine, redis) {
            (LimitsEngine::Memory, _) => Engine::Memory(local()),
            (LimitsEngine::Redis, Some(redis)) => {
                Engine::Redis(exact::Exact::new(redis.clone(), (local(), local()), config.on_loss, config.local_share))
            }
            (LimitsEngine::Redis, None) => anyhow::bail!("limits.engine is \"redis\" but redis.url is not set"),
        })))
    }

    /// Counts a request of `who` in the class `class` that weighs `cost`. A refused one does not count.
    pub async fn check(&self, class: &str, who: &str, quota: Quota, cost: u32) -> Decision {
        match &*self.0 {
            Engine::Memory(local) => local.check(class, who, quota, cost),
            Engine::Redis(exact) => Box::pin(exact.check(class, who, quota, cost)).await,
        }
    }
}

/// While nothing can be counted.
fn blanket(allowed: bool, quota: Quota) -> Decision {
    let wait = if allowed { Duration::ZERO } else { Duration::from_secs(1) };
    let remaining = if allowed { quota.limit() } else { 0 };
    Decision { allowed, remaining, reset_after: wait, retry_after: wait }
}
