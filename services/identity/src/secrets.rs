//! Secrets that are shown once, and what is kept of them.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nsl_core::{Error, Result};

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0u8; N];
    rand::fill(&mut bytes).map_err(|_| Error::internal(anyhow::anyhow!("the system gave no random bytes")))?;
    Ok(bytes)
}

/// A new secret: its kind and 32 random bytes in base64url.
pub(crate) fn secret(prefix: &str) -> Result<String> {
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<32>()?)))
}

/// What is kept of a secret: SHA-256 in lower-case hex. Nothing slower is needed for what no one can guess.
pub(crate) fn digest_of(secret: &str) -> String {
    hex::encode(digest(&SHA256, secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_43_characters_after_its_prefix_and_is_never_twice_the_same() {
        let (one, two) = (secret("nsi_").unwrap(), secret("nsi_").unwrap());
        assert!(one.starts_with("nsi_") && one.len() == 47 && one != two);
        assert!(digest_of(&one).len() == 64 && digest_of(&one) != digest_of(&two));
        assert_eq!(digest_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
