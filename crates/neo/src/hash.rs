//! The two hashes that name everything on N3, and the functions that make them.

use std::{fmt, str::FromStr};

use ripemd::Ripemd160;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, malformed};

/// The version byte of N3 addresses (0x35, so that they begin with `N`).
pub const ADDRESS_VERSION: u8 = 0x35;

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        ///
        /// Held as it goes over the wire (little-endian); written, as nodes do, `0x` and big-endian hex.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name([u8; $size]);

        impl $name {
            /// All zero.
            pub const ZERO: Self = Self([0; $size]);

            /// From its bytes as they go over the wire.
            pub const fn from_le(bytes: [u8; $size]) -> Self {
                Self(bytes)
            }

            /// Its bytes as they go over the wire.
            pub const fn as_le(&self) -> &[u8; $size] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut bytes = self.0;
                bytes.reverse();
                write!(f, "0x{}", hex::encode(bytes))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads big-endian hex, with or without `0x`.
            fn from_str(text: &str) -> Result<Self> {
                let digits = text.strip_prefix("0x").unwrap_or(text);
                let mut bytes = [0; $size];
                hex::decode_to_slice(digits, &mut bytes)
                    .map_err(|_| malformed(stringify!($name), concat!("not ", $size, " bytes of hex")))?;
                bytes.reverse();
                Ok(Self(bytes))
            }
        }

        // By value, as the reference implementation orders them.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.iter().rev().cmp(other.0.iter().rev())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl crate::wire::Wire for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }

            fn read(from: &mut crate::wire::Reader<'_>) -> Result<Self> {
                Ok(Self(from.array(stringify!($name))?))
            }
        }
    };
}

hash! {
    /// Names an account or a contract: RIPEMD-160 of SHA-256 of its script.
    Hash160, 20
}
hash! {
    /// Names a transaction or a block: SHA-256 of its unsigned form.
    Hash256, 32
}

impl Hash160 {
    /// The account or contract that this script stands for.
    pub fn of_script(script: &[u8]) -> Self {
        Self(hash160(script))
    }

    /// Its address: Base58Check of the version byte and the hash.
    pub fn address(&self) -> String {
        let mut bytes = Vec::with_capacity(21);
        bytes.push(ADDRESS_VERSION);
        bytes.extend_from_slice(&self.0);
        base58check(&bytes)
    }

    /// Reads an address.
    pub fn from_address(address: &str) -> Result<Self> {
        let bytes = from_base58check("address", address)?;
        match bytes.split_first() {
            Some((&ADDRESS_VERSION, hash)) => {
                hash.try_into().map(Self).map_err(|_| malformed("address", "not 20 bytes long"))
            }
            Some((version, _)) => Err(malformed("address", format!("version {version:#04x}, not 0x35 of N3"))),
            None => Err(malformed("address", "empty")),
        }
    }

    /// Reads what people write for an account or contract: an address, or big-endian hex with or without `0x`.
    pub fn from_text(text: &str) -> Result<Self> {
        if text.starts_with('N') { Self::from_address(text) } else { text.parse() }
    }
}

/// SHA-256.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// SHA-256 twice.
pub fn sha256d(data: &[u8]) -> [u8; 32] {
    sha256(&sha256(data))
}

/// RIPEMD-160 of SHA-256.
pub fn hash160(data: &[u8]) -> [u8; 20] {
    Ripemd160::digest(sha256(data)).into()
}

/// Base58 of the bytes and the first four of their double SHA-256.
pub fn base58check(bytes: &[u8]) -> String {
    let mut all = bytes.to_vec();
    all.extend_from_slice(&sha256d(bytes)[..4]);
    bs58::encode(all).into_string()
}

/// Reads Base58Check; `what` names the thing in errors.
pub fn from_base58check(what: &'static str, text: &str) -> Result<Vec<u8>> {
    // Base58 costs quadratic time; nothing that N3 writes in it is longer than this.
    if text.len() > 128 {
        return Err(Error::TooLarge { what, size: text.len() as u64, most: 128 });
    }
    // The text may be a secret, so the error says nothing of it.
    let mut bytes = bs58::decode(text).into_vec().map_err(|_| malformed(what, "not Base58"))?;
    let body = bytes.len().checked_sub(4).ok_or_else(|| malformed(what, "too short"))?;
    if sha256d(&bytes[..body])[..4] != bytes[body..] {
        return Err(malformed(what, "the checksum does not fit"));
    }
    bytes.truncate(body);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";

    #[test]
    fn a_hash_is_held_little_endian_and_written_big_endian() {
        let gas: Hash160 = GAS.parse().unwrap();
        assert_eq!(gas.as_le()[0], 0xcf);
        assert_eq!(gas.to_string(), GAS);
        assert_eq!(GAS[2..].parse::<Hash160>().unwrap(), gas);
        assert_eq!(serde_json::from_str::<Hash160>(&serde_json::to_string(&gas).unwrap()).unwrap(), gas);
        assert!("0x12".parse::<Hash160>().is_err() && GAS.parse::<Hash256>().is_err());
    }

    #[test]
    fn an_address_names_its_hash_and_tells_when_it_was_changed() {
        let hash: Hash160 = "a755f41b43031e7c45b7ca534a5f3759ac665214".parse().unwrap();
        assert_eq!(hash.address(), "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU");
        assert_eq!(Hash160::from_text("NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU").unwrap(), hash);
        assert!(Hash160::from_address("NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxV").is_err());
        assert!(Hash160::from_address("AK2nJJpJr6o664CWJKi1QRXjqeic2zRp8y").is_err(), "an address of Neo Legacy");
    }

    #[test]
    fn hashes_are_ordered_by_value() {
        let (small, large): (Hash160, Hash160) =
            (format!("{:040x}", 0xff).parse().unwrap(), format!("{:040x}", 0x100).parse().unwrap());
        assert!(small < large);
    }
}
