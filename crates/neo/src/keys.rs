//! Keys of curve secp256r1 (P-256), WIF, signatures.

use std::{cmp::Ordering, fmt, str::FromStr};

use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer as _, Verifier as _},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::{
    account,
    error::{Error, Result, malformed},
    hash::{Hash160, base58check, from_base58check},
    wire::{Reader, Wire},
};

/// A secret key. Its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// From 32 bytes that a good random source made. Zero and what is beyond the curve's order are refused.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        SigningKey::from_slice(bytes)
            .map(Self)
            .map_err(|_| malformed("private key", "not a number within the curve's order"))
    }

    /// The number of 32 bytes, big-endian.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// Reads the wallet import format: Base58Check of 0x80, the key, 0x01.
    pub fn from_wif(wif: &str) -> Result<Self> {
        let bytes = Zeroizing::new(from_base58check("WIF", wif)?);
        match bytes.as_slice() {
            [0x80, key @ .., 0x01] if key.len() == 32 => {
                let key: Zeroizing<[u8; 32]> =
                    Zeroizing::new(key.try_into().map_err(|_| malformed("WIF", "not 32 bytes"))?);
                Self::from_bytes(&key)
            }
            _ => Err(malformed("WIF", "not a compressed key of 32 bytes")),
        }
    }

    /// Writes the wallet import format. Whoever has it has the key.
    pub fn to_wif(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0x80; 34]);
        bytes[1..33].copy_from_slice(self.to_bytes().as_slice());
        bytes[33] = 0x01;
        Zeroizing::new(base58check(bytes.as_slice()))
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// Signs SHA-256 of the message by the deterministic nonce of RFC 6979: 32 bytes r, 32 bytes s.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.public())
    }
}

/// A point of the curve, written as 33 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads the compressed (33 bytes) or uncompressed (65 bytes) form.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        let refused = || malformed("public key", "not a point of secp256r1");
        // SEC 1 has a further form of 33 bytes (0x05), which nodes don't take.
        match (bytes.len(), bytes.first()) {
            (33, Some(0x02 | 0x03)) | (65, Some(0x04)) => {
                VerifyingKey::from_sec1_bytes(bytes).map(Self).map_err(|_| refused())
            }
            _ => Err(refused()),
        }
    }

    /// The compressed form.
    pub fn to_bytes(&self) -> [u8; 33] {
        let point = self.0.to_sec1_point(true);
        let mut bytes = [0; 33];
        bytes.copy_from_slice(point.as_bytes());
        bytes
    }

    /// Whether this is a signature of SHA-256 of the message.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }

    /// The script that asks for one signature of this key.
    pub fn verification_script(&self) -> Vec<u8> {
        account::single(self)
    }

    /// The account that this key alone signs for.
    pub fn script_hash(&self) -> Hash160 {
        Hash160::of_script(&self.verification_script())
    }

    /// The address of that account.
    pub fn address(&self) -> String {
        self.script_hash().address()
    }

    fn coordinates(&self) -> ([u8; 32], [u8; 32]) {
        let point = self.0.to_sec1_point(false);
        let (mut x, mut y) = ([0; 32], [0; 32]);
        x.copy_from_slice(&point.as_bytes()[1..33]);
        y.copy_from_slice(&point.as_bytes()[33..65]);
        (x, y)
    }
}

// By X and then Y, as nodes sort the keys of a multi-signature account.
impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.coordinates().cmp(&other.coordinates())
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.to_bytes().hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    /// Reads hex of either form.
    fn from_str(text: &str) -> Result<Self> {
        Self::from_slice(&hex::decode(text).map_err(|_| malformed("public key", "not hex"))?)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Wire for PublicKey {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Self::from_slice(from.bytes(33, "public key")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIF: &str = "L1aS3HBJPfc8G7vhoEtkHoHWMCoz1kD7TmiiCt3QRhxsUUv49BiB";

    #[test]
    fn a_key_reads_from_wif_and_gives_its_account() {
        let key = PrivateKey::from_wif(WIF).unwrap();
        assert_eq!(
            hex::encode(key.to_bytes().as_slice()),
            "820274438b02a64f15dcc16aeff32356ab60b634da56f46a1002a6ce47f4e597"
        );
        assert_eq!(key.to_wif().as_str(), WIF);
        assert_eq!(key.public().to_string(), "03a9dd88b245b8a3dc982959540d25b57305d5ebaced0ac29a07eac5ad8573e90b");
        assert_eq!(key.public().address(), "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU");
        assert!(!format!("{key:?}").contains("8202"));
    }

    #[test]
    fn a_signature_fits_its_message_and_key_only() {
        let key = PrivateKey::from_wif(WIF).unwrap();
        let signature = key.sign(b"message");
        assert_eq!(signature, key.sign(b"message"), "deterministic");
        assert!(key.public().verify(b"message", &signature));
        assert!(!key.public().verify(b"massage", &signature));
        assert!(!PrivateKey::from_bytes(&[7; 32]).unwrap().public().verify(b"message", &signature));
        assert!(!key.public().verify(b"message", &[0; 64]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(PrivateKey::from_bytes(&[0; 32]).is_err() && PrivateKey::from_bytes(&[0xff; 32]).is_err());
        assert!(PublicKey::from_slice(&[2; 33]).is_err() || PublicKey::from_slice(&[2; 32]).is_err());
        assert!(PublicKey::from_slice(&[0]).is_err(), "the point at infinity signs nothing");
        let known = PrivateKey::from_wif(WIF).unwrap().public().to_bytes();
        for tag in 0..=255 {
            let taken = PublicKey::from_slice(&[&[tag], &known[1..]].concat()).is_ok();
            assert_eq!(taken, matches!(tag, 2 | 3), "{tag}");
        }
    }
}
