//! What is asked of a provider, and what it gives for a code.

use std::sync::Arc;

use nsl_core::{Code, Error, Result};
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse,
    core::{CoreAuthenticationFlow, CoreClient, CoreTokenResponse},
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    provider::{Known, Settings},
    rules,
    service::Federations,
    store::Taken,
    vouch::{self, Expected, Vouched, Wrong},
};
use crate::secrets::secret;

/// What a request to a provider was made with, and only this server knows.
#[derive(Serialize, Deserialize)]
pub(super) struct Asked {
    nonce: String,
    verifier: String,
}

impl Asked {
    pub(super) fn fresh() -> Result<Self> {
        Ok(Self { nonce: secret("")?, verifier: secret("")? })
    }
}

/// Where the person is sent.
pub(super) fn address(
    settings: &Settings,
    known: &Known,
    redirect_uri: &str,
    state: &str,
    asked: &Asked,
) -> Result<String> {
    let client =
        CoreClient::from_provider_metadata(known.metadata.clone(), ClientId::new(settings.client_id.clone()), None)
            .set_redirect_uri(redirect(redirect_uri)?);
    let verifier = PkceCodeVerifier::new(asked.verifier.clone());
    let (state, nonce) = (state.to_owned(), asked.nonce.clone());
    let request = client.authorize_url(
        CoreAuthenticationFlow::AuthorizationCode,
        move || CsrfToken::new(state),
        move || Nonce::new(nonce),
    );
    let scopes = settings.scopes.iter().cloned().map(Scope::new);
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let (url, ..) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
    Ok(url.into())
}

/// Where the person signs out at the provider, if it says where.
pub(super) fn sign_out(settings: &Settings, known: &Known, back: &str, private: bool) -> Option<String> {
    let mut url = Url::parse(known.more.end_session_endpoint.as_deref()?).ok()?;
    rules::check_place(&url, private).ok()?;
    let pairs = [("client_id", settings.client_id.as_str()), ("post_logout_redirect_uri", back)];
    url.query_pairs_mut().extend_pairs(pairs);
    Some(url.into())
}

impl Federations {
    /// Gives the code back to the provider, and believes its ID token if all of it is right.
    pub(super) async fn redeem(
        &self,
        settings: &Settings,
        known: Arc<Known>,
        code: String,
        taken: &Taken,
        asked: &Asked,
    ) -> Result<Vouched> {
        let tokens = self.exchange(settings, &known, code, &taken.redirect_uri, asked).await?;
        let token = tokens.id_token().ok_or_else(|| vouch::refused("form"))?;
        let check = |known: &Known| {
            let expected = Expected {
                settings,
                known,
                nonce: &asked.nonce,
                access_token: tokens.access_token(),
                began: taken.created_at,
                now: self.now(),
            };
            vouch::check(token, &expected)
        };
        let refuse = |wrong| match wrong {
            Wrong::Outdated(part) | Wrong::Token(part) => vouch::refused(part),
        };
        match check(&known) {
            Err(Wrong::Outdated(_)) => {
                let newer = self.providers.newer(&settings.issuer, &known).await?;
                check(&newer).map_err(refuse)
            }
            checked => checked.map_err(refuse),
        }
    }

    async fn exchange(
        &self,
        settings: &Settings,
        known: &Known,
        code: String,
        redirect_uri: &str,
        asked: &Asked,
    ) -> Result<CoreTokenResponse> {
        let secret = settings.client_secret.as_ref().and_then(|secret| secret.expose_str());
        let methods = known.more.token_endpoint_auth_methods_supported.as_deref();
        let takes = |method: &str| methods.is_none_or(|methods| methods.iter().any(|one| one == method));
        let auth = if takes("client_secret_basic") { AuthType::BasicAuth } else { AuthType::RequestBody };
        let client = CoreClient::from_provider_metadata(
            known.metadata.clone(),
            ClientId::new(settings.client_id.clone()),
            secret.map(|secret| ClientSecret::new(secret.to_owned())),
        )
        .set_redirect_uri(redirect(redirect_uri)?)
        .set_auth_type(auth);
        let request = client.exchange_code(AuthorizationCode::new(code)).map_err(Error::internal)?;
        let way = self.providers.outside.clone();
        let outside = move |request| {
            let way = way.clone();
            async move { way.call(request).await }
        };
        let answer =
            request.set_pkce_verifier(PkceCodeVerifier::new(asked.verifier.clone())).request_async(&outside).await;
        answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => {
                tracing::debug!(error = %said.error(), issuer = settings.issuer, "a provider did not take a code");
                let message = "the identity provider did not take its code back";
                Error::new(Code::Unauthenticated, "federation.code_refused", message)
            }
            RequestTokenError::Parse(..) => vouch::refused("form"),
            error => {
                tracing::warn!(%error, issuer = settings.issuer, "a provider gives no tokens");
                let message = "the identity provider does not answer as it should";
                Error::new(Code::Unavailable, "federation.provider_away", message)
            }
        })
    }
}

fn redirect(uri: &str) -> Result<RedirectUrl> {
    RedirectUrl::new(uri.to_owned()).map_err(Error::internal)
}
