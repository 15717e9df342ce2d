//! Several endpoints of one chain behind one door.
//!
//! Promises:
//! - Calls go to the first endpoint of the list that is well, so that a caller reads what it wrote; to the next when
//!   that one fails, lags, is left alone or has no room.
//! - Nothing is asked of an endpoint before it has said which network it is of; one of another network is refused for
//!   good, and named.
//! - No call fails for reasons of the transport while one endpoint answers within the deadline.
//! - The URL of an endpoint appears in no log, error or metric: only its host and its place in the list.

mod endpoint;
mod limit;
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test waits for what it spawns")]
mod tests;

use std::{cmp::Reverse, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use endpoint::{Endpoint, Standing};
pub(crate) use limit::Limit;
use serde::Serialize;
use tokio::time::Instant;

use crate::{ChainKind, config::PoolConfig, error::Trouble};

/// What speaks to one endpoint.
#[async_trait]
pub trait Client: Send + Sync + 'static {
    /// Which network this is, and how high.
    async fn probe(&self) -> Result<Probe, Trouble>;

    /// How long our own limit for this endpoint makes the next request wait.
    fn ready_in(&self) -> Duration {
        Duration::ZERO
    }
}

/// What an endpoint says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Magic or chain id.
    pub network: u64,
    pub height: u64,
}

// What holds for every endpoint of a pool.
pub(super) struct Rules {
    chain: ChainKind,
    network: u64,
    eject_after: u32,
    eject: Duration,
    lag_blocks: u64,
}

// Whether a node can be blamed for not being done in time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Light,
    Heavy,
}

/// The endpoints of one chain.
pub struct Pool<C> {
    rules: Rules,
    deadline: Duration,
    every: Duration,
    probe_timeout: Duration,
    endpoints: Vec<Endpoint<C>>,
}

/// What is known of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointStatus {
    /// Its place in the configuration, from 0.
    pub index: usize,
    /// Host and port, without path or credentials.
    pub host: String,
    /// "new", "up", "lagging", "down" or "foreign" (of another network).
    pub standing: &'static str,
    pub height: Option<u64>,
    pub latency_ms: Option<u64>,
    /// The trouble of the last request, none after a success.
    pub trouble: Option<String>,
}

impl<C: Client> Pool<C> {
    /// A pool of a network (magic or chain id) over clients with their hosts, the preferred one first.
    pub fn new(chain: ChainKind, network: u64, config: &PoolConfig, clients: Vec<(String, Arc<C>)>) -> Self {
        let endpoints =
            clients.into_iter().enumerate().map(|(index, (name, client))| Endpoint::new(index, name, client)).collect();
        let rules = Rules {
            chain,
            network,
            eject_after: config.eject_after.max(1),
            eject: Duration::from_millis(config.eject_ms),
            lag_blocks: config.lag_blocks,
        };
        Self {
            rules,
            deadline: config.deadline(),
            every: Duration::from_millis(config.probe_ms),
            probe_timeout: Duration::from_millis(config.timeout_ms),
            endpoints,
        }
    }

    /// Does `ask` at the best endpoint, and at the others in turn when the trouble is the endpoint's. `ask` may be done
    /// several times: it reads, or sends what may arrive twice.
    pub async fn run<T, F, A>(&self, ask: F) -> Result<T, Trouble>
    where
        F: Fn(Arc<C>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        match self.rounds(Weight::Light, ask).await {
            Err(Trouble::Slow(why)) => Err(Trouble::Unreachable(why)),
            Err(Trouble::TooLarge(why)) => Err(Trouble::Garbled(why)),
            done => done,
        }
    }

    /// Does work that a stranger chose, and that may be more than a node does in time or reads at all: no endpoint is
    /// blamed for that. One that is slow is where another one was faster, and no more than two are given the time.
    pub async fn run_heavy<T, F, A>(&self, ask: F) -> Result<T, Trouble>
    where
        F: Fn(Arc<C>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        self.rounds(Weight::Heavy, ask).await
    }

