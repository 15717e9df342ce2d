//! Signing in with a wallet: an account of Neo N3 or Neo X signs a message of this server, once.

use nsl_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Chain, Page, Revealed, signin::SignedIn};

/// Asks for a message to sign.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskWallet {
    pub chain: Chain,
    /// The account that is going to sign, as its chain writes addresses.
    #[schema(max_length = 64)]
    pub address: String,
    /// The host and port of the page that asks, where it is not this server's: one of `identity.wallet.origins`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The network that the account signs for, where it is not the first of those that are taken: the chain id of
    /// Neo X or the magic of Neo N3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<u64>,
}

/// A message that signs an account in, once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletChallenge {
    /// What the wallet signs as it stands: for Neo X by EIP-4361 (`personal_sign`), for Neo N3 the same form
    /// (`signMessage`, `signMessageV2` and their kin).
    pub message: String,
    pub nonce: String,
    pub domain: String,
    /// The chain id of Neo X or the magic of Neo N3.
    pub network: u64,
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Timestamp,
    /// The signature is to be here by then.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// The same message for wallets of Neo N3 that sign nothing but transactions, as neo-go and neo-cli: a signing
    /// context with a transaction that no block can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub context: Option<serde_json::Value>,
}

/// That an account signed the message. Contracts that judge signatures themselves (EIP-1271, `verify`) are not taken.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletProof {
    pub chain: Chain,
    #[schema(max_length = 64)]
    pub address: String,
    /// As it was signed.
    #[schema(max_length = 4096)]
    pub message: String,
    /// Neo X: 65 bytes in hex. Neo N3: 64 bytes in hex or Base64, of an account of one key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Neo N3: the key that made `signature`, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Neo N3: what the wallet put before the message, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Neo N3: the script of an account of several keys, in hex or Base64; `signatures` go with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_script: Option<String>,
    /// As many as the account asks for, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub signatures: Vec<WalletSignature>,
    /// Neo N3, instead of all of these: the signing context of the challenge with its signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub context: Option<serde_json::Value>,
}

/// The signature of one of several keys.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletSignature {
    pub public_key: String,
    pub signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
}

/// Signs in. An account that nobody came with before makes a user and a tenant, where sign-up is open.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LoginWallet {
    #[serde(flatten)]
    pub proof: WalletProof,
    /// Which tenant the tokens are for; the one the user belongs to longest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantId>,
    /// For a new user: the invite of a tenant; needed where sign-up is not open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub invite: Option<Revealed>,
    /// For a new user: what its tenant is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
}

/// A wallet that its user signs in with.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WalletInfo {
    /// `wal_...`
    pub id: String,
    pub chain: Chain,
    pub address: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnlinkWallet {
    pub id: String,
}

nsl_rpc::service! {
    /// Lets wallets in, and ties them to users.
    Wallet, WalletClient, "identity" {
        /// For anybody: a message that signs its account in.
        fn wallet_challenge(AskWallet) -> WalletChallenge;
        /// The message works once.
        fn wallet_login(LoginWallet) -> SignedIn;
        /// For a signed-in person: a message that ties its account to theirs.
        fn wallet_link_challenge(AskWallet) -> WalletChallenge;
        /// Ties the account to the caller's; a fresh second factor is asked where the caller has one.
        fn link_wallet(WalletProof) -> WalletInfo;
        /// The caller's own, oldest first.
        read fn list_wallets(()) -> Page<WalletInfo>;
        /// Forgets one of the caller's own, unless nothing else is left to sign in with.
        fn unlink_wallet(UnlinkWallet) -> WalletInfo;
    }
}
