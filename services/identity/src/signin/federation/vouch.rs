//! Whether an ID token is to be believed, and what it says.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use nsl_core::{Code, Error, Timestamp, scan};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, Nonce, SignatureVerificationError,
    core::{CoreIdToken, CoreIdTokenVerifier, CoreJwsSigningAlgorithm as Alg},
};
use serde_json::{Map, Value};

use super::provider::{Known, Settings};
use crate::signin::rules::email;

/// Clocks of providers may differ from ours by so much.
const LEEWAY: Duration = Duration::from_secs(60);
const LONGEST_SUBJECT: usize = 255;
const LONGEST_TEXT: usize = 254;

/// Signatures by a key that only the provider has. What a shared secret signs could be of anybody who knows it.
const ALGORITHMS: [Alg; 9] = [
    Alg::RsaSsaPkcs1V15Sha256,
    Alg::RsaSsaPkcs1V15Sha384,
    Alg::RsaSsaPkcs1V15Sha512,
    Alg::RsaSsaPssSha256,
    Alg::RsaSsaPssSha384,
    Alg::RsaSsaPssSha512,
    Alg::EcdsaP256Sha256,
    Alg::EcdsaP384Sha384,
    Alg::EdDsa,
];

/// Whom the provider vouches for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Vouched {
    pub(crate) subject: String,
    /// Only one that the provider says is verified.
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
}

/// Why a token is not believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Signed by a key, or in a way, that the provider may have taken up since it was asked about itself.
    Outdated(&'static str),
    Token(&'static str),
}

/// What the token is held against.
pub(crate) struct Expected<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) known: &'a Known,
    pub(crate) nonce: &'a str,
    pub(crate) access_token: &'a AccessToken,
    /// When the person was sent to the provider.
    pub(crate) began: Timestamp,
    pub(crate) now: Timestamp,
}

pub(crate) fn check(token: &CoreIdToken, expected: &Expected<'_>) -> Result<Vouched, Wrong> {
    let Expected { settings, known, nonce, began, now, .. } = *expected;
    let client = ClientId::new(settings.client_id.clone());
    let (issuer, keys) = (known.metadata.issuer().clone(), known.metadata.jwks().clone());
    let offered = known.metadata.id_token_signing_alg_values_supported();
    let earliest = began.minus(LEEWAY);
    let latest = now.plus(LEEWAY);
    // A public client's verifier knows no secret, so no algorithm of shared secrets can ever be taken.
    let verifier = CoreIdTokenVerifier::new_public_client(client.clone(), issuer, keys)
        .set_allowed_algs(ALGORITHMS.into_iter().filter(|alg| offered.contains(alg)))
        .set_time_fn(move || DateTime::from_timestamp_micros(now.0).unwrap_or(DateTime::<chrono::Utc>::MAX_UTC))
        .set_issue_time_verifier_fn(move |at| {
            let at = Timestamp(at.timestamp_micros());
            if at < earliest || at > latest { Err("issued at another time".to_owned()) } else { Ok(()) }
        });
    let claims = token.claims(&verifier, &Nonce::new(nonce.to_owned())).map_err(why)?;
    match claims.authorized_party() {
        Some(party) if party.as_str() != client.as_str() => return Err(Wrong::Token("authorized_party")),
        None if claims.audiences().len() > 1 => return Err(Wrong::Token("authorized_party")),
        _ => {}
    }
    if let Some(said) = claims.access_token_hash() {
        let (alg, key) = (token.signing_alg(), token.signing_key(&verifier));
        let (Ok(alg), Ok(key)) = (alg, key) else { return Err(Wrong::Token("access_token_hash")) };
        let real = AccessTokenHash::from_token(expected.access_token, alg, key);
        if !real.is_ok_and(|real| real == *said) {
            return Err(Wrong::Token("access_token_hash"));
        }
    }
    let subject = claims.subject().as_str();
    if subject.is_empty() || subject.len() > LONGEST_SUBJECT || subject.chars().any(char::is_control) {
        return Err(Wrong::Token("subject"));
    }
    let all = payload(&token.to_string()).ok_or(Wrong::Token("form"))?;
    Ok(Vouched {
        subject: subject.to_owned(),
        email: text(&all, &settings.email_claim).filter(|_| is_verified(&all)).and_then(|text| email(&text).ok()),
        name: text(&all, &settings.name_claim),
    })
}

/// All claims of a token whose signature is good. One that two readers could read differently is refused.
fn payload(token: &str) -> Option<Map<String, Value>> {
    let text = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    scan::scan(&text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn text(all: &Map<String, Value>, claim: &str) -> Option<String> {
    let text = all.get(claim)?.as_str()?.trim();
    let fits = !text.is_empty() && text.len() <= LONGEST_TEXT && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

fn is_verified(all: &Map<String, Value>) -> bool {
    all.get("email_verified").is_some_and(|said| *said == Value::Bool(true))
}

fn why(error: ClaimsVerificationError) -> Wrong {
    use SignatureVerificationError as Signature;
    tracing::debug!(%error, "an ID token is not believed");
    Wrong::Token(match error {
        // A set of one key without an id may have been replaced by another such.
        ClaimsVerificationError::SignatureVerification(Signature::NoMatchingKey | Signature::CryptoError(_)) => {
            return Wrong::Outdated("signature");
        }
        ClaimsVerificationError::SignatureVerification(Signature::DisallowedAlg(_)) => {
            return Wrong::Outdated("algorithm");
        }
        ClaimsVerificationError::SignatureVerification(Signature::UnsupportedAlg(_) | Signature::NoSignature) => {
            "algorithm"
        }
        ClaimsVerificationError::SignatureVerification(_) => "signature",
        ClaimsVerificationError::Expired(_) => "time",
        ClaimsVerificationError::InvalidAudience(_) => "audience",
        ClaimsVerificationError::InvalidIssuer(_) => "issuer",
        ClaimsVerificationError::InvalidNonce(_) => "nonce",
        ClaimsVerificationError::InvalidSubject(_) => "subject",
        _ => "form",
    })
}

/// What the caller hears: which part was wrong, which helps those who set a provider up and no one else.
pub(crate) fn refused(part: &'static str) -> Error {
    Error::new(
        Code::Unauthenticated,
        "federation.token_refused",
        "what the identity provider vouches with is not valid",
    )
    .detail("part", part)
}
