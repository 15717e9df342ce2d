//! Policies on attributes, and why something is allowed.

use std::net::IpAddr;

use nsl_core::{Subject, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Page;

/// A policy of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    pub name: String,
    /// One statement in the language Cedar.
    pub text: String,
    /// Grows by one with each change of this policy.
    pub version: i64,
    /// SHA-256 of the text, in hex: what the audit trail names it by.
    pub digest: String,
    #[schema(value_type = String)]
    pub updated_by: Subject,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// A version that removed the policy has no text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// What a permission is asked for, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Thing {
    /// `item`, `transaction`, `account`, `contract`, `key`, `policy`...
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub tags: std::collections::BTreeMap<String, String>,
}

/// The circumstances of a question; what is left out is as in the request that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Circumstances {
    /// RFC 3339; the present time when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub now: Option<Timestamp>,
    /// The caller's address; that of this request when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ip: Option<IpAddr>,
    /// In whole coins: `1.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// `neo-n3` or `neo-x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// How long ago the person showed a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor_age_s: Option<u64>,
}

/// Whether somebody may do something, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// `storage:write`
    pub permission: String,
    /// A member of the tenant; the caller itself when absent. Another's needs `identity:admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Subject>,
    #[serde(default)]
    pub resource: Thing,
    #[serde(default)]
    pub context: Circumstances,
}

/// One ground of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// `role`, `scope` or `policy`.
    pub kind: String,
    /// Absent for a policy that explains nothing, unless the caller may read policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `grants`, `forbids`, `permits`, or `ignored` for a policy that permits what no policy can.
    pub effect: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<String>,
}

/// A decision with its grounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    pub permission: String,
    #[schema(value_type = String)]
    pub subject: Subject,
    pub allowed: bool,
    /// The code of the refusal that the subject would get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub steps: Vec<Step>,
    /// What would have to be for it to be allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// A question with the answer that its author expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub permission: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Subject>,
    #[serde(default)]
    pub resource: Thing,
    #[serde(default)]
    pub context: Circumstances,
    /// Whether it is to be allowed; a policy that decides otherwise is not saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<bool>,
}

/// Makes a policy or changes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutPolicy {
    /// 1 to 64 of `a-z 0-9 - _`.
    pub name: String,
    pub text: String,
    /// Compare and set: the version that must be current, 0 for "must not exist".
    pub expected_version: Option<i64>,
    /// Questions that are decided as if the policy were saved.
    pub cases: Vec<Case>,
    /// Saves nothing.
    pub dry_run: bool,
}

/// What became of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyReply {
    #[serde(flatten)]
    pub policy: Policy,
    /// False for a dry run.
    pub saved: bool,
    /// The decisions of the cases, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// Which of the cases, counted from 0, were decided otherwise than expected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<usize>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindPolicy {
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemovePolicy {
    pub name: String,
    pub expected_version: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListPolicies {
    pub limit: u32,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListPolicyVersions {
    pub name: String,
    pub limit: u32,
    pub after: Option<String>,
}

/// A permission that some part of the program asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Permission {
    pub name: String,
    pub service: String,
    /// Whether a policy may grant it to people whose roles lack it.
    pub grantable: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ListPermissions {}

/// All that can be asked for, and what policies may speak of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Permissions {
    pub items: Vec<Permission>,
    /// The schema of the policies, in the language's own form.
    pub schema: String,
}

/// Asks which members may do something, of nothing in particular.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhoCan {
    pub permission: String,
    pub limit: u32,
    pub after: Option<String>,
}

/// Somebody who holds a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holder {
    #[schema(value_type = String)]
    pub subject: Subject,
    /// The roles that grant it.
    pub roles: Vec<String>,
    /// What the policies say to it, of no thing in particular, at this time.
    pub decision: Decision,
}

/// For the edges; only the platform itself may ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskRules {
    pub tenant: TenantId,
}

/// All policies of a tenant as one text; none where it has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RulesReply {
    #[serde(default)]
    pub text: Option<String>,
    pub version: i64,
}

nsl_rpc::service! {
    /// Keeps the policies of tenants, and explains decisions.
    Access, AccessClient, "identity" {
        /// Needs `identity:admin` and a second factor shown in the last minutes; a dry run needs `identity:admin` alone.
        fn put_policy(PutPolicy) -> PolicyReply;
        /// Needs `identity:admin` and a second factor shown in the last minutes.
        fn remove_policy(RemovePolicy) -> Policy;
        /// Needs `identity:admin`.
        read fn find_policy(FindPolicy) -> Policy;
        /// Needs `identity:admin`; by name.
        read fn list_policies(ListPolicies) -> Page<Policy>;
        /// Needs `identity:admin`; newest first.
        read fn list_policy_versions(ListPolicyVersions) -> Page<Policy>;
        /// Of oneself with any credential; of others `identity:admin` is needed.
        read fn explain_access(Explain) -> Decision;
        /// Needs `identity:admin`.
        read fn who_can(WhoCan) -> Page<Holder>;
        /// Needs any credential.
        read fn list_permissions(ListPermissions) -> Permissions;
        /// For the edges; refused to anything but the platform itself.
        read fn rules_of(AskRules) -> RulesReply;
    }
}
