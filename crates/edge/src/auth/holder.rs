use axum::http::{HeaderMap, header, request};
use moka::{policy::EvictionPolicy, sync::Cache};
use nsl_core::{Error, PrincipalKind, Timestamp};
use nsl_token::dpop;
use subtle::ConstantTimeEq;

use super::{
    known::Known,
    refused::{proof_invalid, token_invalid},
};

const MOST_PROOFS: u64 = 200_000;

/// The path and query that a client asked for, where the router was told another name of it.
#[derive(Clone)]
pub(crate) struct Asked(pub(crate) String);

/// Remembers proofs for as long as they could be shown again (RFC 9449).
pub(super) struct Proofs(Cache<[u8; 32], ()>);

impl Proofs {
    pub(super) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(MOST_PROOFS)
            .time_to_live(dpop::REMEMBERED)
            .eviction_policy(EvictionPolicy::lru());
        Self(cache.build())
    }

    /// Checks that who shows a token may: a bound one comes with a proof of its key, any other without the
    /// scheme that promises one. `origin` is the platform's own where it knows it.
    pub(super) fn check(
        &self,
        known: &Known,
        head: &request::Parts,
        secure: bool,
        origin: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if known.principal.kind != PrincipalKind::Token {
            return Ok(());
        }
        let (scheme, token) = shown(&head.headers);
        let Some(key) = &known.bound_to else {
            return if scheme.eq_ignore_ascii_case("dpop") { Err(token_invalid(None)) } else { Ok(()) };
        };
        if !scheme.eq_ignore_ascii_case("dpop") {
            return Err(proof_invalid("show it by the scheme DPoP, with a proof"));
        }
        let mut proofs = head.headers.get_all("dpop").iter();
        let proof = match (proofs.next().and_then(|proof| proof.to_str().ok()), proofs.next()) {
            (Some(proof), None) => proof,
            (None, _) => return Err(proof_invalid("the header DPoP is missing")),
            (Some(_), Some(_)) => return Err(proof_invalid("the header DPoP was sent twice")),
        };
        let path = head.extensions.get::<Asked>().map_or(head.uri.path(), |asked| asked.0.as_str());
        let mut refusal = "its URL is not known";
        for base in [address(head, secure).as_deref(), origin].into_iter().flatten() {
            let url = format!("{}{path}", base.trim_end_matches('/'));
            let request = dpop::Request { method: head.method.as_str(), url: &url, token: Some(token), now };
            // Once only, also when it names another key than the token does.
            let once = |mark| self.0.entry(mark).or_insert(()).is_fresh();
            match dpop::check(proof, &request, once) {
                Ok(thumbprint) if bool::from(thumbprint.as_bytes().ct_eq(key.as_bytes())) => return Ok(()),
                Ok(_) => return Err(proof_invalid("the proof is of another key")),
                Err(why) => refusal = why,
            }
        }
        Err(proof_invalid(refusal))
    }
}

fn shown(headers: &HeaderMap) -> (&str, &str) {
    let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or_default();
    (scheme, token.trim_start_matches(' '))
}

// As the client named us.
fn address(head: &request::Parts, secure: bool) -> Option<String> {
    let host = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(header::HOST)?.to_str().ok()?,
    };
    Some(format!("{}://{host}", if secure { "https" } else { "http" }))
}
