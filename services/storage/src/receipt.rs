//! Signed statements of what was destroyed. The statement is kept as the very text that was signed, so that
//! checking it needs no agreement on how JSON is written.

use aws_lc_rs::{
    hmac,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use nsl_core::{Error, Result, Secret};
use serde_json::json;

/// The secret that holds the seed of the signing key, or what the seed is derived from.
pub(crate) const KEY: &str = "receipts";
pub(crate) const SEED_BYTES: usize = 32;

/// A secret of exactly 32 bytes is the seed itself; a longer one, such as 64 hexadecimal digits, gives it by HMAC.
/// A shorter one is refused.
pub(crate) fn pair(secret: &Secret) -> Result<Ed25519KeyPair> {
    let unfit = |why: &str| Error::internal(anyhow::anyhow!("the secret {KEY} {why}"));
    let pair = match secret.expose() {
        short if short.len() < SEED_BYTES => return Err(unfit("is shorter than 32 bytes")),
        seed if seed.len() == SEED_BYTES => Ed25519KeyPair::from_seed_unchecked(seed),
        long => {
            let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, long), b"nsl receipts seed 1");
            Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
        }
    };
    pair.map_err(|_| unfit("gives no key"))
}

pub(crate) fn sign(secret: &Secret, statement: &serde_json::Value) -> Result<serde_json::Value> {
    let pair = pair(secret)?;
    let text = statement.to_string();
    Ok(json!({
        "algorithm": "Ed25519",
        "public_key": BASE64_STANDARD.encode(pair.public_key()),
        "signature": BASE64_STANDARD.encode(pair.sign(text.as_bytes())),
        "statement": text,
    }))
}

/// The statement of a receipt, if its own key signed it; whether that key is ours is for the reader to say.
pub fn verify_receipt(receipt: &serde_json::Value) -> Option<serde_json::Value> {
    let field = |name: &str| receipt.get(name)?.as_str();
    let bytes = |name: &str| BASE64_STANDARD.decode(field(name)?).ok();
    let text = field("statement")?;
    UnparsedPublicKey::new(&ED25519, bytes("public_key")?).verify(text.as_bytes(), &bytes("signature")?).ok()?;
    (field("algorithm")? == "Ed25519").then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_verifies_until_a_letter_is_changed() {
        let receipt = sign(&Secret::new([7; 32]), &json!({"items": 3})).unwrap();
        assert_eq!(verify_receipt(&receipt), Some(json!({"items": 3})));
        let mut changed = receipt.clone();
        changed["statement"] = "{\"items\":4}".into();
        assert_eq!(verify_receipt(&changed), None);
        let other = sign(&Secret::new([8; 32]), &json!({"items": 3})).unwrap();
        changed = receipt;
        changed["public_key"] = other["public_key"].clone();
        assert_eq!(verify_receipt(&changed), None);
        assert!(sign(&Secret::new([7; 31]), &json!({})).is_err());
    }

    #[test]
    fn a_secret_of_32_bytes_is_the_seed_and_a_longer_one_gives_it() {
        let key = |secret: &[u8]| {
            let receipt = sign(&Secret::new(secret), &json!({"items": 3})).unwrap();
            assert_eq!(verify_receipt(&receipt), Some(json!({"items": 3})));
            receipt["public_key"].clone()
        };
        // The key of the seed as it is, so that receipts of before keep their key.
        let plain = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        assert_eq!(key(&[7; 32]), BASE64_STANDARD.encode(plain.public_key()));
        // What `openssl rand -hex 32` writes.
        let digits = b"7d1f0c9a53be2468ace013579bdf24687d1f0c9a53be2468ace013579bdf2468";
        assert_eq!(key(digits), key(digits));
        assert_ne!(key(digits), key(&digits[..63]));
        assert_ne!(key(digits), key(&digits[..32]));
    }
}
