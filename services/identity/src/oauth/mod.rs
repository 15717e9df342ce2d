//! OAuth 2.0 for machines and devices.

mod clients;
mod device;
mod devices;
mod exchange;
mod form;
mod grants;
mod http;
mod rules;
mod store;
mod tokens;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use nsl_api::{
    Page,
    oauth::{
        AnswerDevice, AuthorizeDevice, ClientId, ClientInfo, CreateClient, CreatedClient, DeviceAuthorization,
        DeviceRequest, Discover, GrantTokens, IntrospectToken, Introspection, ListClients, LookDevice, Metadata,
        Oauth as Service, RevokeToken, RotateSecret, TokenRevoked, UpdateClient,
    },
    sessions::TokenReply,
};
use nsl_core::{Cx, Result};
use serde_json::json;

pub(crate) use self::{
    devices::unknown as device_unknown,
    http::face,
    store::{find as find_client, find_any as find_any_client},
    worker::start,
};
use crate::tokens::Tokens;

/// The client that the command line is: it has no secret, and asks for what its user may do.
pub(crate) const DEVICE_CLIENT: &str = "nsl-cli";

/// Gives tokens to machines and devices, and keeps the clients that ask for them.
pub(crate) struct Oauth {
    tokens: Arc<Tokens>,
    /// How often somebody typed a code that is none.
    misses: moka::sync::Cache<String, Arc<std::sync::atomic::AtomicU32>>,
}

impl Oauth {
    pub(crate) fn new(tokens: Arc<Tokens>) -> Self {
        let misses = moka::sync::Cache::builder().max_capacity(100_000).time_to_live(device::WINDOW).build();
        Self { tokens, misses }
    }
}

#[async_trait]
impl Service for Oauth {
    async fn grant_tokens(&self, cx: &Cx, request: GrantTokens) -> Result<TokenReply> {
        self.grant(cx, request).await
    }

    async fn introspect_token(&self, cx: &Cx, request: IntrospectToken) -> Result<Introspection> {
        self.introspect(cx, request).await
    }

    async fn revoke_token(&self, cx: &Cx, request: RevokeToken) -> Result<TokenRevoked> {
        self.revoke(cx, request).await
    }

    async fn authorize_device(&self, cx: &Cx, request: AuthorizeDevice) -> Result<DeviceAuthorization> {
        self.begin_device(cx, request).await
    }

    async fn look_device(&self, cx: &Cx, request: LookDevice) -> Result<DeviceRequest> {
        self.look(cx, &request.user_code).await
    }

    async fn answer_device(&self, cx: &Cx, request: AnswerDevice) -> Result<DeviceRequest> {
        self.answer(cx, request).await
    }

    async fn discover(&self, _: &Cx, _: Discover) -> Result<Metadata> {
        let issuer = self.tokens.issuer();
        let auth = ["client_secret_basic", "client_secret_post"];
        let document = json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "token_endpoint": format!("{issuer}/oauth2/token"),
            "introspection_endpoint": format!("{issuer}/oauth2/introspect"),
            "revocation_endpoint": format!("{issuer}/oauth2/revoke"),
            "device_authorization_endpoint": format!("{issuer}/oauth2/device_authorization"),
            "grant_types_supported": http::GRANTS,
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": [auth[0], auth[1], "none"],
            "introspection_endpoint_auth_methods_supported": auth,
            "revocation_endpoint_auth_methods_supported": [auth[0], auth[1], "none"],
            "dpop_signing_alg_values_supported": ["ES256", "EdDSA", "RS256"],
            "scopes_supported": self.tokens.ground.scopes.to_vec(),
        });
        Ok(Metadata { document: document.to_string() })
    }

    async fn create_client(&self, cx: &Cx, request: CreateClient) -> Result<CreatedClient> {
        self.create(cx, request).await
    }

    async fn list_clients(&self, cx: &Cx, request: ListClients) -> Result<Page<ClientInfo>> {
        self.list(cx, request).await
    }

    async fn get_client(&self, cx: &Cx, request: ClientId) -> Result<ClientInfo> {
        self.get(cx, &request.id).await
    }

    async fn update_client(&self, cx: &Cx, request: UpdateClient) -> Result<ClientInfo> {
        self.update(cx, request).await
    }

    async fn rotate_client_secret(&self, cx: &Cx, request: RotateSecret) -> Result<CreatedClient> {
        self.rotate(cx, request).await
    }

    async fn delete_client(&self, cx: &Cx, request: ClientId) -> Result<ClientInfo> {
        self.delete(cx, &request.id).await
    }
}
