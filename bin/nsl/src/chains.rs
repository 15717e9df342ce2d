//! The chains that this process talks to.

use std::sync::Arc;

use anyhow::Context;
use nsl_chain::{Chain, N3Config, XConfig, n3::NeoN3, x::NeoX};
use nsl_kit::{
    Tasks,
    ops::{Health, Kind},
};
use serde::Deserialize;

/// `[chain]`: one section for each; a chain without endpoints is not set up.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ChainSettings {
    pub(crate) neo_n3: N3Config,
    pub(crate) neo_x: XConfig,
}

impl ChainSettings {
    pub(crate) fn check(&self) -> Vec<String> {
        [self.neo_n3.check(), self.neo_x.check()].concat()
    }
}

/// Those that are set up.
#[derive(Clone, Default)]
pub(crate) struct Chains {
    pub(crate) n3: Option<Arc<NeoN3>>,
    pub(crate) x: Option<Arc<NeoX>>,
}

impl Chains {
    /// Nothing is asked of their endpoints yet: a process starts also while they are away.
    pub(crate) fn open(settings: &ChainSettings) -> anyhow::Result<Self> {
        let ChainSettings { neo_n3, neo_x } = settings.clone();
        let n3 = (!neo_n3.pool.endpoints.is_empty()).then(|| NeoN3::open(neo_n3)).transpose()?;
        let x = (!neo_x.pool.endpoints.is_empty()).then(|| NeoX::open(neo_x)).transpose()?;
        Ok(Self { n3: n3.map(Arc::new), x: x.map(Arc::new) })
    }

    /// Looks after the endpoints of each.
    pub(crate) fn run(&self, tasks: &Tasks) {
        for chain in self.all() {
            tasks.supervise("chain: endpoints", move |stop| {
                let chain = Arc::clone(&chain);
                async move {
                    stop.run_until_cancelled(chain.tend()).await;
                    Ok(())
                }
            });
        }
    }

    pub(crate) fn watch(&self, health: &Health) {
        for chain in self.all() {
            health.check(&format!("chain {}", chain.kind()), Kind::Supporting, move || {
                let well =
                    chain.endpoints().iter().any(|endpoint| matches!(endpoint.standing, "new" | "up" | "lagging"));
                async move { well.then_some(()).context("none of its endpoints works") }
            });
        }
    }

    fn all(&self) -> Vec<Arc<dyn Chain>> {
        let n3 = self.n3.clone().map(|chain| chain as Arc<dyn Chain>);
        let x = self.x.clone().map(|chain| chain as Arc<dyn Chain>);
        n3.into_iter().chain(x).collect()
    }
}
