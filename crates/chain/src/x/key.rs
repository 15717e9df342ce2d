use std::fmt;

use alloy_primitives::{Address, keccak256};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use nsl_core::{Error, Result, Secret};

/// A secp256k1 key of Neo X.
pub struct Key(SigningKey);

impl Key {
    /// From its 32 bytes.
    pub fn from_secret(secret: &Secret) -> Result<Self> {
        SigningKey::from_slice(secret.expose())
            .map(Self)
            .map_err(|_| Error::invalid("chain.key_invalid", "not the 32 bytes of a secp256k1 key"))
    }

    pub fn address(&self) -> Address {
        address_of(self.0.verifying_key())
    }

    /// Signs a hash: r, s (the low one) and the recovery bit, 65 bytes.
    pub fn sign_hash(&self, hash: &[u8; 32]) -> [u8; 65] {
        let (signature, recovery): (Signature, RecoveryId) = self.0.sign_prehash_recoverable(hash);
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = recovery.to_byte();
        bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key(of {})", self.address())
    }
}

/// Who made a signature of a hash; none for what is no signature.
pub(super) fn recover(hash: &[u8; 32], signature: &[u8; 64], odd: bool) -> Option<Address> {
    let signature = Signature::from_slice(signature).ok()?;
    let key = VerifyingKey::recover_from_prehash(hash, &signature, RecoveryId::new(odd, false)).ok()?;
    Some(address_of(&key))
}

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_sec1_point(false);
    Address::from_slice(&keccak256(&point.as_bytes()[1..])[12..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_address_and_its_signatures_name_it() {
        let secret = hex::decode("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80").unwrap();
        let key = Key::from_secret(&Secret::new(secret)).unwrap();
        assert_eq!(key.address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        let hash = keccak256(b"text").0;
        let signed = key.sign_hash(&hash);
        let (rs, v) = (signed[..64].try_into().unwrap(), signed[64] == 1);
        assert_eq!(recover(&hash, &rs, v), Some(key.address()));
        assert_ne!(recover(&hash, &rs, !v), Some(key.address()));
        assert!(!format!("{key:?}").contains("ac09"));
        assert!(Key::from_secret(&Secret::new([0; 32])).is_err());
    }
}
