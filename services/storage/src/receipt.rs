//! Signed statements of what was destroyed. The statement is kept as the very text that was signed, so that
//! checking it needs no agreement on how JSON is written.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, prelude::BASE64_STANDARD};
use nsl_core::{Error, Result, Secret};
use serde_json::json;

/// The secret that holds the seed of the signing key.
pub(crate) const KEY: &str = "receipts";
pub(crate) const SEED_BYTES: usize = 32;

pub(crate) fn sign(seed: &Secret, statement: &serde_json::Value) -> Result<serde_json::Value> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose())
        .map_err(|_| Error::internal(anyhow::anyhow!("the secret {KEY} does not hold {SEED_BYTES} bytes")))?;
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
}
