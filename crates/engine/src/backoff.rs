use std::time::Duration;

/// Growing pauses between tries of something remote, scattered so that many processes do not try at once.
#[derive(Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    pub(crate) fn reset(self) -> Self {
        Self::new(self.first, self.most)
    }

    /// Between half of this pause and all of it; the pause after it is twice as long.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        let dice = uuid::Uuid::new_v4().as_u128() as u32;
        pause / 2 + (pause / 2).mul_f64(f64::from(dice) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_scatter() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let bounds = [100, 200, 400, 800, 1000, 1000];
        for bound in bounds.map(Duration::from_millis) {
            let pause = backoff.next();
            assert!(pause >= bound / 2 && pause <= bound, "{pause:?} of {bound:?}");
        }
        assert!(backoff.reset().next() <= Duration::from_millis(100));
    }
}
