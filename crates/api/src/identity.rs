//! Who may call: API keys and the tenants that they belong to.

use nsl_core::{Principal, Subject, TenantId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{Page, Revealed};

/// A presented API key as its SHA-256 in lower-case hex: the key itself never leaves the edge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authenticate {
    pub digest: String,
}

/// What a valid credential stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authenticated {
    pub tenant: TenantId,
    pub principal: Principal,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Where requests may come from, as `nsl_core::Network` reads them; from anywhere when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// The user (`usr_...`) or client whose key it is, where it is somebody's: what ends for them ends for the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The newest revocation that was known before the key was looked up. A later one of `key:ID`, `sub:OWNER` or
    /// `sub:OWNER@TENANT` asks for another look.
    #[serde(default)]
    pub revision: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreateKey {
    /// For people: shown in lists. 1 to 100 characters.
    pub name: String,
    /// What the key may do: `service:verb`, `service:*` or `*`. Never more than the creating credential holds, and
    /// nothing that no service asks for.
    pub scopes: Vec<String>,
    /// Whose data the key works on; the creator's own when absent. Another's needs `identity:admin`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Subject>,
    /// RFC 3339; never expires when absent, unless the credential that makes it ends and may make nothing that outlasts
    /// it: then with that one.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// What it is for; at most 500 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// The addresses (`203.0.113.7`) and ranges of them (`10.0.0.0/8`) that it may be used from; all when empty. A key
    /// with networks makes none that reaches beyond them.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// Changes a key; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeKey {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `null` takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// An empty list lifts the bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    /// RFC 3339; `null` for a key that does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Option<Timestamp>>,
}

// What is there is `Some`, also where it is null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Deserialize::deserialize(field).map(Some)
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateKey {
    pub id: String,
    pub change: ChangeKey,
}

/// Gives a key a new secret. The old one works until the overlap is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotateKey {
    pub id: String,
    /// `None`: as long as is usual here.
    pub overlap_s: Option<u64>,
}

/// An API key as it may be shown: all but the secret.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyInfo {
    pub id: String,
    pub name: String,
    /// The first characters of the key, to tell keys apart.
    pub prefix: String,
    #[schema(value_type = String)]
    pub subject: Subject,
    pub scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, at most a minute behind.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    #[serde(default)]
    pub description: Option<String>,
    /// Where requests with it may come from; from anywhere when empty.
    #[serde(default)]
    pub networks: Vec<String>,
    /// The user or client whose key it is: it stops when they do, and never does more than they may. Absent for keys
    /// that the tenant itself has.
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub rotated_at: Option<Timestamp>,
    /// Until when the secret before the last rotation works beside the new one.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub overlap_until: Option<Timestamp>,
}

/// A new key; `secret` is shown this once and stored nowhere.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedKey {
    pub secret: Revealed,
    #[serde(flatten)]
    pub key: KeyInfo,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListKeys {
    pub limit: u32,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokeKey {
    pub id: String,
}

/// Makes a tenant and its first key; only the platform itself may ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateTenant {
    pub name: String,
    /// The subject of the first key.
    pub subject: Subject,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreatedTenant {
    pub tenant: TenantId,
    pub key: CreatedKey,
}

/// Newest first; only the platform itself may ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListTenants {
    pub limit: u32,
    pub after: Option<String>,
}

/// A tenant that was made here. One that only tokens of an identity provider name is in no list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TenantInfo {
    pub tenant: TenantId,
    pub name: String,
    pub created_at: Timestamp,
}

/// Published when a key was revoked, so that every process forgets what it remembered of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyRevoked {
    pub digest: String,
}

nsl_rpc::service! {
    /// Tells who a credential stands for, and keeps the API keys.
    Identity, IdentityClient, "identity" {
        /// Finds the key with this digest; `unauthenticated` when unknown, expired or revoked.
        read fn authenticate(Authenticate) -> Authenticated;
        /// Needs `identity:write`; grants no scope that the caller lacks.
        fn create_key(CreateKey) -> CreatedKey;
        /// Needs `identity:read`; newest first.
        read fn list_keys(ListKeys) -> Page<KeyInfo>;
        /// Needs `identity:write`; in effect at once in this process, within a second in others.
        fn revoke_key(RevokeKey) -> KeyInfo;
        /// Needs `identity:write`; the caller gives the key nothing that it lacks itself.
        fn update_key(UpdateKey) -> KeyInfo;
        /// Needs `identity:write`, and all that the key holds.
        fn rotate_key(RotateKey) -> CreatedKey;
        /// For start-up and operators; refused to anything but the platform itself.
        fn create_tenant(CreateTenant) -> CreatedTenant;
        /// For operators; refused to anything but the platform itself.
        read fn list_tenants(ListTenants) -> Page<TenantInfo>;
    }
}
