//! Signing in at an identity provider elsewhere (OpenID Connect).

use std::collections::BTreeMap;

use nsl_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Page, Revealed, signin::SignedIn};

/// Which providers somebody who is not signed in may choose from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListChoices {
    pub tenant: Option<TenantId>,
}

/// A provider as a sign-in page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderChoice {
    pub provider: String,
    pub title: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginOidc {
    /// Whose provider it is; the platform's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantId>,
    /// Where the provider sends the person back to; this server's own page when absent. One of those that the
    /// provider's settings allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// How it is made sure that who comes back is who left: `cookie` for pages of this server, else by `flow` in the
    /// reply.
    #[serde(default)]
    pub bind: Bind,
    /// Ties the identity to the signed-in caller instead of signing in.
    #[serde(default)]
    pub link: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bind {
    #[default]
    Flow,
    Cookie,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BeginAt {
    pub provider: String,
    pub begin: BeginOidc,
}

/// Where to send the person.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OidcRedirect {
    pub url: String,
    /// Part of `url`; the person comes back with it.
    pub state: String,
    /// What the callback has to show; in a cookie when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub flow: Option<Revealed>,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// What the provider sent the person back with.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcCallback {
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// RFC 9207.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Where the person came back to, without what stands behind the question mark: it tells providers apart that do
    /// not name themselves in `iss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// Why the provider refused, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// As `begin` gave it; absent where a cookie has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub flow: Option<Revealed>,
}

/// An identity elsewhere that a user signs in with.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FederatedInfo {
    /// `fed_...`
    pub id: String,
    pub issuer: String,
    pub subject: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

/// What a callback led to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum OidcOutcome {
    Linked { linked: FederatedInfo },
    SignedIn(SignedIn),
}

/// Where the provider ends its own session, if it says where.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OidcSignOut {
    #[serde(default)]
    pub url: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignOutAt {
    pub provider: String,
    pub tenant: Option<TenantId>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unlink {
    pub id: String,
}

/// A provider under the name in its address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutProviderAt {
    pub provider: String,
    pub put: PutProvider,
}

/// A provider as an administrator sets it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutProvider {
    /// What the sign-in page shows; the name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// As the provider's own discovery document says it, to the letter.
    pub issuer: String,
    pub client_id: String,
    /// Absent for a public client, or to keep the one that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub client_secret: Option<Revealed>,
    /// Beside `openid`; `email` and `profile` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Which claims tell `email` and `name`; those of these names when absent.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// Further places that the provider may send people back to.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Whether who comes for the first time becomes a member of the tenant.
    #[serde(default)]
    pub sign_up: bool,
    /// The roles of such members; `viewer` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_roles: Option<Vec<String>>,
}

/// A provider as administrators see it: all but the secret.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProviderInfo {
    pub provider: String,
    pub title: String,
    pub issuer: String,
    pub client_id: String,
    pub has_secret: bool,
    pub scopes: Vec<String>,
    pub claims: BTreeMap<String, String>,
    pub redirect_uris: Vec<String>,
    pub sign_up: bool,
    pub default_roles: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameProvider {
    pub provider: String,
}

nsl_rpc::service! {
    /// Identity providers elsewhere, and signing in at them.
    Federation, FederationClient, "identity" {
        /// For anybody: what a sign-in page offers.
        read fn list_choices(ListChoices) -> Page<ProviderChoice>;
        /// For anybody: where to send the person.
        fn begin_oidc(BeginAt) -> OidcRedirect;
        /// Signs in, or links, whom the provider vouches for.
        fn finish_oidc(OidcCallback) -> OidcOutcome;
        /// Where to sign out at the provider too.
        read fn oidc_sign_out(SignOutAt) -> OidcSignOut;
        /// The caller's own identities elsewhere.
        read fn list_federated(()) -> Page<FederatedInfo>;
        /// Forgets one of the caller's own; needs a second factor shown in the last minutes, where there is one.
        fn unlink(Unlink) -> FederatedInfo;
        /// Needs `identity:admin`; the tenant's own.
        read fn list_providers(()) -> Page<ProviderInfo>;
        /// Needs `identity:admin`; asks the provider for its discovery document.
        fn put_provider(PutProviderAt) -> ProviderInfo;
        /// Needs `identity:admin`.
        fn remove_provider(NameProvider) -> ProviderInfo;
    }
}
