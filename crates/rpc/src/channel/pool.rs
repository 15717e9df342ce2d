use std::time::Duration;

use super::{
    Circuit,
    breaker::{Breaker, BreakerRules, Verdict},
    limiter::Limiter,
};

/// How fast the memory of a slow answer fades.
const FADE: Duration = Duration::from_secs(5);

/// All addresses of one service and which of them the next call takes. Pure: times are spans since the
/// channel was made.
#[derive(Debug)]
pub(super) struct Pool {
    addresses: Vec<Address>,
    turn: usize,
}

#[derive(Debug)]
struct Address {
    breaker: Breaker,
    limiter: Limiter,
    in_flight: u32,
    /// When the calls in flight began, added up; in seconds.
    begun: f64,
    /// The peak of recent latencies, fading; in seconds.
    latency: f64,
    heard: Duration,
}

/// The address that a call was given, to be handed back to [`Pool::done`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) index: usize,
    pub(super) probe: bool,
    pub(super) started: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    Go(Slot),
    /// Each address that works has as many calls in flight as it bears.
    Full,
    /// No address works; the next may be tried after this much time.
    Ejected(Duration),
    /// Each address was tried already.
    Exhausted,
}

/// How a call to an address ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something answered that knows our protocol, whatever it said.
    Answered { congested: bool },
    /// No answer, or one that was not from a peer.
    Failed,
    /// The caller went away before there was an answer.
    Abandoned,
}

/// Which addresses a call has used, one bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried(u64);

