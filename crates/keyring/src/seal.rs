use std::sync::Arc;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac, rand,
};
use nsl_core::{Error, Result, Secret};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const SALT: usize = 16;
const HEAD: usize = 1 + SALT + NONCE_LEN;

/// A key that seals values of one subject.
///
/// Sealed form: format (1 byte), salt (16), nonce (12), ciphertext, tag (16). Each value has a key of its own,
/// HMAC-SHA-256 of the salt under the data key, so that the bound of 2^32 random nonces per AES-GCM key
/// (NIST SP 800-38D §8.3) never applies to a busy subject.
#[derive(Clone)]
pub struct DataKey {
    id: Arc<str>,
    key: Arc<hmac::Key>,
}

impl DataKey {
    pub(crate) fn new(id: Arc<str>, secret: &Secret) -> Self {
        Self { id, key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret.expose())) }
    }

    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Encrypts and authenticates `plain`, bound to where it belongs (see [`bind`]).
    pub fn seal(&self, bound_to: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + AES_256_GCM.tag_len());
        sealed.resize(HEAD, FORMAT);
        rand::fill(&mut sealed[1..HEAD]).map_err(|_| fault("no randomness"))?;
        sealed.extend_from_slice(plain);
        let nonce = nonce(&sealed)?;
        let tag = self
            .value_key(&sealed[1..=SALT])?
            .seal_in_place_separate_tag(nonce, Aad::from(bound_to), &mut sealed[HEAD..])
            .map_err(|_| fault("sealing failed"))?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Gives back what was sealed, if nothing was changed and it lies where it was put.
    pub fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        if sealed.len() < HEAD + AES_256_GCM.tag_len() || sealed[0] != FORMAT {
            return Err(fault("not a sealed value"));
        }
        let mut plain = sealed[HEAD..].to_vec();
        let length = self
            .value_key(&sealed[1..=SALT])?
            .open_in_place(nonce(sealed)?, Aad::from(bound_to), &mut plain)
            .map_err(|_| fault("a sealed value was changed or lies in a foreign place"))?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    fn value_key(&self, salt: &[u8]) -> Result<LessSafeKey> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"nsl value key 1");
        context.update(salt);
        aes(context.sign().as_ref())
    }
}

pub(crate) fn aes(key: &[u8]) -> Result<LessSafeKey> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| fault("a key of the wrong length"))?))
}

/// A fresh random secret key.
pub(crate) fn generate() -> Result<Secret> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(bytes.as_mut()).map_err(|_| fault("no randomness"))?;
    Ok(Secret::new(bytes.as_slice()))
}

pub(crate) fn fault(what: &'static str) -> Error {
    Error::internal(anyhow::anyhow!(what))
}

fn nonce(sealed: &[u8]) -> Result<Nonce> {
    Nonce::try_assume_unique_for_key(&sealed[1 + SALT..HEAD]).map_err(|_| fault("a nonce of the wrong length"))
}

/// The associated data of a place: its parts, each with its length before it, so that no two places read alike.
pub fn bind(parts: &[&[u8]]) -> Vec<u8> {
    let mut bound = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        bound.extend_from_slice(&(part.len() as u32).to_be_bytes());
        bound.extend_from_slice(part);
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DataKey {
        DataKey::new("dky_1".into(), &generate().unwrap())
    }

    #[test]
    fn what_was_sealed_opens_only_untouched_and_in_its_place() {
        let key = key();
        let place = bind(&[b"ten_a", b"sub_a", b"key"]);
        let sealed = key.seal(&place, b"{\"a\":1}").unwrap();
        assert_eq!(key.open(&place, &sealed).unwrap(), b"{\"a\":1}");
        assert_ne!(sealed, key.seal(&place, b"{\"a\":1}").unwrap(), "sealing is randomised");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(&place, &changed).is_err(), "byte {at}");
        }
        assert!(key.open(&bind(&[b"ten_as", b"ub_a", b"key"]), &sealed).is_err());
        assert!(key.open(&place, &sealed[..20]).is_err());
        assert!(self::key().open(&place, &sealed).is_err());
    }

    #[test]
    fn parts_can_not_be_shifted_into_each_other() {
        assert_ne!(bind(&[b"ab", b"c"]), bind(&[b"a", b"bc"]));
    }
}
