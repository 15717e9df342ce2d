//! The evidence: what was done and what was refused.

use std::collections::BTreeMap;

use nsl_core::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Page;

/// One entry, with the personal fields opened unless their person was erased.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub id: String,
    /// The chain and the place in it.
    pub lane: String,
    pub sequence: i64,
    /// What happened, in the past tense: `storage.value_stored`.
    pub event_type: String,
    /// The subject who acted.
    pub user_address: Option<String>,
    pub service_name: String,
    pub method_name: String,
    pub request_id: Option<String>,
    pub correlation_id: Option<String>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    /// Allow-listed facts of the request; never a body, never a credential.
    pub request_data: Option<serde_json::Value>,
    pub response_data: Option<serde_json::Value>,
    pub status_code: Option<i64>,
    pub error_message: Option<String>,
    pub execution_time_ms: Option<i64>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The personal fields can no longer be opened: their person's key was destroyed.
    pub erased: bool,
    /// SHA-256 of this entry and its predecessor's hash, lower-case hex.
    pub hash: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SearchAudit {
    pub event_type: Option<String>,
    pub subject: Option<String>,
    pub request_id: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: u32,
    pub after: Option<String>,
}

/// What a walk over all chains found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    pub whole: bool,
    pub lanes: u64,
    pub entries: u64,
    pub checkpoints: u64,
    /// Each fault in words: the lane, the place, what does not fit.
    pub faults: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyAudit {}

/// Refusals of one kind to one caller, counted since the last report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// Who was refused: a tenant and subject when known, else nobody.
    pub tenant: Option<nsl_core::TenantId>,
    pub subject: Option<nsl_core::Subject>,
    pub ip: Option<std::net::IpAddr>,
    /// The stable slug: `auth.key_unknown`.
    pub reason: String,
    pub service_name: String,
    pub method_name: String,
    pub status_code: u16,
    pub count: u64,
    /// When the first of them happened.
    pub at: Timestamp,
    /// What was needed (`needs`), and which policies forbade it (`policies`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refuse {
    pub refusals: Vec<Refusal>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refused {}

nsl_rpc::service! {
    /// Keeps and checks the audit trail.
    Audit, AuditClient, "audit" {
        /// Needs `audit:read`; newest first, this tenant's only.
        read fn search(SearchAudit) -> Page<AuditEntry>;
        /// Needs `audit:read`; walks this tenant's chains.
        read fn verify(VerifyAudit) -> Verdict;
        /// Adds refusals that an edge counted; only the platform itself may.
        fn refuse(Refuse) -> Refused;
    }
}