impl Tried {
    pub(super) fn add(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    fn has(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PoolRules {
    pub(super) breaker: BreakerRules,
    pub(super) start_in_flight: u32,
    pub(super) most_in_flight: u32,
}

impl Pool {
    pub(super) const MOST_ADDRESSES: usize = 64;

    pub(super) fn new(addresses: usize, rules: PoolRules) -> Self {
        let address = || Address {
            breaker: Breaker::new(rules.breaker),
            limiter: Limiter::new(rules.start_in_flight, 8, rules.most_in_flight),
            in_flight: 0,
            begun: 0.0,
            latency: 0.0,
            heard: Duration::ZERO,
        };
        Self { addresses: (0..addresses.min(Self::MOST_ADDRESSES)).map(|_| address()).collect(), turn: 0 }
    }

    /// The address for the next call: a rested one that awaits its probe, else the least loaded, its load
    /// being what it has in flight weighed by how slow it has been or by how long that is waiting already.
    pub(super) fn pick(&mut self, now: Duration, tried: Tried) -> Pick {
        self.turn = self.turn.wrapping_add(1);
        let count = self.addresses.len();
        let (mut best, mut full, mut untried) = (None, false, false);
        for step in 0..count {
            let index = (self.turn + step) % count;
            if tried.has(index) {
                continue;
            }
            untried = true;
            let address = &self.addresses[index];
            match address.breaker.ask(now) {
                Verdict::Probe => return self.take(index, now, true),
                Verdict::Wait(_) => {}
                Verdict::Pass if address.in_flight >= address.limiter.limit() => full = true,
                Verdict::Pass => {
                    let load = address.load(now);
                    if best.is_none_or(|(_, least)| load < least) {
                        best = Some((index, load));
                    }
                }
            }
        }
        match best {
            Some((index, _)) => self.take(index, now, false),
            None if full => Pick::Full,
            None if !untried => Pick::Exhausted,
            None => self.last_hope(now, tried),
        }
    }

    fn last_hope(&mut self, now: Duration, tried: Tried) -> Pick {
        let mut least = Duration::MAX;
        for index in (0..self.addresses.len()).filter(|index| !tried.has(*index)) {
            match self.addresses[index].breaker.last_hope(now) {
                Verdict::Wait(wait) => least = least.min(wait),
                Verdict::Pass | Verdict::Probe => return self.take(index, now, true),
            }
        }
        Pick::Ejected(least)
    }

    fn take(&mut self, index: usize, now: Duration, probe: bool) -> Pick {
        let address = &mut self.addresses[index];
        address.in_flight += 1;
        address.begun += now.as_secs_f64();
        if probe {
            address.breaker.begin_probe();
        }
        Pick::Go(Slot { index, probe, started: now })
    }

    /// Gives the slot back. Says the circuit that the address now has, if that changed.
    pub(super) fn done(&mut self, slot: Slot, now: Duration, outcome: Outcome) -> Option<Circuit> {
        let address = &mut self.addresses[slot.index];
        let before = address.breaker.circuit();
        let took = now.saturating_sub(slot.started);
        match outcome {
            Outcome::Answered { congested } => {
                address.breaker.succeeded(slot.probe);
                address.hear(now, took);
                if congested {
                    address.limiter.congested(slot.started, now);
                } else {
                    address.limiter.good(address.in_flight);
                }
            }
            Outcome::Failed => {
                address.breaker.failed(now, slot.probe);
                address.limiter.congested(slot.started, now);
            }
            Outcome::Abandoned => {
                if slot.probe {
                    address.breaker.probe_lost(now);
                }
                if took.as_secs_f64() > address.latency_at(now) {
                    address.hear(now, took);
                }
            }
        }
        address.in_flight = address.in_flight.saturating_sub(1);
        // Starts from nought again when it can, so that roundings do not add up.
        address.begun = if address.in_flight == 0 { 0.0 } else { address.begun - slot.started.as_secs_f64() };
        Some(address.breaker.circuit()).filter(|after| *after != before)
    }

    pub(super) fn circuit(&self, index: usize) -> Circuit {
        self.addresses[index].breaker.circuit()
    }

    pub(super) fn in_flight(&self, index: usize) -> u32 {
        self.addresses[index].in_flight
    }

    pub(super) fn limit(&self, index: usize) -> u32 {
        self.addresses[index].limiter.limit()
    }
}

impl Address {
    fn load(&self, now: Duration) -> f64 {
        let calls = f64::from(self.in_flight);
        // Calls that have been waiting tell of slowness before any answer does.
        let age = if self.in_flight == 0 { 0.0 } else { now.as_secs_f64() - self.begun / calls };
        // The floor keeps an address that was never heard from taking all calls at once.
        (self.latency_at(now).max(age) + 0.000_1) * (calls + 1.0)
    }

    fn latency_at(&self, now: Duration) -> f64 {
        self.latency * fade(now.saturating_sub(self.heard))
    }

    fn hear(&mut self, now: Duration, took: Duration) {
        let (took, keep) = (took.as_secs_f64(), fade(now.saturating_sub(self.heard)));
        self.latency = if took > self.latency * keep { took } else { self.latency * keep + took * (1.0 - keep) };
        self.heard = now;
    }
}

fn fade(span: Duration) -> f64 {
    (-span.as_secs_f64() / FADE.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: PoolRules = PoolRules {
        breaker: BreakerRules { failures: 5, rest: Duration::from_secs(30), last_hope: Duration::from_secs(1) },
        start_in_flight: 10,
        most_in_flight: 20,
    };
    const GOOD: Outcome = Outcome::Answered { congested: false };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn go(pool: &mut Pool, now: Duration) -> Slot {
        match pool.pick(now, Tried::default()) {
            Pick::Go(slot) => slot,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn calls_spread_over_equal_addresses() {
        let mut pool = Pool::new(3, RULES);
        for _ in 0..30 {
            go(&mut pool, ms(0));
        }
        assert_eq!([0, 1, 2].map(|index| pool.in_flight(index)), [10, 10, 10]);
        assert_eq!(pool.pick(ms(0), Tried::default()), Pick::Full);
    }

    #[test]
    fn a_slow_address_is_left_alone_and_tried_again_later() {
        let mut pool = Pool::new(2, RULES);
        let mut now = ms(0);
        let mut slow = 0;
        for _ in 0..2_000 {
            let slot = go(&mut pool, now);
            let took = if slot.index == 0 {
                slow += 1;
                ms(1_000)
            } else {
                ms(2)
            };
            now += took;
            pool.done(slot, now, GOOD);
        }
        assert!(slow <= 2, "{slow} of 2000 calls went to the slow address");
        assert_eq!([go(&mut pool, now).index, go(&mut pool, now).index], [1, 1]);
        pool = Pool { turn: 0, ..pool };
        pool.addresses[1].in_flight = 0;
        pool.addresses[1].begun = 0.0;
        let later = now + Duration::from_secs(120);
        let both = [go(&mut pool, later).index, go(&mut pool, later).index];
        assert!(both.contains(&0), "it is forgiven: {both:?}");
    }

    #[test]
    fn an_address_that_goes_silent_is_left_alone_before_anything_fails() {
        let mut pool = Pool::new(2, RULES);
        let mut now = ms(0);
        let mut stuck = 0;
        // Ten callers; the first address never answers again, the second takes 2 ms.
        for _ in 0..1_000 {
            let round: Vec<_> = (stuck..10).map(|_| go(&mut pool, now)).collect();
            now += ms(2);
            for slot in round {
                if slot.index == 0 {
                    stuck += 1
                } else {
                    pool.done(slot, now, GOOD);
                }
            }
        }
        assert!(stuck <= 5, "{stuck} of 10 callers are stuck");
    }

    #[test]
    fn an_ejected_address_gets_one_probe_after_its_rest() {
        let mut pool = Pool::new(2, RULES);
        let mut ejected = 0;
        for _ in 0..40 {
            let slot = go(&mut pool, ms(5));
            let outcome = if slot.index == 0 { Outcome::Failed } else { GOOD };
            ejected += u32::from(pool.done(slot, ms(6), outcome) == Some(Circuit::Open));
        }
        assert_eq!((ejected, pool.circuit(0)), (1, Circuit::Open));
        let probe = go(&mut pool, ms(30_006));
        assert!(probe.probe && probe.index == 0);
        assert_eq!(go(&mut pool, ms(30_007)).index, 1, "one probe at a time");
        assert_eq!(pool.done(probe, ms(30_008), GOOD), Some(Circuit::Closed));
    }

    #[test]
    fn with_no_address_left_one_call_a_second_still_tries() {
        let mut pool = Pool::new(1, RULES);
        for _ in 0..5 {
            let slot = go(&mut pool, ms(0));
            pool.done(slot, ms(0), Outcome::Failed);
        }
        assert_eq!(pool.pick(ms(400), Tried::default()), Pick::Ejected(ms(600)));
        let slot = go(&mut pool, ms(1_000));
        assert!(slot.probe);
        assert!(matches!(pool.pick(ms(1_000), Tried::default()), Pick::Ejected(_)));
        pool.done(slot, ms(1_001), GOOD);
        assert_eq!(pool.circuit(0), Circuit::Closed);
    }

    #[test]
    fn an_address_is_not_given_twice_to_one_call() {
        let mut pool = Pool::new(2, RULES);
        let mut tried = Tried::default();
        for _ in 0..2 {
            let Pick::Go(slot) = pool.pick(ms(0), tried) else { panic!("two addresses") };
            tried.add(slot.index);
        }
        assert_eq!(pool.pick(ms(0), tried), Pick::Exhausted);
    }

    #[test]
    fn a_lost_probe_leaves_room_for_the_next_but_not_at_once() {
        let mut pool = Pool::new(1, RULES);
        for _ in 0..5 {
            let slot = go(&mut pool, ms(0));
            pool.done(slot, ms(0), Outcome::Failed);
        }
        let slot = go(&mut pool, ms(2_000));
        pool.done(slot, ms(2_001), Outcome::Abandoned);
        assert_eq!(pool.pick(ms(2_001), Tried::default()), Pick::Ejected(ms(1_000)));
        assert!(go(&mut pool, ms(3_001)).probe);
    }
}
