use std::time::Duration;

use super::Circuit;

/// How many failures in a row open the circuit, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct BreakerRules {
    pub(super) failures: u32,
    pub(super) rest: Duration,
    /// How often an open circuit may still be tried when no other address is left.
    pub(super) last_hope: Duration,
}

/// The circuit of one address. Times are spans since the channel was made.
#[derive(Debug)]
pub(super) struct Breaker {
    rules: BreakerRules,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Duration, tried: Duration },
    Probing,
}

/// What the breaker says to a call that wants this address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// The rest is over: the next call is the one probe.
    Probe,
    /// Not before this much time has passed.
    Wait(Duration),
}

impl Breaker {
    pub(super) fn new(rules: BreakerRules) -> Self {
        Self { rules, state: State::Closed { failures: 0 } }
    }

    pub(super) fn circuit(&self) -> Circuit {
        match self.state {
            State::Closed { .. } => Circuit::Closed,
            State::Open { .. } => Circuit::Open,
            State::Probing => Circuit::HalfOpen,
        }
    }

    pub(super) fn ask(&self, now: Duration) -> Verdict {
        match self.state {
            State::Closed { .. } => Verdict::Pass,
            State::Open { until, .. } if now >= until => Verdict::Probe,
            State::Open { until, .. } => Verdict::Wait(until - now),
            State::Probing => Verdict::Wait(self.rules.last_hope),
        }
    }

    /// When an open circuit may be tried early because nothing else is left.
    pub(super) fn last_hope(&self, now: Duration) -> Verdict {
        match self.state {
            State::Open { until, tried } => {
                let at = until.min(tried + self.rules.last_hope);
                if now >= at { Verdict::Probe } else { Verdict::Wait(at - now) }
            }
            _ => self.ask(now),
        }
    }

    /// Takes the one probe; only after [`Verdict::Probe`].
    pub(super) fn begin_probe(&mut self) {
        self.state = State::Probing;
    }

    pub(super) fn succeeded(&mut self, probe: bool) {
        match self.state {
            State::Closed { ref mut failures } => *failures = 0,
            State::Probing if probe => self.state = State::Closed { failures: 0 },
            // An answer to a call from before the ejection says nothing about now.
            State::Open { .. } | State::Probing => {}
        }
    }

    pub(super) fn failed(&mut self, now: Duration, probe: bool) {
        match self.state {
            State::Closed { ref mut failures } => {
                *failures += 1;
                if *failures >= self.rules.failures {
                    self.open(now);
                }
            }
            State::Probing if probe => self.open(now),
            State::Open { .. } | State::Probing => {}
        }
    }

    /// The probe was dropped before it said anything. The next one waits a moment, so that a silent address
    /// does not slow one call after the other.
    pub(super) fn probe_lost(&mut self, now: Duration) {
        if matches!(self.state, State::Probing) {
            self.state = State::Open { until: now + self.rules.last_hope, tried: now };
        }
    }

    fn open(&mut self, now: Duration) {
        self.state = State::Open { until: now + self.rules.rest, tried: now };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: BreakerRules =
        BreakerRules { failures: 5, rest: Duration::from_secs(30), last_hope: Duration::from_secs(1) };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened_at(now: Duration) -> Breaker {
        let mut breaker = Breaker::new(RULES);
        (0..5).for_each(|_| breaker.failed(now, false));
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut breaker = Breaker::new(RULES);
        for _ in 0..10 {
            (0..4).for_each(|_| breaker.failed(s(0), false));
            assert_eq!(breaker.ask(s(0)), Verdict::Pass);
            breaker.succeeded(false);
        }
        (0..5).for_each(|_| breaker.failed(s(7), false));
        assert_eq!(breaker.ask(s(7)), Verdict::Wait(s(30)));
        assert_eq!(breaker.circuit(), Circuit::Open);
    }

    #[test]
    fn after_the_rest_one_probe_decides() {
        let mut breaker = opened_at(s(0));
        assert_eq!(breaker.ask(s(29)), Verdict::Wait(s(1)));
        assert_eq!(breaker.ask(s(30)), Verdict::Probe);
        breaker.begin_probe();
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        assert!(matches!(breaker.ask(s(31)), Verdict::Wait(_)));
        breaker.failed(s(31), true);
        assert_eq!(breaker.ask(s(31)), Verdict::Wait(s(30)));
        assert_eq!(breaker.ask(s(61)), Verdict::Probe);
        breaker.begin_probe();
        breaker.succeeded(true);
        assert_eq!(breaker.ask(s(61)), Verdict::Pass);
    }

    #[test]
    fn late_answers_of_earlier_calls_do_not_move_an_open_circuit() {
        let mut breaker = opened_at(s(0));
        breaker.succeeded(false);
        breaker.failed(s(20), false);
        assert_eq!(breaker.ask(s(20)), Verdict::Wait(s(10)));
        breaker.begin_probe();
        breaker.succeeded(false);
        breaker.failed(s(30), false);
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        breaker.probe_lost(s(31));
        assert_eq!(breaker.ask(s(31)), Verdict::Wait(s(1)));
        assert_eq!(breaker.ask(s(32)), Verdict::Probe);
    }

    #[test]
    fn the_last_address_is_tried_once_a_second() {
        let mut breaker = opened_at(s(10));
        assert_eq!(breaker.last_hope(s(10)), Verdict::Wait(s(1)));
        assert_eq!(breaker.last_hope(s(11)), Verdict::Probe);
        breaker.begin_probe();
        assert!(matches!(breaker.last_hope(s(11)), Verdict::Wait(_)));
        breaker.failed(s(12), true);
        assert_eq!(breaker.last_hope(s(12)), Verdict::Wait(s(1)));
    }

    proptest! {
        #[test]
        fn never_two_probes_at_once(steps in prop::collection::vec((0u8..4, 0u64..20), 1..200)) {
            let (mut breaker, mut now, mut probing) = (Breaker::new(RULES), Duration::ZERO, false);
            for (step, wait) in steps {
                now += s(wait);
                match step {
                    0 => breaker.failed(now, false),
                    1 => breaker.succeeded(false),
                    2 if breaker.ask(now) == Verdict::Probe => {
                        prop_assert!(!probing);
                        breaker.begin_probe();
                        probing = true;
                    }
                    3 if probing => {
                        if wait % 2 == 0 { breaker.failed(now, true) } else { breaker.succeeded(true) }
                        probing = false;
                    }
                    _ => {}
                }
                prop_assert_eq!(breaker.circuit() == Circuit::HalfOpen, probing);
            }
        }
    }
}
