//! Neo N3 transactions that somebody else pays: the sponsor is the first signer, for the fees and nothing else, and
//! the user is the second.

use nsl_core::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::relay::Scope;

/// What an account of the tenant pays for. What is not named is refused.
///
/// It is asked of the call that a transaction makes itself. What that contract calls in its turn is bounded by the
/// fees, and by the scope of the user's signature. The sponsor is the sender of the transaction: name no contract that
/// takes the sender for who calls it, instead of asking for a witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SponsorPolicy {
    /// The contracts that may be called; none refuses every call.
    pub contracts: Vec<SponsoredContract>,
    /// The most for one transaction, both fees together, in 10⁻⁸ GAS as a decimal string.
    pub per_transaction: String,
    /// The most for all transactions of a day, by UTC.
    pub per_day: String,
    /// The most for all transactions of one user on a day.
    pub per_user_per_day: String,
}

/// A contract that may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SponsoredContract {
    /// `0x` and 40 hex digits, or `*` for every contract.
    pub contract: String,
    /// Its methods, or `*` for all of them; none refuses every call.
    #[serde(default)]
    pub methods: Vec<String>,
}

/// An account that pays for others.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SponsorInfo {
    /// `0x` and 40 hex digits.
    pub account: String,
    pub address: String,
    #[serde(flatten)]
    pub policy: SponsorPolicy,
    /// What was spent and what is reserved for transactions under way, today by UTC, in 10⁻⁸ GAS.
    pub spent_today: String,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PutSponsor {
    pub account: String,
    pub policy: SponsorPolicy,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NameSponsor {
    pub account: String,
}

/// Asks for a transaction that a user outside is to sign.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// The account that pays, one of the tenant's.
    pub sponsor: String,
    /// The account that is going to sign: an address, or `0x` and 40 hex digits.
    pub user: String,
    /// The contract that is called.
    pub contract: String,
    pub method: String,
    /// Each `{"type", "value"}` as nodes take it.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub args: Vec<serde_json::Value>,
    /// How far the user's signature reaches; the narrowest that works when absent.
    #[serde(default)]
    pub scope: Scope,
    /// The verification script of a user of several keys, in Base64: the fee depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<String>,
    /// How long the user has; five minutes when absent, and at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_for_ms: Option<u64>,
}

/// A transaction that waits for the signature of its user.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Prepared {
    pub id: String,
    /// All of it but the witnesses, in Base64.
    pub transaction: String,
    /// Its hash, as the chain is going to name it.
    pub hash: String,
    /// What is signed, by SHA-256 and ECDSA on secp256r1: the number of the network and the hash, in hex.
    pub message: String,
    /// The number of the network.
    pub network: u32,
    /// For wallets that take signing contexts, as neo-go and neo-cli do.
    #[schema(value_type = Object)]
    pub context: serde_json::Value,
    /// In 10⁻⁸ GAS, as decimal strings. The sponsor pays both. The system fee has two percent of room for what changes
    /// until the user has signed.
    pub system_fee: String,
    pub network_fee: String,
    /// How far the user's signature reaches, as nodes name it.
    pub scopes: String,
    /// The last block that may have it.
    pub valid_until_block: u32,
    /// It is to be completed by then.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// Hands back a prepared transaction with the user's signature, in one of four forms.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Both scripts of the user's witness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<WitnessScripts>,
    /// The signature of a user of one key: 64 bytes in hex or Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The key that made the signature, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The signing context that was given, with the user's signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub context: Option<serde_json::Value>,
    /// The whole transaction with the user's witness, in Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
}

/// The scripts of a witness, in Base64.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WitnessScripts {
    pub invocation: String,
    pub verification: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Complete {
    pub id: String,
    pub proof: Proof,
}
