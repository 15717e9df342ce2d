//! Amounts in words: the number that settings and requests take, its unit, and what that is in GAS.

use nsl_api::Chain;

/// Such as `9977750 of 10^-8 GAS (0.0997775 GAS)` on Neo N3, and `21000 wei (0.000000000000021 GAS)` on Neo X.
pub(crate) fn told(chain: &str, amount: impl TryInto<u128>) -> String {
    let amount = amount.try_into().unwrap_or_default();
    let (unit, digits) = if chain == Chain::NeoN3.as_str() { ("of 10^-8 GAS", 8) } else { ("wei", 18) };
    let one = 10_u128.pow(digits);
    let part = format!("{:0width$}", amount % one, width = digits as usize);
    let gas = format!("{}.{part}", amount / one);
    format!("{amount} {unit} ({} GAS)", gas.trim_end_matches('0').trim_end_matches('.'))
}

/// An amount of Neo N3.
pub(crate) fn gas(amount: impl TryInto<u128>) -> String {
    told(Chain::NeoN3.as_str(), amount)
}

/// What a request may cost at most, and what to do where that is too little. It is the least of what its `max_fee` says
/// and what the operator allows.
pub(crate) fn beyond_bound(chain: &str, cost: u128, most: u128) -> String {
    let setting = if chain == Chain::NeoN3.as_str() { "relay.neo_n3_max_fee" } else { "relay.neo_x_max_fee" };
    format!(
        "it may cost {}, and it is bound to {}: raise its max_fee, or the operator's {setting} where that is less",
        told(chain, cost),
        told(chain, most)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_unit() {
        for (chain, amount, words) in [
            ("neo-n3", 0_u128, "0 of 10^-8 GAS (0 GAS)"),
            ("neo-n3", 1, "1 of 10^-8 GAS (0.00000001 GAS)"),
            ("neo-n3", 9_977_750, "9977750 of 10^-8 GAS (0.0997775 GAS)"),
            ("neo-n3", 10_000_000_000, "10000000000 of 10^-8 GAS (100 GAS)"),
            ("neo-x", 21_000, "21000 wei (0.000000000000021 GAS)"),
            ("neo-x", 2_500_000_000_000_000_000, "2500000000000000000 wei (2.5 GAS)"),
        ] {
            assert_eq!(told(chain, amount), words);
        }
        assert_eq!(gas(7_i64), told("neo-n3", 7_u128));
        assert!(told("neo-x", u128::MAX).contains("340282366920938463463.374607431768211455 GAS"));
    }
}
