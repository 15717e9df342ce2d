use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nsl_core::{Code, Error, Result};

use super::{
    Circuit, Inner,
    latency::Latency,
    pool::{Outcome, Pick, Slot, Tried},
};
use crate::method::Method;

/// The right to call one address once. Dropping it unsettled says that the caller went away.
pub(super) struct Permit {
    inner: Arc<Inner>,
    slot: Option<Slot>,
    method: &'static Method,
    pub(super) index: usize,
}

/// What a reply means for the address that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Well,
    Strained,
    Dead,
}

impl Permit {
    fn new(inner: &Arc<Inner>, slot: Slot, method: &'static Method) -> Self {
        Self { inner: Arc::clone(inner), index: slot.index, slot: Some(slot), method }
    }

    pub(super) fn settle(mut self, sign: Sign) {
        let Some(slot) = self.slot.take() else { return };
        let took = self.inner.now().saturating_sub(slot.started);
        let outcome = match sign {
            Sign::Dead => Outcome::Failed,
            Sign::Strained => Outcome::Answered { congested: true },
            Sign::Well => Outcome::Answered { congested: self.inner.learn(self.method, took) },
        };
        self.inner.give_back(slot, outcome);
    }

    /// Whether this has taken so long that an answer which is still not there is a failure of the address:
    /// a while, and far longer than this method takes otherwise.
    pub(super) fn is_long(&self) -> bool {
        let Some(slot) = self.slot else { return false };
        let took = self.inner.now().saturating_sub(slot.started);
        let hung = Duration::from_millis(self.inner.dialer.settings.hung_ms);
        took >= hung && self.inner.usual(self.method).is_none_or(|usual| took >= usual * 3)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let gave_up = self.is_long();
        let Some(slot) = self.slot.take() else { return };
        self.inner.give_back(slot, if gave_up { Outcome::Failed } else { Outcome::Abandoned });
    }
}

impl Inner {
    /// Waits for room at an address that works, in a short queue and not for long.
    pub(super) async fn admit(self: &Arc<Self>, method: &'static Method) -> Result<Permit> {
        let settings = &self.dialer.settings;
        let until = tokio::time::Instant::now() + Duration::from_millis(settings.wait_ms);
        let mut queued: Option<Queued<'_>> = None;
        self.state.lock().budget.deposit();
        loop {
            let room = self.room.notified();
            // Who comes anew does not overtake those who wait.
            if queued.is_some() || self.waiting.load(Ordering::Relaxed) == 0 {
                let pick = self.state.lock().pool.pick(self.now(), Tried::default());
                match pick {
                    Pick::Go(slot) => {
                        drop(queued);
                        self.shown(slot);
                        self.wake();
                        return Ok(Permit::new(self, slot, method));
                    }
                    Pick::Ejected(wait) => return Err(self.closed(wait)),
                    Pick::Full | Pick::Exhausted => {}
                }
            }
            if queued.is_none() {
                // Looks once more after joining: what was given back before that woke nobody.
                queued = Some(Queued::join(&self.waiting, settings.waiting).ok_or_else(|| self.overloaded())?);
                continue;
            }
            if tokio::time::timeout_at(until, room).await.is_err() {
                return Err(self.overloaded());
            }
        }
    }

    /// A permit for a second try elsewhere, when the budget and an address allow it.
    pub(super) fn another(
        self: &Arc<Self>,
        method: &'static Method,
        tried: Tried,
        kind: &'static str,
    ) -> Option<Permit> {
        let slot = {
            let mut state = self.state.lock();
            let Pick::Go(slot) = state.pool.pick(self.now(), tried) else { return None };
            if !state.budget.withdraw() {
                state.pool.done(slot, slot.started, Outcome::Abandoned);
                metrics::counter!("rpc_repeats_total", "service" => self.service.to_string(), "kind" => "refused")
                    .increment(1);
                return None;
            }
            slot
        };
        metrics::counter!("rpc_repeats_total", "service" => self.service.to_string(), "kind" => kind).increment(1);
        self.shown(slot);
        Some(Permit::new(self, slot, method))
    }

    /// How long a method's first address may take before a second is asked.
    pub(super) fn patience(&self, method: &'static Method) -> Duration {
        const UNKNOWN: Duration = Duration::from_millis(100);
        const LEAST: Duration = Duration::from_millis(1);
        self.usual(method).unwrap_or(UNKNOWN).max(LEAST)
    }

    /// What 95 of 100 calls of a method stay under, once there were enough.
    fn usual(&self, method: &'static Method) -> Option<Duration> {
        let state = self.state.lock();
        state.latencies.iter().find(|(known, _)| std::ptr::eq(*known, method))?.1.p95()
    }

    /// Learns how long a good answer took, and says whether that was far more than usual.
    fn learn(&self, method: &'static Method, took: Duration) -> bool {
        const NEVER_SLOW: Duration = Duration::from_millis(50);
        let mut state = self.state.lock();
        let at = state.latencies.iter().position(|(known, _)| std::ptr::eq(*known, method));
        let at = at.unwrap_or_else(|| {
            state.latencies.push((method, Latency::new()));
            state.latencies.len() - 1
        });
        let latency = &mut state.latencies[at].1;
        let slow = took > NEVER_SLOW && latency.p95().is_some_and(|usual| took > usual * 3);
        latency.record(took);
        slow
    }

    fn give_back(&self, slot: Slot, outcome: Outcome) {
        let (changed, limit) = {
            let mut state = self.state.lock();
            (state.pool.done(slot, self.now(), outcome), state.pool.limit(slot.index))
        };
        self.gauges(slot.index).limit.set(f64::from(limit));
        if let Some(circuit) = changed {
            self.gauges(slot.index).circuit.set(circuit.level());
            let (service, address) = (&self.service, &self.addresses[slot.index].authority);
            if circuit == Circuit::Closed {
                tracing::info!(%service, %address, "a peer answers again");
            } else {
                tracing::warn!(%service, %address, "a peer does not answer and gets no calls for a while");
            }
        }
        self.wake();
    }

    fn shown(&self, slot: Slot) {
        if slot.probe {
            self.gauges(slot.index).circuit.set(Circuit::HalfOpen.level());
        }
    }

    fn wake(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.room.notify_one();
        }
    }

    fn closed(&self, wait: Duration) -> Error {
        let message = format!("{} does not answer", self.service);
        Error::new(Code::Unavailable, "peer.circuit_open", message).retry_after(wait.max(Duration::from_millis(100)))
    }

    fn overloaded(&self) -> Error {
        metrics::counter!("rpc_shed_total", "service" => self.service.to_string()).increment(1);
        let message = format!("{} has more calls than it bears", self.service);
        Error::new(Code::Unavailable, "peer.overloaded", message).retry_after(Duration::from_secs(1))
    }
}

/// A place in the queue for room.
struct Queued<'a>(&'a AtomicU32);

impl<'a> Queued<'a> {
    fn join(waiting: &'a AtomicU32, most: u32) -> Option<Self> {
        let join = |now: u32| (now < most).then(|| now + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, join).ok().map(|_| Self(waiting))
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
