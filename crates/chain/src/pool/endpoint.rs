use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Client, Rules};
use crate::error::Trouble;

const LONGEST_SPELL: Duration = Duration::from_secs(60);

/// One endpoint and what is known of it.
pub(super) struct Endpoint<C> {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) client: Arc<C>,
    state: Mutex<State>,
    // Who asks an endpoint for its network does so alone; the others wait for the answer.
    asking: tokio::sync::Mutex<()>,
}

struct State {
    standing: Standing,
    // Failures since the last success.
    failures: u32,
    // Spells in a row that the endpoint was left alone.
    spells: u32,
    height: Option<u64>,
    latency: Option<Duration>,
    last: Option<Trouble>,
}

/// Whether, and how, an endpoint may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its network is not known yet.
    New,
    Up,
    /// Too far behind the best one.
    Lagging,
    /// Left alone until then; afterwards it is asked for its network and height before it is used.
    Down(Instant),
    /// Of another network, for good.
    Foreign {
        said: u64,
    },
}

impl<C: Client> Endpoint<C> {
    pub(super) fn new(index: usize, name: String, client: Arc<C>) -> Self {
        let state = State { standing: Standing::New, failures: 0, spells: 0, height: None, latency: None, last: None };
        Self { index, name, client, state: Mutex::new(state), asking: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn standing(&self) -> Standing {
        self.state.lock().standing
    }

    pub(super) fn height(&self) -> Option<u64> {
        self.state.lock().height
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.state.lock().latency
    }

    /// The trouble of the last request, none after a success.
    pub(super) fn last(&self) -> Option<Trouble> {
        self.state.lock().last.clone()
    }

    /// The lower, the sooner it is tried; none for never.
    pub(super) fn rank(&self) -> Option<u8> {
        match self.standing() {
            Standing::New | Standing::Up => Some(0),
            Standing::Lagging => Some(1),
            Standing::Down(until) if until <= Instant::now() => Some(2),
            Standing::Down(_) => Some(3),
            Standing::Foreign { .. } => None,
        }
    }

    /// Whether its network must be asked for before it is used.
    pub(super) fn is_unsure(&self) -> bool {
        matches!(self.standing(), Standing::New | Standing::Down(_))
    }

    /// Asks for network and height, and takes the endpoint in, or refuses it.
    pub(super) async fn introduce(&self, rules: &Rules) -> Result<(), Trouble> {
        let _alone = self.asking.lock().await;
        if let Standing::Foreign { said } = self.standing() {
            return Err(Trouble::Foreign { said, want: rules.network });
        }
        if !self.is_unsure() {
            return Ok(());
        }
        self.probe(rules).await
    }

    /// Asks for network and height.
    pub(super) async fn probe(&self, rules: &Rules) -> Result<(), Trouble> {
        let began = Instant::now();
        let probe = match self.client.probe().await {
            Ok(probe) => probe,
            Err(trouble) => {
                self.failed(&trouble, rules);
                return Err(trouble);
            }
        };
        let mut state = self.state.lock();
        if probe.network != rules.network {
            tracing::error!(
                chain = rules.chain.name(),
                endpoint = self.index,
                host = self.name,
                said = probe.network,
                want = rules.network,
                "endpoint is of another network and will not be asked again"
            );
            state.standing = Standing::Foreign { said: probe.network };
            return Err(Trouble::Foreign { said: probe.network, want: rules.network });
        }
        if matches!(state.standing, Standing::New | Standing::Down(_)) {
            tracing::info!(chain = rules.chain.name(), endpoint = self.index, host = self.name, "endpoint is up");
            state.standing = Standing::Up;
        }
        state.height = Some(probe.height);
        state.latency = Some(began.elapsed());
        state.settle();
        Ok(())
    }

    pub(super) fn succeeded(&self) {
        self.state.lock().settle();
    }

    pub(super) fn failed(&self, trouble: &Trouble, rules: &Rules) {
        let mut state = self.state.lock();
        state.last = Some(trouble.clone());
        let is_blameless =
            matches!(trouble, Trouble::Busy { .. } | Trouble::Behind(_) | Trouble::Foreign { .. } | Trouble::Node(_));
        if is_blameless {
            return;
        }
        state.failures = state.failures.saturating_add(1);
        let again = match state.standing {
            Standing::Foreign { .. } => return,
            // Somebody else's failure has sent it away already.
            Standing::Down(until) if until > Instant::now() => return,
            Standing::Down(_) => true,
            _ => state.failures >= rules.eject_after,
        };
        if again {
            let spell = (rules.eject * 2u32.saturating_pow(state.spells)).min(LONGEST_SPELL);
            state.spells = state.spells.saturating_add(1).min(16);
            state.standing = Standing::Down(Instant::now() + spell);
            tracing::warn!(
                chain = rules.chain.name(),
                endpoint = self.index,
                host = self.name,
                for_ms = spell.as_millis() as u64,
                why = %trouble,
                "endpoint is left alone"
            );
        }
    }

    /// Compares its height with the best one.
    pub(super) fn compare(&self, best: u64, rules: &Rules) {
        let mut state = self.state.lock();
        let Some(height) = state.height else { return };
        let lags = height.saturating_add(rules.lag_blocks) < best;
        let standing = match (state.standing, lags) {
            (Standing::Up, true) => Standing::Lagging,
            (Standing::Lagging, false) => Standing::Up,
            _ => return,
        };
        state.standing = standing;
        tracing::warn!(
            chain = rules.chain.name(),
            endpoint = self.index,
            host = self.name,
            height,
            best,
            "endpoint {}",
            if lags { "lags behind and is left alone" } else { "has caught up" }
        );
    }
}

impl State {
    fn settle(&mut self) {
        self.failures = 0;
        self.last = None;
        if matches!(self.standing, Standing::Up | Standing::Lagging) {
            self.spells = 0;
        }
    }
}
