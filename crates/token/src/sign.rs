use std::fmt;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use nsl_core::{Error, Result, Secret};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{encode, jwk};

/// An RSA key of 2048 bits that signs tokens with RS256.
pub struct SigningKey {
    pair: KeyPair,
    id: String,
    n: String,
    e: String,
}

impl SigningKey {
    /// Takes a good part of a second: not for a request's thread.
    pub fn generate() -> Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| fault("cannot make an RSA key"))?;
        Self::of(pair)
    }

    pub fn from_pkcs8(pkcs8: &Secret) -> Result<Self> {
        Self::of(KeyPair::from_pkcs8(pkcs8.expose()).map_err(|_| fault("cannot read a signing key"))?)
    }

    /// The private key, to be sealed before it goes anywhere.
    pub fn to_pkcs8(&self) -> Result<Secret> {
        let der = self.pair.as_der().map_err(|_| fault("cannot write a signing key"))?;
        Ok(Secret::new(der.as_ref()))
    }

    /// Its RFC 7638 thumbprint: the `kid` of its tokens.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half as it stands in a key set (RFC 7517).
    pub fn jwk(&self) -> Value {
        json!({ "kty": "RSA", "n": self.n, "e": self.e, "alg": "RS256", "use": "sig", "kid": self.id })
    }

    /// A compact JWS over the claims; `kind` is its `typ`, for example [`crate::ACCESS`].
    pub fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<String> {
        let header = json!({ "alg": "RS256", "typ": kind, "kid": self.id });
        let claims = serde_json::to_vec(claims).map_err(Error::internal)?;
        let mut token = format!("{}.{}", encode(header.to_string()), encode(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| fault("cannot sign a token"))?;
        token.push('.');
        token.push_str(&encode(&signature));
        Ok(token)
    }

    fn of(pair: KeyPair) -> Result<Self> {
        if pair.public_modulus_len() != 256 {
            return Err(fault("a signing key has not 2048 bits"));
        }
        let (n, e) = components(pair.public_key().as_ref()).ok_or_else(|| fault("cannot read a public key"))?;
        let (n, e) = (encode(n), encode(e));
        Ok(Self { id: jwk::rsa_thumbprint(&n, &e), n, e, pair })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

fn fault(what: &'static str) -> Error {
    Error::internal(std::io::Error::other(what))
}

// RSAPublicKey of RFC 8017: a sequence of the modulus and the exponent, both positive integers.
fn components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inner, rest) = element(der, 0x30)?;
    let (n, after) = element(inner, 0x02)?;
    let (e, end) = element(after, 0x02)?;
    (rest.is_empty() && end.is_empty()).then(|| (unsigned(n), unsigned(e)))
}

fn unsigned(integer: &[u8]) -> &[u8] {
    let significant = integer.iter().position(|&byte| byte != 0).unwrap_or(integer.len());
    &integer[significant..]
}

fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ACCESS, KeySet, Presented};

    #[test]
    fn what_a_key_signs_its_published_half_verifies_after_a_way_through_storage() {
        let made = SigningKey::generate().unwrap();
        let key = SigningKey::from_pkcs8(&made.to_pkcs8().unwrap()).unwrap();
        assert_eq!((key.id(), key.jwk()), (made.id(), made.jwk()));
        assert_eq!(crate::thumbprint(&key.jwk()).as_deref(), Some(key.id()));
        let token = key.sign(ACCESS, &json!({ "sub": "alice" })).unwrap();
        let set = KeySet::parse(json!({ "keys": [key.jwk()] }).to_string().as_bytes()).unwrap();
        let presented = Presented::parse(&token, &[ACCESS]).unwrap();
        assert_eq!(presented.verify(&set).unwrap(), br#"{"sub":"alice"}"#);
        let other = SigningKey::generate().unwrap();
        let others = KeySet::parse(json!({ "keys": [other.jwk()] }).to_string().as_bytes()).unwrap();
        assert!(presented.verify(&others).is_err());
    }

    #[test]
    fn a_key_prints_only_its_name() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.id()));
        assert!(SigningKey::from_pkcs8(&Secret::new(*b"no key")).is_err());
    }
}
