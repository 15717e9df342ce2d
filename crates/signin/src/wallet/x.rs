//! Accounts of Neo X: EIP-55 addresses and `personal_sign`.

use std::fmt;

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use nsl_core::{Error, Result};
use sha3::{Digest, Keccak256};

use super::unproven;

/// An account. Shown with the checksum of EIP-55.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address([u8; 20]);

impl Address {
    /// Reads what people write: of one case, or with a right checksum.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(
                "wallet.address",
                "an address of Neo X is 0x and 40 hex digits, with a right checksum if in mixed case",
            )
        };
        let digits = text.strip_prefix("0x").ok_or_else(wrong)?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| wrong())?;
        let address = Self(bytes);
        let mixed = digits.bytes().any(|digit| digit.is_ascii_lowercase())
            && digits.bytes().any(|digit| digit.is_ascii_uppercase());
        if mixed && address.to_string() != text { Err(wrong()) } else { Ok(address) }
    }

    /// Reads the one form with its checksum.
    pub fn parse_exact(text: &str) -> Option<Self> {
        Self::parse(text).ok().filter(|address| address.to_string() == text)
    }

    fn of(key: &VerifyingKey) -> Self {
        let point = key.to_sec1_point(false);
        let hash = keccak(&[&point.as_bytes()[1..]]);
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&hash[12..]);
        Self(bytes)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::encode(self.0);
        let hash = keccak(&[digits.as_bytes()]);
        f.write_str("0x")?;
        for (at, digit) in digits.chars().enumerate() {
            let high = hash[at / 2] >> (if at % 2 == 0 { 4 } else { 0 }) & 0xf >= 8;
            let digit = if high { digit.to_ascii_uppercase() } else { digit };
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Proves that the account signed the message, by EIP-191. The signature is 65 bytes in hex: r, the lower s, and v
/// as 0, 1, 27 or 28.
pub fn prove(message: &str, account: Address, signature: &str) -> Result<()> {
    let wrong = || Error::invalid("wallet.signature_form", "a signature of Neo X is 0x and 130 hex digits");
    let mut bytes = [0; 65];
    hex::decode_to_slice(signature.strip_prefix("0x").unwrap_or(signature), &mut bytes).map_err(|_| wrong())?;
    let odd = match bytes[64] {
        0 | 27 => false,
        1 | 28 => true,
        _ => {
            return Err(Error::invalid(
                "wallet.signature_form",
                "the last byte of the signature is none of 0, 1, 27, 28",
            ));
        }
    };
    let misfit = || unproven("wallet.signature", "the signature is not one of this account for this message");
    let signature = Signature::from_slice(&bytes[..64]).map_err(|_| misfit())?;
    if signature.normalize_s() != signature {
        return Err(unproven("wallet.signature_twin", "the signature has the upper s, which wallets do not give"));
    }
    let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
    let hash = keccak(&[prefix.as_bytes(), message.as_bytes()]);
    let key =
        VerifyingKey::recover_from_prehash(&hash, &signature, RecoveryId::new(odd, false)).map_err(|_| misfit())?;
    if Address::of(&key) == account { Ok(()) } else { Err(misfit()) }
}

fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;
    use proptest::prelude::*;

    use super::*;

    fn sign(key: &SigningKey, message: &str) -> [u8; 65] {
        let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
        let (signature, recovery) = key.sign_prehash_recoverable(&keccak(&[prefix.as_bytes(), message.as_bytes()]));
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + recovery.to_byte();
        bytes
    }

    fn key() -> SigningKey {
        let secret = hex::decode("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80").unwrap();
        SigningKey::from_slice(&secret).unwrap()
    }

    fn slug(proved: Result<()>) -> String {
        proved.unwrap_err().slug.into_owned()
    }

    #[test]
    fn addresses_have_the_checksums_of_eip_55() {
        for address in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
        ] {
            assert_eq!(Address::parse_exact(address).unwrap().to_string(), address);
            assert_eq!(Address::parse(&address.to_lowercase()).unwrap().to_string(), address);
        }
        for bad in [
            "",
            "0x",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAedd",
            "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
        assert!(Address::parse_exact("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed").is_none());
    }

    #[test]
    fn a_signature_proves_its_account_in_each_form_of_v_and_no_twin_does() {
        let account = Address::of(key().verifying_key());
        assert_eq!(account.to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        let signed = sign(&key(), "text");
        assert!(prove("text", account, &hex::encode(signed)).is_ok());
        assert!(prove("text", account, &format!("0x{}", hex::encode_upper(signed))).is_ok());
        let mut other = signed;
        other[64] -= 27;
        assert!(prove("text", account, &hex::encode(other)).is_ok());
        // The twin: the order of the curve less s, and the other parity.
        let order = hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
        let mut twin = signed;
        let mut borrow = 0i16;
        for at in (0..32).rev() {
            let place = i16::from(order[at]) - i16::from(signed[32 + at]) - borrow;
            borrow = i16::from(place < 0);
            twin[32 + at] = place.rem_euclid(256) as u8;
        }
        twin[64] = 27 + 28 - signed[64];
        assert_eq!(slug(prove("text", account, &hex::encode(twin))), "wallet.signature_twin");
        for bad in [&signed[..64], &[0; 65], &[0xff; 65], &[signed.as_slice(), &[0]].concat()] {
            assert!(prove("text", account, &hex::encode(bad)).is_err());
        }
        assert!(prove("text", account, "0xzz").is_err());
        let stranger = Address::parse("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed").unwrap();
        assert_eq!(slug(prove("text", stranger, &hex::encode(signed))), "wallet.signature");
    }

    #[test]
    fn no_bit_of_a_signature_can_be_turned() {
        let account = Address::of(key().verifying_key());
        let signed = sign(&key(), "text");
        for bit in 0..65 * 8 {
            let mut turned = signed;
            turned[bit / 8] ^= 1 << (bit % 8);
            assert!(prove("text", account, &hex::encode(turned)).is_err(), "{bit}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_signature_fits_no_other_message(message in "[ -~\n]{1,300}", at in any::<prop::sample::Index>(), bit in 0..7u32) {
            let account = Address::of(key().verifying_key());
            let signed = hex::encode(sign(&key(), &message));
            prop_assert!(prove(&message, account, &signed).is_ok());
            let mut bytes = message.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let turned = String::from_utf8(bytes).unwrap();
            prop_assert!(prove(&turned, account, &signed).is_err());
        }

        #[test]
        fn nothing_that_strangers_send_stops_us(signature in ".{0,200}", address in ".{0,60}") {
            let _ = prove("text", Address::of(key().verifying_key()), &signature);
            let _ = Address::parse(&address);
        }
    }
}
