//! Signing in with a passkey (WebAuthn).

use nsl_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Page, Revealed, sessions::TokenReply, signin::SignedIn};

/// Asks for a challenge.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginPasskey {}

/// What a browser needs to talk to an authenticator.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PasskeyChallenge {
    /// Goes back with the answer. It works once.
    pub ceremony: String,
    /// It works until then.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// What `navigator.credentials.create` or `.get` takes, with bytes in base64url as
    /// `PublicKeyCredential.parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON` read them.
    #[schema(value_type = Object)]
    pub options: serde_json::Value,
}

/// The answer of an authenticator that made a credential.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishPasskeyRegistration {
    pub ceremony: String,
    /// How its owner calls it: 1 to 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As `PublicKeyCredential.toJSON` writes it.
    #[schema(value_type = Object)]
    pub credential: serde_json::Value,
}

/// The answer of an authenticator that signed a challenge.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishPasskeyLogin {
    pub ceremony: String,
    /// As `PublicKeyCredential.toJSON` writes it.
    #[schema(value_type = Object)]
    pub credential: serde_json::Value,
    /// The tenant to sign in to; the oldest membership when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantId>,
    /// Of a sign-in that began with a password and asked for a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mfa_token: Option<Revealed>,
}

/// The answer of an authenticator that showed a second factor.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FinishPasskeyStepUp {
    pub ceremony: String,
    /// As `PublicKeyCredential.toJSON` writes it.
    #[schema(value_type = Object)]
    pub credential: serde_json::Value,
}

/// A passkey as its owner sees it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PasskeyInfo {
    /// `pky_...`
    pub id: String,
    pub name: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// Whether it is kept in more places than one, as the passkeys of phones are.
    pub backed_up: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyName {
    /// 1 to 100 characters.
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenamePasskey {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemovePasskey {
    pub id: String,
}

nsl_rpc::service! {
    /// Passkeys: made, shown, kept.
    Passkey, PasskeyClient, "identity" {
        /// For a signed-in person: the options for a new passkey of theirs.
        fn begin_passkey(BeginPasskey) -> PasskeyChallenge;
        /// Keeps the new passkey.
        fn finish_passkey(FinishPasskeyRegistration) -> PasskeyInfo;
        /// For anybody: the options for signing in with any passkey of this site.
        fn begin_passkey_login(BeginPasskey) -> PasskeyChallenge;
        /// Signs in. A passkey stands for two factors: what one has, and what one is or knows.
        fn finish_passkey_login(FinishPasskeyLogin) -> SignedIn;
        /// For a signed-in person: the options for showing one of their passkeys now.
        fn begin_passkey_step_up(BeginPasskey) -> PasskeyChallenge;
        /// The session remembers that a second factor was shown now.
        fn finish_passkey_step_up(FinishPasskeyStepUp) -> TokenReply;
        /// The caller's own, oldest first.
        read fn list_passkeys(()) -> Page<PasskeyInfo>;
        /// Gives one of the caller's own another name.
        fn rename_passkey(RenamePasskey) -> PasskeyInfo;
        /// Forgets one of the caller's own; needs a second factor shown in the last minutes.
        fn remove_passkey(RemovePasskey) -> PasskeyInfo;
    }
}
