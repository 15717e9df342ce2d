//! What all lanes of Neo N3 share: the chain and its prices.

use std::{sync::Arc, time::Duration};

use nsl_chain::n3::{NeoN3, Rules};
use nsl_core::Result;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Prices fall and rise by votes of the committee: what was asked a minute ago is asked again.
const FRESH: Duration = Duration::from_secs(60);

pub struct Desk {
    pub chain: Arc<NeoN3>,
    rules: Mutex<Option<(Instant, Rules)>>,
}

impl Desk {
    pub fn new(chain: Arc<NeoN3>) -> Self {
        Self { chain, rules: Mutex::default() }
    }

    pub(crate) async fn rules(&self) -> Result<Rules> {
        if let Some((at, rules)) = *self.rules.lock()
            && at.elapsed() < FRESH
        {
            return Ok(rules);
        }
        let rules = self.chain.rules().await?;
        *self.rules.lock() = Some((Instant::now(), rules));
        Ok(rules)
    }

    /// A node asks for more than what is known here.
    pub(super) fn forget_rules(&self) {
        *self.rules.lock() = None;
    }
}
