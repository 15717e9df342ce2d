//! The words for credentials that are not taken.

use std::time::Duration;

use nsl_core::{Code, Error};
use nsl_token::Unfit;

pub(super) fn key_unknown() -> Error {
    Error::new(Code::Unauthenticated, "auth.key_unknown", "the API key is not valid")
}

pub(super) fn unavailable() -> Error {
    Error::new(Code::Unavailable, "auth.unavailable", "credentials cannot be checked now")
        .retry_after(Duration::from_secs(1))
}

pub(super) fn token_revoked() -> Error {
    Error::new(Code::Unauthenticated, "auth.token_revoked", "the token was taken back")
}

pub(super) fn proof_invalid(why: &str) -> Error {
    let message = format!("the token is bound to a key, and the request does not prove to have it: {why}");
    Error::new(Code::Unauthenticated, "auth.proof_invalid", message)
}

// What was wrong is only told of a token whose signature was right: it is its holder who asks.
pub(super) fn token_invalid(unfit: Option<Unfit>) -> Error {
    if let Some(unfit) = unfit {
        tracing::debug!(?unfit, "token refused");
    }
    match unfit {
        Some(Unfit::Expired) => Error::new(Code::Unauthenticated, "auth.token_expired", "the token has expired"),
        Some(Unfit::Claim(name)) => {
            Error::new(Code::Unauthenticated, "auth.token_invalid", "the token is not valid here").detail("claim", name)
        }
        _ => Error::new(Code::Unauthenticated, "auth.token_invalid", "the token is not valid"),
    }
}
