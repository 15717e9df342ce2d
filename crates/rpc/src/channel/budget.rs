/// How much may be sent twice: each call pays in a share of a token, each retry or hedge takes a whole
/// one. Extra calls are thereby at most that share of all calls, plus the reserve it starts with.
#[derive(Debug)]
pub(super) struct Budget {
    thousandths: u32,
    share: u32,
    cap: u32,
}

impl Budget {
    /// `percent` of the calls may be repeated, and `reserve` more when traffic has been calm.
    pub(super) fn new(percent: u32, reserve: u32) -> Self {
        let cap = reserve.saturating_mul(1_000);
        Self { thousandths: cap, share: percent.saturating_mul(10), cap }
    }

    pub(super) fn deposit(&mut self) {
        self.thousandths = self.thousandths.saturating_add(self.share).min(self.cap);
    }

    pub(super) fn withdraw(&mut self) -> bool {
        let enough = self.thousandths >= 1_000;
        if enough {
            self.thousandths -= 1_000;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dry_budget_earns_one_repeat_in_ten_calls() {
        let mut budget = Budget::new(10, 2);
        assert!(budget.withdraw() && budget.withdraw() && !budget.withdraw());
        (0..9).for_each(|_| budget.deposit());
        assert!(!budget.withdraw());
        budget.deposit();
        assert!(budget.withdraw());
    }

    #[test]
    fn no_share_and_no_reserve_repeat_nothing() {
        let mut budget = Budget::new(0, 0);
        (0..1_000).for_each(|_| budget.deposit());
        assert!(!budget.withdraw());
    }

    proptest! {
        #[test]
        fn repeats_never_exceed_the_share_and_the_reserve(
            percent in 0u32..=100, reserve in 0u32..20, steps in prop::collection::vec(any::<bool>(), 0..2_000),
        ) {
            let mut budget = Budget::new(percent, reserve);
            let (mut calls, mut repeats) = (0u32, 0u32);
            for call in steps {
                if call { budget.deposit(); calls += 1 } else if budget.withdraw() { repeats += 1 }
                prop_assert!(repeats * 100 <= calls * percent + reserve * 100);
            }
        }
    }
}
