//! Witnesses: the scripts that prove that an account agrees.

use p256::ecdsa::Signature;
use serde::{Deserialize, Serialize};

use super::json::in_base64;
use crate::{
    account,
    error::{Error, Result, malformed},
    hash::Hash160,
    keys::{PrivateKey, PublicKey},
    wire::{Reader, Wire, write_var_bytes},
};

/// Bytes of each of the two scripts, at most.
pub const MOST_SCRIPT: u64 = 1024;

const PUSHDATA1: u8 = 0x0c;

/// Two scripts: the first pushes what the second checks.
#[derive(Clone, Debug, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Witness {
    /// Pushes signatures or other arguments.
    #[serde(with = "in_base64")]
    pub invocation: Vec<u8>,
    /// Hashes to the account. Empty for a deployed contract, whose method `verify` is then asked.
    #[serde(with = "in_base64")]
    pub verification: Vec<u8>,
}

impl Witness {
    /// For the account of one key, signing `message`.
    pub fn single(key: &PrivateKey, message: &[u8]) -> Self {
        Self::of_signature(&key.public(), &signature(key, message))
    }

    /// For the account of one key, with a signature made elsewhere.
    pub fn of_signature(key: &PublicKey, signature: &[u8; 64]) -> Self {
        Self { invocation: pushes([signature]), verification: key.verification_script() }
    }

    /// For an account of several keys: as many signatures as `script` asks, in the order of its keys. More
    /// signatures than needed are left out; signatures of other keys are refused.
    pub fn multi(script: &[u8], signatures: &[(PublicKey, [u8; 64])]) -> Result<Self> {
        let (threshold, keys) =
            account::read_multi(script).ok_or_else(|| malformed("witness", "not a multi-signature script"))?;
        if let Some((stranger, _)) = signatures.iter().find(|(key, _)| !keys.contains(key)) {
            return Err(malformed("witness", format!("{stranger} is no key of the account")));
        }
        let of = |key: &PublicKey| signatures.iter().find(|(signed, _)| signed == key).map(|(_, bytes)| bytes);
        let found: Vec<_> = keys.iter().filter_map(of).take(threshold).collect();
        if found.len() < threshold {
            return Err(malformed("witness", format!("{} of {threshold} signatures", found.len())));
        }
        Ok(Self { invocation: pushes(found), verification: script.to_vec() })
    }

    /// For a deployed contract: `invocation` pushes the arguments of its method `verify`.
    pub fn contract(invocation: Vec<u8>) -> Self {
        Self { invocation, verification: Vec::new() }
    }

    /// Refuses what nodes refuse.
    pub fn check(&self) -> Result<()> {
        for (what, script) in [("invocation script", &self.invocation), ("verification script", &self.verification)] {
            if script.len() as u64 > MOST_SCRIPT {
                return Err(Error::TooLarge { what, size: script.len() as u64, most: MOST_SCRIPT });
            }
        }
        Ok(())
    }

    /// Proves that the account's keys signed `message`. Scripts other than of one or several keys, and contracts,
    /// only a node can judge: they are refused.
    pub fn verify(&self, account: &Hash160, message: &[u8]) -> Result<()> {
        if self.verification.is_empty() {
            return Err(malformed("witness", "only a node can ask a contract"));
        }
        if Hash160::of_script(&self.verification) != *account {
            return Err(malformed("witness", format!("its script is not that of {}", account.address())));
        }
        let (threshold, keys) = match account::read_single(&self.verification) {
            Some(key) => (1, vec![key]),
            None => account::read_multi(&self.verification)
                .ok_or_else(|| malformed("witness", "only a node can run a script of another kind"))?,
        };
        let signatures = self.signatures().ok_or_else(|| malformed("witness", "it pushes other than signatures"))?;
        if signatures.len() != threshold {
            return Err(malformed("witness", format!("{} signatures, not {threshold}", signatures.len())));
        }
        // As nodes do: both in order, and each key signs once.
        let mut keys = keys.iter();
        let signed = |signature| keys.by_ref().any(|key| key.verify(message, signature));
        if signatures.iter().all(signed) { Ok(()) } else { Err(malformed("witness", "a signature does not fit")) }
    }

