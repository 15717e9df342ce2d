use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// The algorithms that are taken. Each key has exactly one, whatever a token claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
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

#[derive(Debug)]
pub(crate) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: ParsedPublicKey,
}

impl Key {
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
}

/// The signing keys of a token issuer (RFC 7517), as far as they can be used here.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// What became of looking a key up.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    Found(&'a Key),
    /// No key of this name: it may be newer than our copy of the set.
    Unknown,
    /// There is one, but not for this algorithm: a forgery, and no reason to fetch the set again.
    Mismatched,
}

impl KeySet {
    /// Reads a JWK set; keys of other kinds and uses are left out. An error when none is left.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let set: Set = crate::strict::parse(text).map_err(|error| error.message)?;
        let keys: Vec<_> = set.keys.iter().filter_map(Jwk::read).collect();
        if keys.is_empty() {
            return Err("the set has no RSA, P-256 or Ed25519 signing key".to_owned());
        }
        Ok(Self { keys })
    }

    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Lookup<'_> {
        let Some(id) = id else {
            // A token that names no key can only mean the one key there is.
            return match self.keys.as_slice() {
                [only] if only.algorithm == algorithm => Lookup::Found(only),
                _ => Lookup::Mismatched,
            };
        };
        let mut named = self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).peekable();
        if named.peek().is_none() {
            return Lookup::Unknown;
        }
        named.find(|key| key.algorithm == algorithm).map_or(Lookup::Mismatched, Lookup::Found)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
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
}

impl Jwk {
    fn read(&self) -> Option<Key> {
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Algorithm::Rs256,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            _ => return None,
        };
        let for_signing = self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"))
            && self.alg.as_deref().is_none_or(|name| Algorithm::parse(name) == Some(algorithm));
        if !for_signing {
            return None;
        }
        let public = match algorithm {
            Algorithm::Rs256 => {
                let n = decode(self.n.as_deref()?)?;
                let significant = n.iter().position(|&byte| byte != 0)?;
                let n = &n[significant..];
                if n.len() < 256 {
                    return None;
                }
                let e = decode(self.e.as_deref()?)?;
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
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The public keys of RFC 8037 appendix A.2 and RFC 7515 appendix A.3.
    const ED25519_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const P256: &str =
        r#""x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    fn set(keys: &[String]) -> Result<KeySet, String> {
        KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
    }

    fn ed(more: &str) -> String {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED25519_X}"{more}}}"#)
    }

    #[test]
    fn only_signing_keys_of_three_kinds_are_taken() {
        for unfit in [
            ed(r#","use":"enc""#),
            ed(r#","alg":"RS256""#),
            ed(r#","key_ops":["encrypt"]"#),
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            format!(r#"{{"kty":"EC","crv":"P-384",{P256}}}"#),
            format!(r#"{{"kty":"EC","crv":"P-256",{}}}"#, P256.replace("x_F", "x_G")),
            r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#.to_owned(),
        ] {
            assert!(set(std::slice::from_ref(&unfit)).is_err(), "{unfit}");
        }
        let both = [
            ed(r#","kid":"e","use":"sig","alg":"EdDSA","key_ops":["verify"]"#),
            format!(r#"{{"kty":"EC","crv":"P-256","kid":"p",{P256}}}"#),
        ];
        assert_eq!(set(&both).unwrap().len(), 2);
        assert!(KeySet::parse(b"{}").is_err() && KeySet::parse(b"{\"keys\":[],\"keys\":[]}").is_err());
    }

    #[test]
    fn a_key_is_found_by_name_and_only_for_its_own_algorithm() {
        let keys = set(&[ed(r#","kid":"a""#), format!(r#"{{"kty":"EC","crv":"P-256","kid":"b",{P256}}}"#)]).unwrap();
        assert!(matches!(keys.find(Some("a"), Algorithm::EdDsa), Lookup::Found(_)));
        assert!(matches!(keys.find(Some("a"), Algorithm::Rs256), Lookup::Mismatched));
        assert!(matches!(keys.find(Some("c"), Algorithm::EdDsa), Lookup::Unknown));
        assert!(matches!(keys.find(None, Algorithm::EdDsa), Lookup::Mismatched));
        assert!(matches!(set(&[ed("")]).unwrap().find(None, Algorithm::EdDsa), Lookup::Found(_)));
    }
}