    async fn rounds<T, F, A>(&self, weight: Weight, ask: F) -> Result<T, Trouble>
    where
        F: Fn(Arc<C>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        let until = Instant::now() + self.deadline;
        let mut pause = Duration::from_millis(20);
        loop {
            let last = match self.round(weight, &ask, until).await {
                Ok(found) => return Ok(found),
                Err(trouble) => trouble,
            };
            let wait = match &last {
                Trouble::Busy { wait } => (*wait).max(pause),
                _ => pause,
            };
            let is_too_much = weight == Weight::Heavy && matches!(last, Trouble::Slow(_) | Trouble::TooLarge(_));
            if is_too_much || !last.may_pass() || Instant::now() + wait >= until {
                return Err(last);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    // Each endpoint once, the best one first.
    async fn round<T, F, A>(&self, weight: Weight, ask: &F, until: Instant) -> Result<T, Trouble>
    where
        F: Fn(Arc<C>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        let mut last: Option<Trouble> = None;
        let mut slow: Option<(&Endpoint<C>, Trouble)> = None;
        for endpoint in self.in_order() {
            let done = self.attempt(weight, endpoint, ask, until).await;
            let trouble = match done {
                Err(trouble @ Trouble::Slow(_)) if weight == Weight::Heavy => {
                    if slow.is_some() {
                        return Err(trouble);
                    }
                    slow = Some((endpoint, trouble));
                    continue;
                }
                // It would be as large at the others.
                Err(trouble @ Trouble::TooLarge(_)) if weight == Weight::Heavy => return Err(trouble),
                Err(trouble) if trouble.is_endpoints() => trouble,
                // What this one did in time was not too much for the other one.
                done => {
                    if let Some((slow, trouble)) = slow {
                        slow.failed(&trouble, &self.rules);
                    }
                    return done;
                }
            };
            tracing::debug!(
                chain = self.rules.chain.name(),
                endpoint = endpoint.index,
                why = %trouble,
                "endpoint gave no result"
            );
            last = Some(weightier(last, trouble));
            if Instant::now() >= until {
                break;
            }
        }
        let slow = slow.map(|(_, trouble)| trouble);
        Err(slow.or(last).unwrap_or_else(|| self.none_usable()))
    }

    async fn attempt<T, F, A>(
        &self,
        weight: Weight,
        endpoint: &Endpoint<C>,
        ask: &F,
        until: Instant,
    ) -> Result<T, Trouble>
    where
        F: Fn(Arc<C>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        let work = async {
            if endpoint.is_unsure() {
                endpoint.introduce(&self.rules).await.map_err(|trouble| match trouble {
                    // Who can't even say its name is not slow because of what it is asked.
                    Trouble::Slow(why) => Trouble::Unreachable(why),
                    other => other,
                })?;
                self.compare();
                if endpoint.standing() == Standing::Lagging {
                    return Err(Trouble::Behind("the endpoint lags behind the others".to_owned()));
                }
            }
            let done = ask(endpoint.client.clone()).await;
            match &done {
                Ok(_) | Err(Trouble::Node(_)) => endpoint.succeeded(),
                Err(Trouble::Slow(_) | Trouble::Declined(_) | Trouble::TooLarge(_)) if weight == Weight::Heavy => {}
                Err(trouble) => endpoint.failed(trouble, &self.rules),
            }
            done
        };
        match tokio::time::timeout_at(until, work).await {
            Ok(done) => done,
            Err(_) => {
                let trouble = Trouble::Slow("no answer before the deadline".to_owned());
                if weight == Weight::Light {
                    endpoint.failed(&trouble, &self.rules);
                }
                Err(trouble)
            }
        }
    }

    /// Does `ask` at every endpoint that is well, and gives each result: for questions where one endpoint may know
    /// more than another.
    pub async fn everywhere<T, F, A>(&self, ask: F) -> Vec<Result<T, Trouble>>
    where
        F: Fn(Arc<C>) -> A,
        A: Future<Output = Result<T, Trouble>>,
    {
        let until = Instant::now() + self.deadline;
        let well = self.endpoints.iter().filter(|endpoint| endpoint.rank().is_some_and(|rank| rank < 3));
        let asked = well.map(|endpoint| self.attempt(Weight::Light, endpoint, &ask, until));
        futures_util::future::join_all(asked).await
    }

    // Those with room go before those that would have to wait; otherwise the order of the list is kept.
    fn in_order(&self) -> Vec<&Endpoint<C>> {
        let mut usable: Vec<_> = self
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.rank().map(|rank| (rank, endpoint.client.ready_in(), endpoint)))
            .collect();
        usable.sort_by_key(|(rank, wait, endpoint)| (*rank, *wait, endpoint.index));
        usable.into_iter().map(|(_, _, endpoint)| endpoint).collect()
    }

    fn none_usable(&self) -> Trouble {
        let said = self.endpoints.iter().find_map(|endpoint| match endpoint.standing() {
            Standing::Foreign { said } => Some(said),
            _ => None,
        });
        match said {
            Some(said) => Trouble::Foreign { said, want: self.rules.network },
            None => Trouble::Unreachable("no endpoint is configured".to_owned()),
        }
    }

    /// Keeps asking the endpoints for network and height, so that those that lag are left alone and those that were
    /// are taken back. Never returns; without it endpoints come back only when no other is left.
    pub async fn tend(&self) {
        loop {
            self.probe_all().await;
            tokio::time::sleep(self.every).await;
        }
    }

    /// Asks every endpoint that is not left alone for network and height, once.
    pub async fn probe_all(&self) {
        let due = self.endpoints.iter().filter(|endpoint| endpoint.rank().is_some_and(|rank| rank < 3));
        let asked = due.map(|endpoint| async {
            let probe = endpoint.probe(&self.rules);
            if tokio::time::timeout(self.probe_timeout, probe).await.is_err() {
                endpoint.failed(&Trouble::Unreachable("no answer in time".to_owned()), &self.rules);
            }
        });
        futures_util::future::join_all(asked).await;
        self.compare();
        self.measure();
    }

    fn compare(&self) {
        if let Some(best) = self.best() {
            self.endpoints.iter().for_each(|endpoint| endpoint.compare(best, &self.rules));
        }
    }

    // The height to measure by. With three or more endpoints a second one must bear it out, so that one that lies
    // about its height does not send all the others away.
    fn best(&self) -> Option<u64> {
        let known = self.endpoints.iter().filter(|endpoint| endpoint.rank().is_some_and(|rank| rank < 2));
        let mut heights: Vec<u64> = known.filter_map(|endpoint| endpoint.height()).collect();
        heights.sort_by_key(|height| Reverse(*height));
        heights.get(usize::from(heights.len() > 2)).copied()
    }

    fn measure(&self) {
        for endpoint in &self.endpoints {
            let labels = [("chain", self.rules.chain.name().to_owned()), ("endpoint", endpoint.index.to_string())];
            let up = endpoint.standing() == Standing::Up;
            metrics::gauge!("chain_endpoint_up", &labels).set(if up { 1.0 } else { 0.0 });
            if let Some(height) = endpoint.height() {
                metrics::gauge!("chain_endpoint_height", &labels).set(height as f64);
            }
            if let Some(latency) = endpoint.latency() {
                metrics::gauge!("chain_endpoint_latency_seconds", &labels).set(latency.as_secs_f64());
            }
        }
    }

    /// What is known of each endpoint.
    pub fn status(&self) -> Vec<EndpointStatus> {
        let one = |endpoint: &Endpoint<C>| EndpointStatus {
            index: endpoint.index,
            host: endpoint.name.clone(),
            standing: match endpoint.standing() {
                Standing::New => "new",
                Standing::Up => "up",
                Standing::Lagging => "lagging",
                Standing::Down(_) => "down",
                Standing::Foreign { .. } => "foreign",
            },
            height: endpoint.height(),
            latency_ms: endpoint.latency().map(|latency| latency.as_millis() as u64),
            trouble: match endpoint.standing() {
                Standing::Foreign { said } => Some(Trouble::Foreign { said, want: self.rules.network }.to_string()),
                _ => endpoint.last().map(|trouble| trouble.to_string()),
            },
        };
        self.endpoints.iter().map(one).collect()
    }
}

// Of two troubles, the one that says more about whether and when to try again.
fn weightier(one: Option<Trouble>, other: Trouble) -> Trouble {
    let weight = |trouble: &Trouble| match trouble {
        Trouble::Foreign { .. } => 0,
        Trouble::Behind(_) => 1,
        Trouble::Unreachable(_) | Trouble::Slow(_) | Trouble::Declined(_) => 2,
        Trouble::TooLarge(_) | Trouble::Garbled(_) => 3,
        Trouble::Node(_) => 4,
        Trouble::Busy { .. } => 5,
    };
    match one {
        // Of those that are busy the one that is free first counts.
        Some(Trouble::Busy { wait: first }) => match other {
            Trouble::Busy { wait } => Trouble::Busy { wait: wait.min(first) },
            _ => Trouble::Busy { wait: first },
        },
        Some(one) if weight(&one) >= weight(&other) => one,
        _ => other,
    }
}
