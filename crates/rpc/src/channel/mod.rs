mod breaker;
mod budget;
mod dial;
mod exchange;
mod latency;
mod limiter;
mod permit;
mod pool;

use std::{sync::Arc, time::Duration};

use http::uri::{Authority, Scheme};
use metrics::Gauge;
use nsl_core::{Code, Cx, Error, Result};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::Notify, time::Instant};

pub use dial::Dialer;

use self::{
    breaker::BreakerRules,
    budget::Budget,
    dial::Shared,
    latency::Latency,
    pool::{Pool, PoolRules},
};
use crate::{message::Call, method::Method, observe::outgoing};

/// The way to a service in other processes: several addresses, of which the least loaded is called, with
/// ejection of dead ones, repeats within a budget, hedged reads and a limit of calls in flight.
#[derive(Clone)]
pub struct Channel(Arc<Inner>);

struct Inner {
    service: Arc<str>,
    addresses: Vec<Address>,
    dialer: Arc<Shared>,
    state: Mutex<State>,
    born: Instant,
    room: Notify,
    waiting: std::sync::atomic::AtomicU32,
}

struct Address {
    scheme: Scheme,
    authority: Authority,
    gauges: std::sync::OnceLock<Gauges>,
}

struct Gauges {
    circuit: Gauge,
    limit: Gauge,
}

struct State {
    pool: Pool,
    budget: Budget,
    latencies: Vec<(&'static Method, Latency)>,
}

/// Whether calls go to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    Closed,
    /// One call tries whether it works again.
    HalfOpen,
    Open,
}

/// One address as health checks and metrics see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressState {
    /// Host and port.
    pub address: String,
    pub circuit: Circuit,
    pub in_flight: u32,
    /// How many calls may be in flight now.
    pub limit: u32,
}

impl Channel {
    pub(crate) const MOST_ADDRESSES: usize = Pool::MOST_ADDRESSES;

    fn new(dialer: &Dialer, service: &str, addresses: Vec<(Scheme, Authority)>) -> Self {
        let settings = &dialer.0.settings;
        let breaker = BreakerRules {
            failures: settings.eject_after.max(1),
            rest: Duration::from_millis(settings.eject_ms),
            last_hope: Duration::from_secs(1),
        };
        let rules = PoolRules { breaker, start_in_flight: 100, most_in_flight: settings.in_flight };
        let state = State {
            pool: Pool::new(addresses.len(), rules),
            budget: Budget::new(settings.repeat_percent, settings.repeat_reserve),
            latencies: Vec::new(),
        };
        let address = |(scheme, authority)| Address { scheme, authority, gauges: std::sync::OnceLock::new() };
        Self(Arc::new(Inner {
            service: service.into(),
            addresses: addresses.into_iter().map(address).collect(),
            dialer: Arc::clone(&dialer.0),
            state: Mutex::new(state),
            born: Instant::now(),
            room: Notify::new(),
            waiting: 0.into(),
        }))
    }

    /// The service that this leads to.
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// How each address does.
    pub fn state(&self) -> Vec<AddressState> {
        let state = self.0.state.lock();
        let look = |(index, address): (usize, &Address)| AddressState {
            address: address.authority.to_string(),
            circuit: state.pool.circuit(index),
            in_flight: state.pool.in_flight(index),
            limit: state.pool.limit(index),
        };
        self.0.addresses.iter().enumerate().map(look).collect()
    }

    /// Sends one call and waits for its outcome. The deadline is kept by [`observe`](crate::observe).
    #[doc(hidden)]
    pub async fn call<Q: Serialize + Sync, R: DeserializeOwned>(
        &self,
        method: &'static Method,
        cx: &Cx,
        request: &Q,
    ) -> Result<R> {
        let limit = self.0.dialer.settings.body_limit;
        // Written anew for each attempt, so that each carries what then remains of the deadline.
        let write = || {
            let call = Call { cx: outgoing(cx).to_wire(), request, heeds_replays: cx.once.is_some() };
            let body = serde_json::to_vec(&call).map_err(Error::internal)?;
            if body.len() > limit {
                return Err(Error::new(
                    Code::Invalid,
                    "rpc.too_large",
                    format!("{method} takes at most {limit} bytes"),
                ));
            }
            Ok(body.into())
        };
        let reply = self.0.exchange(method, &write).await?;
        if !method.repeatable {
            cx.replay.tell(reply.is_replay);
        }
        serde_json::from_slice(&reply.body).map_err(|error| {
            Error::new(Code::Internal, "rpc.malformed", format!("the reply of {method} does not read like one"))
                .because(error)
        })
    }
}

impl Inner {
    fn now(&self) -> Duration {
        self.born.elapsed()
    }

    fn gauges(&self, index: usize) -> &Gauges {
        let address = &self.addresses[index];
        address.gauges.get_or_init(|| {
            let labels = [
                metrics::Label::new("service", self.service.to_string()),
                metrics::Label::new("address", address.authority.to_string()),
            ];
            Gauges {
                circuit: metrics::gauge!("rpc_circuit_state", labels.iter()),
                limit: metrics::gauge!("rpc_concurrency_limit", labels.iter()),
            }
        })
    }
}

impl Circuit {
    fn level(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}
