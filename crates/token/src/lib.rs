//! Signed tokens: reading them strictly, writing them, and proving who holds them. No I/O and no clock.
//!
//! Promises:
//! - A key has exactly one algorithm, whatever a token claims; symmetric ones and `none` don't exist here.
//! - A token brings no key of its own and changes nothing about how it is read: `jwk`, `jku`, `x5u`, `x5c`,
//!   `crit`, `b64` and `zip` are refused in its header (a DPoP proof's `jwk` is what it is there for).
//! - No object of a token names a key twice, and nothing of it is believed before its signature was checked.
//! - A private key is never printed, and leaves only as PKCS#8 in a [`nsl_core::Secret`].

mod access;
mod claims;
pub mod dpop;
mod jwk;
mod jwks;
mod jws;
mod sign;

pub use access::{Access, Actor, Confirmation};
pub use claims::{Checked, Expected};
pub use jwk::{Algorithm, thumbprint};
pub use jwks::KeySet;
pub use jws::{Presented, Unfit};
pub use sign::SigningKey;

/// The `typ` of access tokens (RFC 9068).
pub const ACCESS: &str = "at+jwt";

fn sha256(bytes: &[u8]) -> aws_lc_rs::digest::Digest {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).ok()
}
