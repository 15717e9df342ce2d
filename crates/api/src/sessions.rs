//! Sessions of people, the tokens that speak for them, and what was taken back.

use nsl_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Revealed;

/// How the access token is to be shown: alone, or with a proof of the key that it is bound to (RFC 9449).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum TokenType {
    #[default]
    Bearer,
    #[serde(rename = "DPoP")]
    Dpop,
}

/// What every way to sign in ends in; the names of the fields are those of RFC 6749.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TokenReply {
    pub access_token: Revealed,
    /// Good once: using it gives the next. Absent where nothing is to be continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Revealed>,
    /// Seconds until the access token ends.
    pub expires_in: u64,
    pub token_type: TokenType,
    /// What the access token allows, with spaces between.
    pub scope: String,
    /// The tenant that the access token works in.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// `ses_...`; absent for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Only in the reply to a token exchange (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<String>,
}

/// A DPoP proof with the request that it came with: what it says of the request must be so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Proof {
    pub jwt: Revealed,
    /// `POST`.
    pub method: String,
    /// The path, without a query.
    pub path: String,
}

/// Asks for what checks our access tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TokenKeys {}

/// The public halves of our signing keys, and what our tokens say of issuer and audience.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenKeySet {
    pub issuer: String,
    pub audience: String,
    /// A JWK set (RFC 7517), as text. Newest first.
    pub jwks: String,
}

/// Asks for what was revoked after `seq`; 0 asks for all that still matters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokedSince {
    pub seq: i64,
}

/// One thing that is refused from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Grows without gaps in what is seen: a reader that saw `seq` never finds a lower one later.
    pub seq: i64,
    /// `sid:ses_...`, `jti:...`, `sub:...` (in whatever tenant) or `sub:...@ten_...`; `key:...` and `policy:...` have what was
    /// remembered of them looked up anew. It refuses each token of ours
    /// of that `sid`, `jti`, `sub`, or `sub` and `tenant`, whose claim `rev` is lower than `seq`: a token names
    /// as `rev` the newest revocation that was known before its rights were looked up. No clock is asked.
    pub what: String,
    /// By then every token that it refuses has ended, and it can be forgotten.
    pub until: Timestamp,
}

/// Oldest first. When `more`, asking again after the last `seq` gives the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Revocations {
    pub items: Vec<Revocation>,
    pub more: bool,
}

/// Gives new tokens for a refresh token, which is spent thereby.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefreshTokens {
    pub refresh_token: Revealed,
    /// The tenant to go on in; that of the session when absent.
    #[serde(default)]
    pub tenant: Option<TenantId>,
    /// The client that asks, where the session was opened through one.
    #[serde(default)]
    pub client: Option<String>,
    /// Less than the session allows, with spaces between; all of it when absent.
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    pub proof: Option<Proof>,
}

/// Ends the session that the refresh token belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Logout {
    pub refresh_token: Revealed,
}

/// How many sessions came to an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndedSessions {
    pub ended: u32,
}

/// The live sessions of a user; the caller's own when `user` is absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListSessions {
    #[serde(default)]
    pub user: Option<String>,
}

/// A place where someone is signed in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    pub id: String,
    pub user: String,
    #[schema(value_type = String)]
    pub tenant: TenantId,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When tokens were last given out for it.
    #[schema(value_type = String, format = DateTime)]
    pub last_used_at: Timestamp,
    /// When it ends unless it is used.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// How its person was proven (RFC 8176): `pwd`, `otp`, `hwk`, ...
    pub amr: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub second_factor_at: Option<Timestamp>,
    /// The client that it was opened through, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The address that it was opened from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the program that opened it called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Whether it is the one that asks.
    #[serde(default)]
    pub current: bool,
}

/// All of them: a user has few.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    pub items: Vec<SessionInfo>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndSession {
    pub id: String,
}

/// Ends every session of the caller but the one that asks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EndOtherSessions {}

nsl_rpc::service! {
    /// Keeps sessions, gives out their tokens, and tells what was taken back.
    Sessions, SessionsClient, "identity" {
        /// What checks our access tokens; open to all.
        read fn token_keys(TokenKeys) -> TokenKeySet;
        /// What was revoked since; for the platform alone.
        read fn revoked_since(RevokedSince) -> Revocations;
        /// Good once for each refresh token: a second use ends the session.
        fn refresh_tokens(RefreshTokens) -> TokenReply;
        /// Ends the session of a refresh token, also of a spent one. An unknown one is no error.
        fn logout(Logout) -> EndedSessions;
        /// The caller's own; another's of the same tenant with `identity:admin`. Newest first.
        read fn list_sessions(ListSessions) -> SessionList;
        /// In effect within a second in all processes.
        fn end_session(EndSession) -> SessionInfo;
        /// Ends all other sessions of the caller.
        fn end_other_sessions(EndOtherSessions) -> EndedSessions;
    }
}
