//! A sign-in that is under way at a provider: kept, taken once, and held against what comes back.

use std::sync::Arc;

use nsl_api::federation::OidcCallback;
use nsl_core::{Code, Error, Result, Timestamp};
use nsl_keyring::bind;

use super::{
    exchange::Asked,
    provider::{Known, Settings},
    service::{FLOW, Federations, owner},
    store::{Begin, Take, Taken},
};
use crate::{people::store::platform, secrets::digest_of};

impl Federations {
    pub(super) async fn keep(
        &self,
        settings: &Settings,
        state: &str,
        flow: &str,
        redirect_uri: String,
        link_user: Option<String>,
        asked: &Asked,
    ) -> Result<Timestamp> {
        let (id, now) = (digest_of(state), self.now());
        let key = self.ground.keyring.current(&platform(), &keeper()?).await?;
        let plain = serde_json::to_vec(asked).map_err(Error::internal)?;
        let expires_at = now.plus(FLOW);
        let change = Begin {
            owner: owner(settings),
            flow: digest_of(flow),
            provider: settings.name.clone(),
            issuer: settings.issuer.clone(),
            redirect_uri,
            link_user,
            sealed: key.seal(&place(&id), &plain)?,
            sealed_key: key.id().to_string(),
            now,
            expires_at,
            id,
        };
        self.ground.db.write_platform(change).await?;
        Ok(expires_at)
    }

    /// What was asked of the provider. Nobody gets it again.
    pub(super) async fn take(&self, request: &OidcCallback) -> Result<(Taken, Asked)> {
        let flow = request.flow.as_ref().ok_or_else(gone)?;
        let id = digest_of(&request.state);
        let taken = self.ground.db.write_platform(Take { id: id.clone(), flow: digest_of(&flow.0) }).await?;
        let taken = taken.filter(|taken| taken.expires_at > self.now()).ok_or_else(gone)?;
        let key = self.ground.keyring.find(&platform(), &Arc::from(taken.sealed_key.as_str())).await?;
        let plain = key.ok_or_else(nsl_keyring::key_gone)?.open(&place(&id), &taken.sealed)?;
        let asked = serde_json::from_slice(&plain).map_err(Error::internal)?;
        Ok((taken, asked))
    }
}

/// Whether the answer is of the provider that was asked (RFC 9207, and RFC 9700 section 4.4): it names itself, or it
/// arrived at the place that is this provider's alone.
pub(super) fn check_origin(request: &OidcCallback, taken: &Taken, known: &Known) -> Result<()> {
    let named = request.iss.as_deref().map(|iss| iss == taken.issuer);
    let at_home = request.redirect_uri.as_deref().map(|uri| uri == taken.redirect_uri);
    let is_its_own = match (named, at_home) {
        (Some(false), _) | (_, Some(false)) => false,
        (Some(true), _) => true,
        (None, at_home) => at_home == Some(true) && !known.more.authorization_response_iss_parameter_supported,
    };
    if is_its_own {
        return Ok(());
    }
    let message = "the answer is not of the identity provider that was asked";
    Err(Error::new(Code::Unauthenticated, "federation.mix_up", message))
}

pub(super) fn gone() -> Error {
    let message = "this sign-in was ended before, is over, or was begun in another browser";
    Error::invalid("federation.flow_gone", message)
}

/// The provider said no. Only a word that RFC 6749 could have is said back.
pub(super) fn refused_there(error: &str) -> Error {
    let message = "the identity provider did not let the person in";
    let refused = Error::new(Code::Unauthenticated, "federation.refused_there", message);
    let is_word =
        (1..=40).contains(&error.len()) && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { refused.detail("reason", error) } else { refused }
}

fn keeper() -> Result<nsl_core::Subject> {
    nsl_core::Subject::parse("identity-providers")
}

fn place(id: &str) -> Vec<u8> {
    bind(&[b"federation_flows", id.as_bytes()])
}
