use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{decode, encode, sha256};

/// The algorithms that are taken. Each key has exactly one, whatever a token claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A public key that verifies signatures of one algorithm.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Algorithm,
    public: ParsedPublicKey,
}

impl Key {
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
}

/// A JSON Web Key (RFC 7517) as far as it is understood here.
#[derive(Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    // What only a private or a shared key has.
    d: Option<Value>,
    k: Option<Value>,
}

impl Jwk {
    /// None for what cannot verify signatures here: other kinds and uses, weak keys, and private ones, which
    /// whoever published them has given away.
    pub(crate) fn read(&self) -> Option<Key> {
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => Algorithm::Rs256,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            _ => return None,
        };
        let for_signing = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"))
            && self.alg.as_deref().is_none_or(|name| Algorithm::parse(name) == Some(algorithm));
        if !for_signing || self.d.is_some() || self.k.is_some() {
            return None;
        }
        let public = match algorithm {
            Algorithm::Rs256 => {
                let (n, e) = (decode(self.n.as_deref()?)?, decode(self.e.as_deref()?)?);
                let significant = n.iter().position(|&byte| byte != 0)?;
                let n = &n[significant..];
                if n.len() < 256 || e.iter().all(|&byte| byte == 0) || is_roca(n) {
                    return None;
                }
                PublicKeyComponents { n, e: e.as_slice() }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?
            }
            Algorithm::Es256 => {
                let (x, y) = (decode(self.x.as_deref()?)?, decode(self.y.as_deref()?)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?
            }
            Algorithm::EdDsa => ParsedPublicKey::new(&ED25519, decode(self.x.as_deref()?)?).ok()?,
        };
        Some(Key { id: self.kid.clone(), algorithm, public })
    }

    /// The RFC 7638 thumbprint.
    pub(crate) fn thumbprint(&self) -> Option<String> {
        let members = match self.kty.as_str() {
            "RSA" => return Some(rsa_thumbprint(self.n.as_deref()?, self.e.as_deref()?)),
            "EC" => {
                json!({ "crv": self.crv.as_deref()?, "kty": "EC", "x": self.x.as_deref()?, "y": self.y.as_deref()? })
            }
            "OKP" => json!({ "crv": self.crv.as_deref()?, "kty": "OKP", "x": self.x.as_deref()? }),
            _ => return None,
        };
        Some(digest(&members))
    }
}

/// The RFC 7638 thumbprint of a JSON Web Key; none when it isn't one.
pub fn thumbprint(jwk: &Value) -> Option<String> {
    Jwk::deserialize(jwk).ok()?.thumbprint()
}

pub(crate) fn rsa_thumbprint(n: &str, e: &str) -> String {
    digest(&json!({ "e": e, "kty": "RSA", "n": n }))
}

// Members in the order of their names, which is how the standard has them and how they were put down.
fn digest(members: &Value) -> String {
    encode(sha256(members.to_string().as_bytes()))
}

/// Whether an RSA modulus was made by the flawed generator of CVE-2017-15361, whose keys can be factored:
/// then its remainder by each small prime is a power of 65537.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
        109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|&prime| {
        let remainder = modulus.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * 65_537 % prime;
            power == remainder
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_standards() {
        // RFC 7638 section 3.1, RFC 8037 appendix A.3.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi\
            FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c\
            7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF4\
            4-csFCur-kEgU8awapJzKnqDKgw";
        let rsa = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        assert_eq!(thumbprint(&rsa).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        assert_eq!(thumbprint(&ed).as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
        assert_eq!(thumbprint(&json!({ "kty": "oct", "k": "AA" })), None);
        assert_eq!(thumbprint(&json!("RSA")), None);
    }
}
