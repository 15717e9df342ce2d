//! NEP-2: a private key under a passphrase, as 58 characters that begin with `6P`.

use aes::{
    Aes256, Block,
    cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    error::{Error, Result, malformed},
    hash::{base58check, from_base58check, sha256d},
    keys::{PrivateKey, PublicKey},
};

const PREFIX: [u8; 3] = [0x01, 0x42, 0xe0];

// Four times the memory and sixteen times the work of the usual parameters: a wallet file of a stranger can't take more.
const MOST_MEMORY: u64 = 64 << 20;
const MOST_WORK: u64 = 16 << 20;

/// How costly it is to try a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrypt {
    /// Rounds, a power of two from 2 on.
    pub n: u32,
    /// Size of a block, in units of 128 bytes.
    pub r: u32,
    /// How often the whole is done.
    pub p: u32,
}

/// Why a key could not be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// The text is no encrypted key, or the parameters are not sane. No passphrase will help.
    #[error(transparent)]
    Malformed(#[from] Error),
    /// The text is well-formed; the passphrase (or the scrypt parameters) is another than it was encrypted with.
    #[error("the passphrase does not fit the encrypted key")]
    WrongPassphrase,
}

impl Default for Scrypt {
    fn default() -> Self {
        Self::STANDARD
    }
}

impl Scrypt {
    /// What NEP-2 says: 16 MiB, and a tenth of a second or so.
    pub const STANDARD: Self = Self { n: 16_384, r: 8, p: 8 };

    /// Refuses parameters that nodes would refuse, and those that take more than 64 MiB or sixteen times the usual work.
    pub fn check(&self) -> Result<()> {
        let (n, r, p) = (u64::from(self.n), u64::from(self.r), u64::from(self.p));
        if !self.n.is_power_of_two() || n < 2 || r == 0 || p == 0 {
            return Err(malformed("scrypt parameters", format!("n {n}, r {r}, p {p}")));
        }
        let beyond = |what, size: Option<u64>, most| match size {
            Some(size) if size <= most => Ok(()),
            size => Err(Error::TooLarge { what, size: size.unwrap_or(u64::MAX), most }),
        };
        let block = r.checked_mul(128);
        beyond("memory of scrypt", block.and_then(|block| block.checked_mul(n.max(p))), MOST_MEMORY)?;
        beyond("work of scrypt", n.checked_mul(r).and_then(|work| work.checked_mul(p)), MOST_WORK)
    }

    fn derive(&self, passphrase: &str, salt: &[u8; 4]) -> Result<Zeroizing<[u8; 64]>> {
        self.check()?;
        let params = scrypt::Params::new(self.n.ilog2() as u8, self.r, self.p)
            .map_err(|_| malformed("scrypt parameters", "not possible"))?;
        // Room for the longest form, so that no copy is left behind by growing.
        let mut normal = Zeroizing::new(String::with_capacity(3 * passphrase.len()));
        normal.extend(passphrase.nfc());
        let mut derived = Zeroizing::new([0; 64]);
        scrypt::scrypt(normal.as_bytes(), salt, &params, derived.as_mut_slice())
            .map_err(|_| malformed("scrypt parameters", "not possible"))?;
        Ok(derived)
    }
}

/// Encrypts a key. The passphrase is brought into its composed form (NFC) first, so that every keyboard gives the same.
pub fn encrypt(key: &PrivateKey, passphrase: &str, scrypt: &Scrypt) -> Result<String> {
    let salt = address_hash(&key.public());
    let derived = scrypt.derive(passphrase, &salt)?;
    let mut bytes = Zeroizing::new([0; 39]);
    bytes[..3].copy_from_slice(&PREFIX);
    bytes[3..7].copy_from_slice(&salt);
    let secret = key.to_bytes();
    for (at, byte) in bytes[7..].iter_mut().enumerate() {
        *byte = secret[at] ^ derived[at];
    }
    let cipher = cipher(&derived)?;
    for block in bytes[7..].chunks_exact_mut(16) {
        let mut held = Block::try_from(&*block).map_err(|_| malformed("encrypted key", "not whole blocks"))?;
        cipher.encrypt_block(&mut held);
        block.copy_from_slice(&held);
    }
    Ok(base58check(bytes.as_slice()))
}

