//! The fee policy of Neo X: a fixed base fee, a least tip, and refusal of what offers less.

use alloy_primitives::U256;
use nsl_core::{Error, Result};

use crate::config::XConfig;

/// What a transaction offers for a unit of gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fees {
    /// Type 2 (EIP-1559).
    Dynamic { max_fee: u128, tip: u128 },
    /// Type 0, one price.
    Legacy { gas_price: u128 },
}

/// The rules of the network's nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// What the network's policy fixes.
    pub base_fee: u128,
    /// Nodes take nothing below.
    pub min_tip: u128,
    /// The most that is offered; none for no bound.
    pub most: Option<u128>,
}

impl FeePolicy {
    pub fn of(config: &XConfig) -> Self {
        Self {
            base_fee: config.base_fee_wei.into(),
            min_tip: config.min_tip_wei.into(),
            most: (config.max_fee_wei != 0).then_some(config.max_fee_wei.into()),
        }
    }

    /// What to offer while blocks ask for `base_fee`: the policy's, unless the network has raised it.
    pub fn quote(&self, base_fee: u128) -> Result<Fees> {
        let max_fee = self.base_fee.max(base_fee).saturating_add(self.min_tip);
        self.bounded(Fees::Dynamic { max_fee, tip: self.min_tip })
    }

    /// What to offer in place of a transaction that offered `fees`: nodes ask for 10 % more of each part.
    pub fn replace(&self, fees: Fees, base_fee: u128) -> Result<Fees> {
        let more = |fee: u128| fee.saturating_add(fee.div_ceil(10));
        let Fees::Dynamic { max_fee: least, .. } = self.quote(base_fee)? else { unreachable!("a quote is of type 2") };
        let (max_fee, tip) = match fees {
            Fees::Dynamic { max_fee, tip } => (more(max_fee), more(tip)),
            Fees::Legacy { gas_price } => (more(gas_price), more(gas_price)),
        };
        let max_fee = max_fee.max(least).max(tip);
        self.bounded(Fees::Dynamic { max_fee, tip: tip.max(self.min_tip) })
    }

    /// Refuses what nodes would refuse or leave lying, and what offers more than we allow.
    pub fn check(&self, fees: Fees) -> Result<()> {
        let least = self.base_fee.saturating_add(self.min_tip);
        let low = |what: &str, offered: u128, least: u128| {
            Error::invalid(
                "chain.underpriced",
                format!("{what} of {offered} wei is too low: {least} is the least that Neo X takes"),
            )
            .detail("least_wei", least.to_string())
        };
        match fees {
            Fees::Dynamic { tip, .. } if tip < self.min_tip => return Err(low("a tip", tip, self.min_tip)),
            Fees::Dynamic { max_fee, .. } if max_fee < least => return Err(low("a maximum fee", max_fee, least)),
            Fees::Dynamic { max_fee, tip } if tip > max_fee => {
                return Err(Error::invalid(
                    "chain.fee_invalid",
                    format!("a tip of {tip} wei is more than the maximum fee of {max_fee}"),
                ));
            }
            Fees::Legacy { gas_price } if gas_price < least => return Err(low("a gas price", gas_price, least)),
            _ => {}
        }
        self.bounded(fees).map(drop)
    }

    fn bounded(&self, fees: Fees) -> Result<Fees> {
        let offered = fees.most();
        match self.most {
            Some(most) if offered > most => Err(Error::invalid(
                "chain.fee_too_high",
                format!("{offered} wei for a unit of gas is more than the {most} that the configuration allows"),
            )
            .detail("most_wei", most.to_string())),
            _ => Ok(fees),
        }
    }
}

impl Fees {
    /// The most that a unit of gas may cost.
    pub fn most(&self) -> u128 {
        match *self {
            Self::Dynamic { max_fee, .. } => max_fee,
            Self::Legacy { gas_price } => gas_price,
        }
    }

    /// The most that so much gas may cost, in wei.
    pub fn bound(&self, gas_limit: u64) -> U256 {
        U256::from(self.most()) * U256::from(gas_limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;

    fn policy() -> FeePolicy {
        FeePolicy::of(&XConfig::of(47_763, &[]))
    }

    #[test]
    fn what_is_quoted_passes_and_less_is_refused() {
        let dynamic = |max_fee, tip| Fees::Dynamic { max_fee: max_fee * GWEI, tip: tip * GWEI };
        assert_eq!(policy().quote(0).unwrap(), dynamic(40, 20), "a base fee that drifts below the fixed one");
        assert_eq!(policy().quote(25 * GWEI).unwrap(), dynamic(45, 20), "a base fee that was raised");
        policy().check(dynamic(40, 20)).unwrap();
        policy().check(Fees::Legacy { gas_price: 40 * GWEI }).unwrap();
        for (fees, slug) in [
            (dynamic(40, 19), "chain.underpriced"),
            (Fees::Dynamic { max_fee: 40 * GWEI - 1, tip: 20 * GWEI }, "chain.underpriced"),
            (Fees::Legacy { gas_price: 39 * GWEI }, "chain.underpriced"),
            (dynamic(41, 42), "chain.fee_invalid"),
            (dynamic(1_001, 20), "chain.fee_too_high"),
            (Fees::Legacy { gas_price: u128::MAX }, "chain.fee_too_high"),
        ] {
            assert_eq!(policy().check(fees).unwrap_err().slug, slug, "{fees:?}");
        }
    }

    #[test]
    fn a_replacement_offers_a_tenth_more_until_the_bound() {
        let mut fees = policy().quote(20 * GWEI).unwrap();
        let mut times = 0;
        loop {
            let Ok(next) = policy().replace(fees, 20 * GWEI) else { break };
            let (Fees::Dynamic { max_fee, tip }, Fees::Dynamic { max_fee: more, tip: higher }) = (fees, next) else {
                panic!("type 2");
            };
            assert!(more * 10 >= max_fee * 11 && higher * 10 >= tip * 11);
            policy().check(next).unwrap();
            (fees, times) = (next, times + 1);
        }
        assert!(times > 30, "{times}");
    }
}
