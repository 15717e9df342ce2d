use serde::Deserialize;
use serde_json::Value;

use crate::{
    jwk::{Algorithm, Jwk, Key},
    jws::strict,
};

/// The signing keys of a token issuer (RFC 7517), as far as they can be used here.
#[derive(Debug, Default)]
pub struct KeySet {
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

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK set; keys of other kinds and uses are left out. An error when none is left.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let set: Set = strict(text).ok_or("the set is no JSON object with a list of keys")?;
        let read = |jwk: &Value| Jwk::deserialize(jwk).ok()?.read();
        let keys: Vec<_> = set.keys.iter().filter_map(read).collect();
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

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
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
            ed(r#","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A""#),
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            format!(r#"{{"kty":"EC","crv":"P-384",{P256}}}"#),
            format!(r#"{{"kty":"EC","crv":"P-256",{}}}"#, P256.replace("x_F", "x_G")),
            r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#.to_owned(),
            r#"{"kty":7}"#.to_owned(),
        ] {
            assert!(set(std::slice::from_ref(&unfit)).is_err(), "{unfit}");
            assert_eq!(set(&[unfit, ed("")]).unwrap().len(), 1, "the others stay");
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