    /// The signatures that the invocation script pushes, when it pushes nothing else.
    pub fn signatures(&self) -> Option<Vec<[u8; 64]>> {
        let pushes = self.invocation.chunks(66);
        pushes.map(|push| <[u8; 64]>::try_from(push.strip_prefix(&[PUSHDATA1, 64])?).ok()).collect()
    }
}

/// Signs a message. Each signature has a twin that nodes take as well; wallets give the one whose second half is the
/// lower number, so that a key and a message have one signature.
pub(crate) fn signature(key: &PrivateKey, message: &[u8]) -> [u8; 64] {
    let signed = key.sign(message);
    Signature::from_slice(&signed).map_or(signed, |signed| signed.normalize_s().to_bytes().into())
}

fn pushes<'a>(signatures: impl IntoIterator<Item = &'a [u8; 64]>) -> Vec<u8> {
    let mut script = Vec::new();
    for signature in signatures {
        script.extend_from_slice(&[PUSHDATA1, 64]);
        script.extend_from_slice(signature);
    }
    script
}

impl Wire for Witness {
    fn write(&self, out: &mut Vec<u8>) {
        write_var_bytes(&self.invocation, out);
        write_var_bytes(&self.verification, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            invocation: from.var_bytes(MOST_SCRIPT, "invocation script")?.into(),
            verification: from.var_bytes(MOST_SCRIPT, "verification script")?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> PrivateKey {
        PrivateKey::from_bytes(&[number; 32]).unwrap()
    }

    #[test]
    fn a_witness_of_one_key_proves_its_message_only() {
        let witness = Witness::single(&key(1), b"message");
        let account = key(1).public().script_hash();
        assert_eq!((witness.invocation.len(), witness.verification.len()), (66, 40));
        assert!(witness.verify(&account, b"message").is_ok());
        assert!(witness.verify(&account, b"other").is_err());
        assert!(witness.verify(&key(2).public().script_hash(), b"message").is_err());
        assert!(Witness::contract(vec![]).verify(&Hash160::ZERO, b"message").is_err());
    }

    #[test]
    fn signatures_of_several_keys_are_put_in_order() {
        let keys: Vec<_> = (1..=4).map(key).collect();
        let script = account::multi(2, &keys.iter().map(PrivateKey::public).collect::<Vec<_>>()).unwrap();
        let account = Hash160::of_script(&script);
        let signed = |who: &[usize]| -> Vec<_> {
            who.iter().map(|at| (keys[*at].public(), keys[*at].sign(b"message"))).collect()
        };
        for who in [[0, 1], [1, 0], [3, 2], [0, 3], [2, 1]] {
            let witness = Witness::multi(&script, &signed(&who)).unwrap();
            assert!(witness.verify(&account, b"message").is_ok(), "{who:?}");
            let mut swapped = witness.signatures().unwrap();
            swapped.reverse();
            let swapped = Witness { invocation: pushes(&swapped), ..witness };
            assert!(swapped.verify(&account, b"message").is_err(), "{who:?}");
        }
        assert_eq!(
            Witness::multi(&script, &signed(&[0, 1, 2, 3])).unwrap().invocation.len(),
            132,
            "no more than asked"
        );
        assert!(Witness::multi(&script, &signed(&[0])).is_err());
        assert!(Witness::multi(&script, &signed(&[0, 0])).is_err(), "one key signs once");
        let twice = Witness { invocation: pushes([&keys[0].sign(b"message"); 2]), verification: script.clone() };
        assert!(twice.verify(&account, b"message").is_err());
        let stranger = (key(9).public(), key(9).sign(b"message"));
        assert!(Witness::multi(&script, &[signed(&[0, 1]), vec![stranger]].concat()).is_err());
    }
}
