use std::time::Duration;

use nsl_core::{Subject, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// The claims of an access token of ours (RFC 9068), as its issuer writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub iss: String,
    pub aud: String,
    pub sub: Subject,
    pub tenant: TenantId,
    /// Permissions with spaces between.
    pub scope: String,
    pub jti: String,
    pub iat: i64,
    pub exp: i64,
    /// The newest revocation that was known before the rights of the token were looked up: later ones of its
    /// session, name or subject refuse it.
    pub rev: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The session of the person who signed in; none for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How the person proved who they are (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// When the person last showed a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfa_time: Option<i64>,
    /// Who acts in the name of `sub` (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// It stands for all that the person of the session may do, and was narrowed by nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// The key that its holder must prove to have (RFC 9449).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub sub: Subject,
    /// In whose name this one was told to act; only the outermost says who acts now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Actor>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The RFC 7638 thumbprint of the key.
    pub jkt: String,
}

impl Access {
    /// A token that nothing but its name ties to anyone; the rest is set by who knows it. Unless `rev` is, any
    /// revocation that fits refuses it.
    pub fn new(
        issuer: &str,
        audience: &str,
        subject: Subject,
        tenant: TenantId,
        at: Timestamp,
        life: Duration,
    ) -> Self {
        let issued = seconds(at);
        Self {
            iss: issuer.to_owned(),
            aud: audience.to_owned(),
            sub: subject,
            tenant,
            scope: String::new(),
            jti: nsl_core::fresh("jti"),
            iat: issued,
            rev: 0,
            exp: issued.saturating_add(life.as_secs().try_into().unwrap_or(i64::MAX)),
            client_id: None,
            sid: None,
            auth_time: None,
            amr: Vec::new(),
            mfa_time: None,
            act: None,
            whole: false,
            cnf: None,
        }
    }
}

/// Whole seconds since 1970, as claims count.
pub(crate) fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}
