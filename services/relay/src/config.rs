use std::time::Duration;

use nsl_api::Chain;
use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;

use crate::{n3::N3Pace, runner::Pace};

/// Section `[relay]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// The most that one transaction of Neo N3 may cost, in 10^-8 GAS, whoever asks for it; 0 for no bound. By default
    /// 10,000,000,000, which is 100 GAS: the largest contract costs some 70.
    pub neo_n3_max_fee: u64,
    /// The most that one transaction of Neo X may cost, in wei, whoever asks for it; 0 for no bound. By default
    /// 2,000,000,000,000,000,000, which is 2 GAS.
    pub neo_x_max_fee: u64,
    /// From how much on sending GAS on Neo N3 needs a person who showed a second factor in the last five minutes, in
    /// 10^-8 GAS; 0 for never. A script counts as large, since nobody can tell. By default 0: machines send as well.
    pub neo_n3_large_transfer: u64,
    /// The same on Neo X, in wei of the value that goes along; 0 for never. By default 0.
    pub neo_x_large_transfer: u64,
    /// The most that is offered for a unit of gas on Neo X, in wei. By default 1,000,000,000,000.
    pub neo_x_max_price_wei: u64,
    /// After how long what no block has is sent again. By default 3,000.
    pub resend_ms: u64,
    /// After how long what holds others up is sent at a higher price. By default 30,000.
    pub raise_ms: u64,
    /// Transactions of one account that are under way at once. By default 256.
    pub in_flight: usize,
    /// Requests of one account that are tried out at once. By default 32.
    pub together: usize,
    /// Whether requests are only accepted and taken back, and nothing is signed or sent. By default false.
    pub paused: bool,
    /// For how many blocks a transaction of Neo N3 is valid, before another takes its place. By default 100.
    pub n3_valid_blocks: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            neo_n3_max_fee: 10_000_000_000,
            neo_x_max_fee: 2_000_000_000_000_000_000,
            neo_n3_large_transfer: 0,
            neo_x_large_transfer: 0,
            neo_x_max_price_wei: 1_000_000_000_000,
            resend_ms: 3_000,
            raise_ms: 30_000,
            in_flight: 256,
            together: 32,
            paused: false,
            n3_valid_blocks: 100,
        }
    }
}

impl Check for Config {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        for (name, value, least, most) in [
            ("resend_ms", self.resend_ms, 100, 600_000),
            ("raise_ms", self.raise_ms, 100, 3_600_000),
            ("in_flight", self.in_flight as u64, 1, 1_000),
            ("together", self.together as u64, 1, 256),
            ("n3_valid_blocks", self.n3_valid_blocks.into(), 8, 5_760),
        ] {
            if !(least..=most).contains(&value) {
                mistakes.add(name, format!("lies between {least} and {most}"));
            }
        }
        if self.neo_x_max_price_wei == 0 {
            mistakes.add("neo_x_max_price_wei", "must not be 0");
        }
    }
}

impl Config {
    /// How lanes behave under these settings.
    pub fn pace(&self) -> Pace {
        Pace {
            most: self.in_flight,
            together: self.together,
            resend: Duration::from_millis(self.resend_ms),
            raise: Duration::from_millis(self.raise_ms),
            most_price: self.neo_x_max_price_wei.into(),
            n3: N3Pace {
                // Nothing has to wait for its turn there.
                most: self.in_flight * 4,
                valid_blocks: self.n3_valid_blocks,
                resend: Duration::from_millis(self.resend_ms),
                ..N3Pace::default()
            },
        }
    }

    /// The most that a transaction of this chain may cost.
    pub(crate) fn cap(&self, chain: Chain) -> Option<u128> {
        let cap = match chain {
            Chain::NeoN3 => self.neo_n3_max_fee,
            Chain::NeoX => self.neo_x_max_fee,
        };
        (cap != 0).then_some(cap.into())
    }
}

impl Config {
    /// From how much on a transfer is sensitive, in the smallest unit.
    pub(crate) fn large(&self, chain: Chain) -> Option<u128> {
        let bound = match chain {
            Chain::NeoN3 => self.neo_n3_large_transfer,
            Chain::NeoX => self.neo_x_large_transfer,
        };
        (bound != 0).then_some(bound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_each_mistake_is_told() {
        let mistakes = |config: Config| {
            let mut found = Mistakes::default();
            config.check(Profile::Production, &mut found);
            found.len()
        };
        assert_eq!(mistakes(Config::default()), 0);
        assert_eq!(mistakes(Config { resend_ms: 1, in_flight: 0, n3_valid_blocks: 5_761, ..Config::default() }), 3);
        assert_eq!(Config::default().cap(Chain::NeoN3), Some(10_000_000_000));
        assert_eq!(Config { neo_x_max_fee: 0, ..Config::default() }.cap(Chain::NeoX), None);
    }
}
