//! Proof Key for Code Exchange (RFC 7636), by `S256` only: `plain` proves nothing to who reads the request.

use subtle::ConstantTimeEq;

use crate::{encode, sha256};

/// The challenge of a verifier.
pub fn s256(verifier: &str) -> String {
    encode(sha256(verifier.as_bytes()))
}

/// Whether the verifier has the form that the standard asks for and belongs to the challenge.
pub fn fits(verifier: &str, challenge: &str) -> bool {
    is_verifier(verifier) && s256(verifier).as_bytes().ct_eq(challenge.as_bytes()).into()
}

/// 43 to 128 letters, digits, `-`, `.`, `_` and `~`.
pub fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// The SHA-256 of something in base64url.
pub fn is_challenge(text: &str) -> bool {
    text.len() == 43 && crate::decode(text).is_some_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(s256(verifier), challenge);
        assert!(fits(verifier, challenge) && is_challenge(challenge));
        assert!(!fits(challenge, challenge), "plain is not taken");
        assert!(!fits(&verifier[1..], &s256(&verifier[1..])), "too short");
        assert!(!fits(verifier, "") && !is_challenge("") && !is_challenge(&"!".repeat(43)));
    }
}
