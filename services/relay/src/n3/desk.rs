//! What all lanes of Neo N3 share: the chain, its prices, and which scopes were enough.

use std::{collections::HashMap, sync::Arc, time::Duration};

use neo::tx::Signer;
use nsl_chain::n3::{NeoN3, Rules};
use nsl_core::Result;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::ask::Shape;

/// Prices fall and rise by votes of the committee: what was asked a minute ago is asked again.
const FRESH: Duration = Duration::from_secs(60);
const MOST_REMEMBERED: usize = 4_096;

pub struct Desk {
    pub chain: Arc<NeoN3>,
    rules: Mutex<Option<(Instant, Rules)>>,
    scopes: Mutex<HashMap<Shape, Signer>>,
}

impl Desk {
    pub fn new(chain: Arc<NeoN3>) -> Self {
        Self { chain, rules: Mutex::default(), scopes: Mutex::default() }
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

    /// The signer that was enough for the same calls before; its account may be another one.
    pub(super) fn enough(&self, shape: Option<&Shape>) -> Option<Signer> {
        self.scopes.lock().get(shape?).cloned()
    }

    pub(super) fn was_enough(&self, shape: Option<Shape>, signer: &Signer) {
        let Some(shape) = shape else { return };
        let mut scopes = self.scopes.lock();
        if scopes.len() >= MOST_REMEMBERED {
            scopes.clear();
        }
        scopes.insert(shape, signer.clone());
    }
}
