//! What is asked of those who have passkeys, and which site they are for. Nothing here waits, reads or writes.

use nsl_core::{Code, Error, Result};
use serde_json::{Value, json};
use url::Url;
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::Config;

/// The site that passkeys are for; none where its address is a number, which browsers make no passkeys for.
pub(super) fn site(config: &Config) -> Option<Webauthn> {
    let origin = Url::parse(config.origin()).ok()?;
    let rp_id = match config.passkey.rp_id.as_str() {
        "" => origin.domain()?,
        said => said,
    };
    let site =
        WebauthnBuilder::new(rp_id, &origin).ok()?.rp_name("Neo Service Layer").allow_any_port(config.is_local());
    let more = config.passkey.origins.iter().filter_map(|more| Url::parse(more).ok());
    let beneath = |url: &Url| url.domain().is_some_and(|domain| is_beneath(domain, rp_id));
    more.filter(beneath).fold(site, |site, more| site.append_allowed_origin(&more)).build().ok()
}

/// Whether a domain is `above`, or one of its own.
pub(super) fn is_beneath(domain: &str, above: &str) -> bool {
    domain == above || domain.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

/// What the browser is told for a new passkey: one that it can find by itself later, so that signing in asks for no
/// name.
pub(super) fn creation(challenge: &impl serde::Serialize) -> Result<Value> {
    let mut options = public_key(challenge)?;
    options["authenticatorSelection"]["residentKey"] = json!("required");
    options["authenticatorSelection"]["requireResidentKey"] = json!(true);
    Ok(options)
}

/// The part of a challenge that browsers read.
pub(super) fn public_key(challenge: &impl serde::Serialize) -> Result<Value> {
    let mut whole = serde_json::to_value(challenge).map_err(Error::internal)?;
    Ok(whole["publicKey"].take())
}

pub(super) fn no_domain() -> Error {
    let message = "this server has no domain that passkeys could be for";
    Error::new(Code::Unavailable, "passkey.no_domain", message)
}

pub(super) fn challenge_gone() -> Error {
    Error::invalid("passkey.challenge_gone", "the challenge was answered before, is over, or was never given")
}

pub(super) fn refused() -> Error {
    let message = "what the authenticator answered does not prove what it should";
    Error::new(Code::Unauthenticated, "passkey.refused", message)
}

pub(super) fn cloned() -> Error {
    let message = "this use of the passkey is not the one after the last: it may have been copied";
    Error::new(Code::Unauthenticated, "passkey.cloned", message)
}

/// Reads what a browser sent.
pub(super) fn read<T: serde::de::DeserializeOwned>(credential: Value) -> Result<T> {
    serde_json::from_value(credential).map_err(|_| Error::invalid("passkey.form", "the credential has a wrong form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(public_url: &str, rp_id: &str, origins: &[&str]) -> Option<Webauthn> {
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let passkey = super::super::Config { rp_id: rp_id.to_owned(), origins };
        site(&Config { public_url: public_url.to_owned(), passkey, ..Config::default() })
    }

    #[test]
    fn passkeys_are_for_the_domain_of_the_server_and_what_is_beneath_it() {
        let origins = |site: Option<Webauthn>| site.unwrap().get_allowed_origins().len();
        assert_eq!(origins(at("", "", &[])), 1);
        assert_eq!(origins(at("https://nsl.example.com:8443", "", &[])), 1);
        let more = ["https://app.example.com", "https://example.com.evil.org", "https://evilexample.com"];
        assert_eq!(origins(at("https://nsl.example.com", "example.com", &more)), 2);
        for (public_url, rp_id) in [
            ("https://127.0.0.1", ""),
            ("https://[::1]:1", ""),
            ("https://nsl.example.com", "other.com"),
            ("https://nslexample.com", "example.com"),
        ] {
            assert!(at(public_url, rp_id, &[]).is_none(), "{public_url} {rp_id}");
        }
    }
}
