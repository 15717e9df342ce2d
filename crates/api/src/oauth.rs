//! OAuth 2.0 for machines and devices.

use nsl_core::{Subject, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Page, Revealed,
    sessions::{Proof, TokenReply, TokenType},
};

/// What a client shows of itself: a secret unless it is a public one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientProof {
    pub id: String,
    #[serde(default)]
    pub secret: Option<Revealed>,
}

/// What is asked for at the token endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    ClientCredentials,
    RefreshToken {
        refresh_token: Revealed,
        tenant: Option<TenantId>,
    },
    DeviceCode {
        device_code: Revealed,
    },
    /// RFC 8693: acting in somebody's name.
    TokenExchange {
        subject_token: Revealed,
        actor_token: Revealed,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantTokens {
    pub grant: Grant,
    #[serde(default)]
    pub client: Option<ClientProof>,
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    pub proof: Option<Proof>,
}

/// Asks what a token is worth (RFC 7662): a client, or a caller with `identity:read`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntrospectToken {
    pub token: Revealed,
    #[serde(default)]
    pub client: Option<ClientProof>,
}

/// Who acts in the name of another, and in whose name that one acted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(no_recursion)]
pub struct ActsFor {
    #[schema(value_type = String)]
    pub sub: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<ActsFor>>,
}

/// All but `active` is there only for an active token of the own tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Introspection {
    pub active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<TokenType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<ActsFor>,
    /// The thumbprint of the key that the token is bound to, as `jkt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cnf: Option<serde_json::Value>,
}

/// Takes a token back (RFC 7009); one that is not known is no error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokeToken {
    pub token: Revealed,
    #[serde(default)]
    pub client: Option<ClientProof>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct TokenRevoked {}

/// A device without a browser asks to be let in (RFC 8628).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuthorizeDevice {
    pub client: ClientProof,
    #[serde(default)]
    pub scope: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeviceAuthorization {
    /// What the device asks for its tokens with.
    pub device_code: Revealed,
    /// What its user types in elsewhere.
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: String,
    /// Seconds until both codes end.
    pub expires_in: u64,
    /// Seconds between two questions at least.
    pub interval: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookDevice {
    pub user_code: String,
}

/// Lets the device in, or does not; in the caller's tenant unless another is named.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AnswerDevice {
    pub user_code: String,
    pub approve: bool,
    #[serde(default)]
    pub tenant: Option<TenantId>,
}

/// What a device asks for: to be compared with what its user sees there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeviceRequest {
    pub client: String,
    pub client_name: String,
    /// What it asks for, with spaces between; all that its user may do when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `pending`, `approved` or `denied`.
    pub state: String,
    /// Where the question came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub asked_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// Asks where everything is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Discover {}

/// Metadata of the authorization server (RFC 8414), as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Metadata {
    pub document: String,
}

/// How a client may get its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientGrant {
    ClientCredentials,
    DeviceCode,
    TokenExchange,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateClient {
    /// For people: shown in lists, and to who lets a device in. 1 to 100 characters.
    pub name: String,
    /// What its tokens may do at most. Never more than the creating credential holds.
    pub scopes: Vec<String>,
    /// `client_credentials` when absent.
    #[serde(default)]
    pub grants: Option<Vec<ClientGrant>>,
    /// A program on people's own devices: it can keep no secret and gets none.
    #[serde(default)]
    pub public: bool,
    /// From where it may ask for tokens, as addresses or ranges (`10.0.0.0/8`); from anywhere when absent.
    #[serde(default)]
    pub networks: Option<Vec<String>>,
    /// RFC 3339; never expires when absent, unless the credential that makes it ends and may make nothing that outlasts
    /// it: then with that one.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ClientInfo {
    /// `cli_...`: the `client_id`, and the subject of its own tokens.
    pub id: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub grants: Vec<ClientGrant>,
    pub public: bool,
    #[serde(default)]
    pub networks: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub suspended_at: Option<Timestamp>,
    /// When it last got a token.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// Until when the secret of before the last rotation works.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub old_secret_until: Option<Timestamp>,
}

/// A client with its secret, which is shown this once and stored nowhere.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedClient {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Revealed>,
    #[serde(flatten)]
    pub client: ClientInfo,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListClients {
    pub limit: u32,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientId {
    pub id: String,
}

/// What is absent stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UpdateClient {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Empty: from anywhere.
    #[serde(default)]
    pub networks: Option<Vec<String>>,
    /// True: its tokens are refused within a second, and it gets no others.
    #[serde(default)]
    pub suspended: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotateSecret {
    pub id: String,
    /// For how many seconds the old secret goes on working.
    pub overlap_s: u64,
}

nsl_rpc::service! {
    /// Gives tokens to machines and devices, and keeps the clients that ask for them.
    Oauth, OauthClient, "identity" {
        fn grant_tokens(GrantTokens) -> TokenReply;
        read fn introspect_token(IntrospectToken) -> Introspection;
        fn revoke_token(RevokeToken) -> TokenRevoked;
        fn authorize_device(AuthorizeDevice) -> DeviceAuthorization;
        /// For a person who signed in.
        read fn look_device(LookDevice) -> DeviceRequest;
        /// For a person who signed in.
        fn answer_device(AnswerDevice) -> DeviceRequest;
        read fn discover(Discover) -> Metadata;
        /// Needs `identity:admin`; grants no scope that the caller lacks.
        fn create_client(CreateClient) -> CreatedClient;
        /// Needs `identity:read`; newest first.
        read fn list_clients(ListClients) -> Page<ClientInfo>;
        /// Needs `identity:read`.
        read fn get_client(ClientId) -> ClientInfo;
        /// Needs `identity:write`, and `identity:admin` to change what it may do; in effect within a second.
        fn update_client(UpdateClient) -> ClientInfo;
        /// Needs `identity:admin`.
        fn rotate_client_secret(RotateSecret) -> CreatedClient;
        /// Needs `identity:write`; its tokens are refused within a second.
        fn delete_client(ClientId) -> ClientInfo;
    }
}
