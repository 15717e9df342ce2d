//! Integers as the VM holds them in bytes: little-endian, two's complement, as few as possible, none for zero.

use num_bigint::{BigInt, Sign};

use crate::{
    error::{Error, Result},
    script::MAX_INTEGER,
};

/// The bytes of an integer.
pub fn to_vm_integer(number: &BigInt) -> Vec<u8> {
    if number.sign() == Sign::NoSign { Vec::new() } else { number.to_signed_bytes_le() }
}

/// The integer that these bytes are. More than 32 are refused.
pub fn from_vm_integer(bytes: &[u8]) -> Result<BigInt> {
    if bytes.len() > MAX_INTEGER {
        return Err(Error::TooLarge { what: "integer", size: bytes.len() as u64, most: MAX_INTEGER as u64 });
    }
    Ok(BigInt::from_signed_bytes_le(bytes))
}

/// Refuses what does not fit into 256 bits.
pub(super) fn within_bounds(number: BigInt) -> Result<BigInt> {
    let size = number.to_signed_bytes_le().len();
    if size > MAX_INTEGER {
        return Err(Error::TooLarge { what: "integer", size: size as u64, most: MAX_INTEGER as u64 });
    }
    Ok(number)
}

/// Reads a decimal integer of at most 256 bits. Long text is refused before it costs quadratic time.
pub(super) fn from_decimal(text: &str) -> Result<BigInt> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || digits.len() > 78 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(crate::error::malformed("integer", "not a decimal number of at most 256 bits"));
    }
    let number = text.parse().map_err(|_| crate::error::malformed("integer", "not a decimal number"))?;
    within_bounds(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_their_bytes() {
        for (number, hex) in [(0, ""), (1, "01"), (-1, "ff"), (128, "8000"), (-128, "80"), (256, "0001")] {
            assert_eq!(hex::encode(to_vm_integer(&number.into())), hex);
            assert_eq!(from_vm_integer(&hex::decode(hex).unwrap()).unwrap(), number.into());
        }
        assert_eq!(from_vm_integer(&[5, 0, 0]).unwrap(), 5.into(), "longer than needed");
        assert!(from_vm_integer(&[0; 33]).is_err());
        let most: BigInt = (BigInt::from(1) << 255u32) - 1;
        assert_eq!(from_decimal(&most.to_string()).unwrap(), most);
        assert!(from_decimal(&(most + 1u32).to_string()).is_err());
        assert!(
            from_decimal(&"9".repeat(1_000_000)).is_err() && from_decimal("+1").is_err() && from_decimal("").is_err()
        );
    }
}
