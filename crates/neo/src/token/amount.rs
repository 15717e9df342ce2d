//! Amounts: exact decimals for people, integers for contracts.

use num_bigint::{BigInt, Sign};

use crate::error::{Error, Result, malformed};

/// The decimals of a token, at most: an integer of 256 bits has no more digits.
pub const MOST_DECIMALS: u8 = 77;

/// The integer for an amount that a person wrote, as `-1.5` or `1000`. Nothing is rounded: digits beyond the token's
/// decimals are refused unless they are zeros.
pub fn parse_amount(text: &str, decimals: u8) -> Result<BigInt> {
    let wrong = |why: &str| malformed("amount", format!("{why}: {:?}", text.chars().take(100).collect::<String>()));
    within(decimals)?;
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let only_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    // Reading a number takes quadratic time, so a long one is refused first.
    if digits.len() > 200 || !only_digits(whole) || !only_digits(part) {
        return Err(wrong("not a decimal number"));
    }
    let part = part.trim_end_matches('0');
    if part.len() > usize::from(decimals) {
        return Err(wrong(&format!("more than {decimals} decimals")));
    }
    let all = format!("{whole}{part:0<width$}", width = usize::from(decimals));
    let number: BigInt = all.parse().map_err(|_| wrong("not a decimal number"))?;
    let number = if negative { -number } else { number };
    if number.to_signed_bytes_le().len() > crate::script::MAX_INTEGER {
        return Err(wrong("beyond 256 bits"));
    }
    Ok(number)
}

/// Writes an amount for people, exactly and without zeros at its end.
pub fn format_amount(amount: &BigInt, decimals: u8) -> String {
    let decimals = usize::from(decimals);
    let digits = format!("{:0>width$}", amount.magnitude().to_string(), width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    let sign = if amount.sign() == Sign::Minus { "-" } else { "" };
    match part.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        part => format!("{sign}{whole}.{part}"),
    }
}

fn within(decimals: u8) -> Result<()> {
    if decimals > MOST_DECIMALS {
        let most = MOST_DECIMALS.into();
        return Err(Error::TooLarge { what: "decimals", size: decimals.into(), most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_is_exact_or_refused() {
        for (text, decimals, number) in [
            ("1", 8, 100_000_000_i64),
            ("0.00000001", 8, 1),
            ("-1.5", 8, -150_000_000),
            ("1.50000000000", 8, 150_000_000),
            ("007", 0, 7),
            ("5.0", 0, 5),
        ] {
            assert_eq!(parse_amount(text, decimals).unwrap(), number.into(), "{text}");
        }
        for (text, decimals) in
            [("0.000000001", 8), ("1.5", 0), ("", 8), (".5", 8), ("1.", 8), ("1e3", 8), ("+1", 8), ("1,5", 8), ("-", 8)]
        {
            assert!(parse_amount(text, decimals).is_err(), "{text}");
        }
        assert!(parse_amount("1", 78).is_err() && parse_amount("9", 77).is_err());
        assert!(parse_amount(&"9".repeat(1_000_000), 8).is_err());
        assert_eq!(format_amount(&(-5).into(), 8), "-0.00000005");
        assert_eq!(format_amount(&0.into(), 8), "0");
        assert_eq!(format_amount(&1_000.into(), 0), "1000");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number: i128, decimals in 0..=77_u8) {
            let amount = BigInt::from(number);
            prop_assert_eq!(parse_amount(&format_amount(&amount, decimals), decimals).unwrap(), amount);
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,30}", decimals: u8) {
            let _ = parse_amount(&text, decimals);
        }
    }
}
