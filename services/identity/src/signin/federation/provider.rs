//! What providers say of themselves: discovery documents and key sets, kept for a while.

use std::{collections::HashMap, sync::Arc, time::Duration};

use nsl_core::{Clock, Code, Error, Result, Secret, TenantId, Timestamp};
use openidconnect::core::{CoreJsonWebKeySet, CoreProviderMetadata};
use parking_lot::Mutex;
use serde::Deserialize;

use super::{
    outside::{Closed, Outside},
    rules,
};

const FRESH: Duration = Duration::from_secs(3_600);
/// A provider that does not answer is survived for so long with what it said before.
const STALE: Duration = Duration::from_secs(86_400);
/// A key that is not known is looked for in a newer set, which is asked for so often at most.
const BETWEEN: Duration = Duration::from_secs(1);
const MOST_KEPT: usize = 2_000;

/// A provider as its owner set it, whoever that is.
#[derive(Clone)]
pub(crate) struct Settings {
    /// None: the platform.
    pub(crate) owner: Option<TenantId>,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) scopes: Vec<String>,
    pub(crate) email_claim: String,
    pub(crate) name_claim: String,
    pub(crate) redirect_uris: Vec<String>,
    /// The person who set it for their tenant.
    pub(crate) set_by: Option<String>,
    pub(crate) sign_up: bool,
    /// What those who come for the first time become members of; a tenant of their own when there is none.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) default_roles: Vec<String>,
}

/// What the library does not read of a discovery document.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct More {
    pub(crate) end_session_endpoint: Option<String>,
    /// RFC 9207.
    pub(crate) authorization_response_iss_parameter_supported: bool,
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    pub(crate) code_challenge_methods_supported: Option<Vec<String>>,
}

/// What a provider said of itself.
pub(crate) struct Known {
    pub(crate) metadata: CoreProviderMetadata,
    pub(crate) more: More,
    at: Timestamp,
}

pub(crate) struct Providers {
    pub(crate) outside: Outside,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<String, Arc<Known>>>,
}

impl Providers {
    pub(crate) fn new(outside: Outside, clock: Arc<dyn Clock>) -> Self {
        Self { outside, clock, known: Mutex::default() }
    }

    /// What the provider says of itself, at most an hour old unless it does not answer.
    pub(crate) async fn known(&self, issuer: &str) -> Result<Arc<Known>> {
        let now = self.clock.now();
        let kept = self.known.lock().get(issuer).cloned();
        if let Some(kept) = kept.as_ref().filter(|kept| now.since(kept.at) <= FRESH) {
            return Ok(Arc::clone(kept));
        }
        match (self.discover(issuer, now).await, kept) {
            (Ok(found), _) => Ok(self.keep(issuer, found)),
            (Err(error), Some(kept)) if now.since(kept.at) <= STALE => {
                tracing::warn!(%error, issuer, "a provider does not answer: what it said before still counts");
                Ok(kept)
            }
            (Err(error), _) => Err(away(issuer, &error)),
        }
    }

    /// Asks again, also when what is known is fresh.
    pub(crate) async fn anew(&self, issuer: &str) -> Result<Arc<Known>> {
        let found = self.discover(issuer, self.clock.now()).await.map_err(|error| away(issuer, &error))?;
        Ok(self.keep(issuer, found))
    }

    /// What it says now, other than `seen`: the provider may have changed its keys since.
    pub(crate) async fn newer(&self, issuer: &str, seen: &Arc<Known>) -> Result<Arc<Known>> {
        let kept = self.known.lock().get(issuer).cloned();
        if let Some(kept) = kept.filter(|kept| !Arc::ptr_eq(kept, seen)) {
            return Ok(kept);
        }
        let since = self.clock.now().since(seen.at);
        tokio::time::sleep(BETWEEN.saturating_sub(since)).await;
        self.anew(issuer).await
    }

    fn keep(&self, issuer: &str, found: Known) -> Arc<Known> {
        let found = Arc::new(found);
        let mut known = self.known.lock();
        if known.len() >= MOST_KEPT {
            let oldest = known.iter().min_by_key(|(_, known)| known.at).map(|(issuer, _)| issuer.clone());
            oldest.map(|oldest| known.remove(&oldest));
        }
        known.insert(issuer.to_owned(), Arc::clone(&found));
        found
    }

    async fn discover(&self, issuer: &str, now: Timestamp) -> Result<Known, Closed> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let text = self.outside.get(&url).await?;
        let metadata: CoreProviderMetadata = read(&text, "discovery document")?;
        let more: More = read(&text, "discovery document")?;
        if metadata.issuer().as_str() != issuer {
            return Err(Closed::new("its discovery document names another issuer"));
        }
        // The browser is sent to the first and the code goes to the second: both are held to what the issuer is.
        let places = [Some(metadata.authorization_endpoint().url()), metadata.token_endpoint().map(|end| end.url())];
        for place in places {
            let place = place.ok_or_else(|| Closed::new("its discovery document names no token endpoint"))?;
            rules::check_place(place, self.outside.is_private()).map_err(|error| Closed::new(&error.message))?;
        }
        if more.code_challenge_methods_supported.as_ref().is_some_and(|all| !all.iter().any(|one| one == "S256")) {
            return Err(Closed::new("it does not take PKCE by S256"));
        }
        let keys: CoreJsonWebKeySet = read(&self.outside.get(metadata.jwks_uri().as_str()).await?, "key set")?;
        Ok(Known { metadata: metadata.set_jwks(keys), more, at: now })
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &[u8], what: &str) -> Result<T, Closed> {
    serde_json::from_slice(text).map_err(|error| Closed::new(&format!("its {what} cannot be read: {error}")))
}

fn away(issuer: &str, error: &Closed) -> Error {
    tracing::warn!(%error, issuer, "cannot ask an identity provider");
    Error::new(Code::Unavailable, "federation.provider_away", "the identity provider does not answer as it should")
}