/// Decrypts a key and proves that it is the one that was encrypted.
pub fn decrypt(text: &str, passphrase: &str, scrypt: &Scrypt) -> Result<PrivateKey, DecryptError> {
    let (salt, encrypted) = read(text)?;
    let derived = scrypt.derive(passphrase, &salt)?;
    let cipher = cipher(&derived)?;
    let mut secret = Zeroizing::new(encrypted);
    for block in secret.chunks_exact_mut(16) {
        let mut held = Block::try_from(&*block).map_err(|_| malformed("encrypted key", "not whole blocks"))?;
        cipher.decrypt_block(&mut held);
        block.copy_from_slice(&held);
        held.as_mut_slice().zeroize();
    }
    secret.iter_mut().zip(derived.iter()).for_each(|(byte, mask)| *byte ^= mask);
    let key = PrivateKey::from_bytes(&secret).map_err(|_| DecryptError::WrongPassphrase)?;
    match bool::from(address_hash(&key.public()).ct_eq(&salt)) {
        true => Ok(key),
        false => Err(DecryptError::WrongPassphrase),
    }
}

/// Refuses what is no encrypted key, without any passphrase.
pub fn check(text: &str) -> Result<()> {
    read(text).map(drop)
}

fn read(text: &str) -> Result<([u8; 4], [u8; 32])> {
    let bytes = from_base58check("encrypted key", text)?;
    let body = bytes.strip_prefix(&PREFIX).ok_or_else(|| malformed("encrypted key", "not of NEP-2"))?;
    match body.split_first_chunk::<4>() {
        Some((salt, rest)) => {
            Ok((*salt, rest.try_into().map_err(|_| malformed("encrypted key", "not 39 bytes long"))?))
        }
        None => Err(malformed("encrypted key", "not 39 bytes long")),
    }
}

fn address_hash(key: &PublicKey) -> [u8; 4] {
    let hash = sha256d(key.address().as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

fn cipher(derived: &[u8; 64]) -> Result<Aes256> {
    Aes256::new_from_slice(&derived[32..]).map_err(|_| malformed("encrypted key", "not a key of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Scrypt = Scrypt { n: 2, r: 1, p: 1 };

    fn key() -> PrivateKey {
        let bytes = hex::decode("51b1dbe3b5721f90e6374bd46ee201e6225ce2562d1278f18d49f976e559363b").unwrap();
        PrivateKey::from_bytes(&bytes.try_into().unwrap()).unwrap()
    }

    #[test]
    fn it_agrees_with_openssl() {
        // The wallet of another client gives another text here: it swaps r and p.
        let (scrypt, text) =
            (Scrypt { n: 1024, r: 8, p: 1 }, "6PYKag7hd4uXef1vL7vkdt5aSQHqMvW44E5LLvk6eKZSBQUQSUv998VWah");
        assert_eq!(encrypt(&key(), "pw2", &scrypt).unwrap(), text);
        assert_eq!(decrypt(text, "pw2", &scrypt).unwrap().public(), key().public());
    }

    #[test]
    fn a_wrong_passphrase_is_told_apart_from_a_broken_text() {
        let text = encrypt(&key(), "right", &FAST).unwrap();
        let refusal = |text: &str, passphrase: &str, scrypt: &Scrypt| decrypt(text, passphrase, scrypt).unwrap_err();
        assert_eq!(refusal(&text, "wrong", &FAST), DecryptError::WrongPassphrase);
        assert_eq!(refusal(&text, "right", &Scrypt { p: 2, ..FAST }), DecryptError::WrongPassphrase);
        let malformed = |error| matches!(error, DecryptError::Malformed(_));
        assert!(malformed(refusal(&text[1..], "right", &FAST)));
        assert!(malformed(refusal(&text.replace('P', "Q"), "right", &FAST)));
        assert!(malformed(refusal("", "right", &FAST)));
        assert!(malformed(refusal(&base58check(&[PREFIX.as_slice(), &[0; 35]].concat()), "right", &FAST)));
        assert!(malformed(refusal(&key().to_wif(), "right", &FAST)));
        assert!(check(&text).is_ok() && check(&text[1..]).is_err());
    }

    #[test]
    fn a_letter_may_be_typed_in_one_piece_or_two() {
        let text = encrypt(&key(), "caf\u{e9}", &FAST).unwrap();
        assert_eq!(decrypt(&text, "cafe\u{301}", &FAST).unwrap().public(), key().public());
    }

    #[test]
    fn parameters_that_would_fill_the_memory_are_refused() {
        for (n, r, p) in [(0, 8, 8), (1, 8, 8), (3, 8, 8), (2, 0, 1), (2, 1, 0)] {
            assert!(matches!(Scrypt { n, r, p }.check(), Err(Error::Malformed { .. })), "{n} {r} {p}");
        }
        for (n, r, p) in [(1 << 31, 8, 1), (2, u32::MAX, u32::MAX), (2, 8, 1 << 20), (1 << 20, 8, 1), (1 << 16, 8, 64)]
        {
            assert!(matches!(Scrypt { n, r, p }.check(), Err(Error::TooLarge { .. })), "{n} {r} {p}");
        }
        assert_eq!(Scrypt { n: 1 << 16, r: 8, p: 8 }.check(), Ok(()));
    }
}
