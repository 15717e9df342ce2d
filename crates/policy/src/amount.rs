//! Amounts as policies see them: whole numbers of 10^-8 coins.
//!
//! GAS of Neo N3 has eight decimals and that of Neo X eighteen; the language counts in 64 bits. What is finer than
//! 10^-8 is rounded up and what is greater than the greatest number stays at it, so `amount > x` and `amount <= x` hold
//! for exactly the amounts that they name.

const DECIMALS: usize = 8;

/// What is no decimal number counts as the greatest amount: no policy lets it pass as a small one.
pub(crate) fn units(decimal: &str) -> i64 {
    read(decimal).unwrap_or(i64::MAX)
}

fn read(decimal: &str) -> Option<i64> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let (fine, finer) = fraction.split_at(fraction.len().min(DECIMALS));
    let up = finer.bytes().any(|byte| byte != b'0');
    let number: i64 = format!("{whole}{fine:0<DECIMALS$}").parse().ok()?;
    number.checked_add(up.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_both_chains_are_comparable_and_never_look_smaller() {
        for (decimal, expected) in [
            ("0", 0),
            ("1", 100_000_000),
            ("1.5", 150_000_000),
            ("0.00000001", 1),
            ("0.000000010000000000", 1),
            ("0.000000010000000001", 2),
            ("0.000000000000000001", 1),
            ("92233720368.54775807", i64::MAX),
            ("92233720368.547758070000000001", i64::MAX),
            ("92233720369", i64::MAX),
            ("007.10", 710_000_000),
        ] {
            assert_eq!(units(decimal), expected, "{decimal}");
        }
        for odd in ["", ".", "-1", "+1", "1e3", "0x10", "1.", ".5", "1,5", " 1", "1.2.3", "\u{661}"] {
            assert_eq!(units(odd), i64::MAX, "{odd}");
        }
    }
}
