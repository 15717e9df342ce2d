//! How people sign in: accounts with a password, second factors, and what every way to sign in ends in.

use nsl_core::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Revealed, sessions::TokenReply};

/// Makes an account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Register {
    /// What the account is found by; kept in lower case.
    #[schema(max_length = 254)]
    pub email: String,
    /// 8 to 256 characters of any kind.
    #[schema(value_type = String)]
    pub password: Revealed,
    /// What others see; 1 to 100 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// The name of the tenant that is made for the account; where sign-up is open and no invite is shown.
    #[serde(default)]
    pub tenant_name: Option<String>,
    /// The invite of a tenant; needed where sign-up is not open.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub invite: Option<Revealed>,
}

/// Signs in with a password.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Login {
    pub email: String,
    #[schema(value_type = String)]
    pub password: Revealed,
    /// Which tenant the tokens are for; the one the account belongs to longest when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantId>,
}

/// What an account can show beside what it signs in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// A code of an authenticator app (RFC 6238).
    Totp,
    /// One of the codes that were shown when the authenticator app was set up.
    RecoveryCode,
    Passkey,
}

/// What a way to sign in ends in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SignedIn {
    SecondFactor(SecondFactor),
    Tokens(TokenReply),
}

/// The first factor was right, and the account has a second one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecondFactor {
    /// Always true.
    pub mfa_required: bool,
    /// Goes to `POST /v1/auth/mfa` with a code; good for one success and five tries.
    #[schema(value_type = String)]
    pub mfa_token: Revealed,
    /// Seconds.
    pub expires_in: u64,
    /// What can be shown.
    pub factors: Vec<Factor>,
}

/// Shows the second factor of a sign-in: a code, or a recovery code.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ShowMfa {
    #[schema(value_type = String)]
    pub mfa_token: Revealed,
    /// The six digits of the authenticator app.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub code: Option<Revealed>,
    /// Instead of `code`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub recovery_code: Option<Revealed>,
}

/// Shows the second factor once more, for what asks for a fresh one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StepUp {
    /// The six digits of the authenticator app.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub code: Option<Revealed>,
    /// Instead of `code`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub recovery_code: Option<Revealed>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChangePassword {
    #[schema(value_type = String)]
    pub current_password: Revealed,
    /// 8 to 256 characters of any kind.
    #[schema(value_type = String)]
    pub new_password: Revealed,
}

/// How many other sessions a new password ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PasswordChanged {
    pub sessions_ended: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct IssueReset {
    /// Whose password may be set anew: `usr_...`.
    pub user: String,
}

/// Sets the password of one user, once; shown this once and stored nowhere.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ResetIssued {
    #[schema(value_type = String)]
    pub reset_token: Revealed,
    /// Seconds.
    pub expires_in: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ResetPassword {
    #[schema(value_type = String)]
    pub reset_token: Revealed,
    /// 8 to 256 characters of any kind.
    #[schema(value_type = String)]
    pub new_password: Revealed,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EnrolTotp {
    /// Needed where the account has a password and no second factor yet.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub password: Option<Revealed>,
}

/// What an authenticator app is set up with; shown this once. It counts when a code of it was confirmed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TotpSeed {
    /// In base 32.
    #[schema(value_type = String)]
    pub secret: Revealed,
    /// The same as `otpauth://` address, for a QR code.
    #[schema(value_type = String)]
    pub uri: Revealed,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfirmTotp {
    #[schema(value_type = String)]
    pub code: Revealed,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Nothing {}

/// Shown this once. Each lets its owner in once in place of a code; those from before work no longer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCodes {
    #[schema(value_type = Vec<String>)]
    pub recovery_codes: Vec<Revealed>,
}

/// What the account can show.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Factors {
    pub password: bool,
    /// Beside what it signs in with.
    pub factors: Vec<Factor>,
    pub recovery_codes_left: u32,
}

nsl_rpc::service! {
    /// Lets people in.
    Signin, SigninClient, "identity" {
        /// Makes an account, and its tenant where sign-up is open; then as `login`.
        fn register(Register) -> SignedIn;
        /// `unauthenticated` alike for an unknown account and a wrong password.
        fn login(Login) -> SignedIn;
        /// Ends a sign-in that asked for a second factor.
        fn show_mfa(ShowMfa) -> TokenReply;
        /// For a session: its second factor is fresh again.
        fn step_up(StepUp) -> TokenReply;
        /// For a session; ends the others of the account.
        fn change_password(ChangePassword) -> PasswordChanged;
        /// Needs `identity:admin` and a fresh second factor; for members of this tenant alone.
        fn issue_reset(IssueReset) -> ResetIssued;
        /// Ends all sessions of the account.
        fn reset_password(ResetPassword) -> PasswordChanged;
        /// For a session.
        fn enrol_totp(EnrolTotp) -> TotpSeed;
        /// For a session; gives fresh recovery codes.
        fn confirm_totp(ConfirmTotp) -> RecoveryCodes;
        /// For a session with a fresh second factor; the recovery codes go with it.
        fn remove_totp(Nothing) -> Factors;
        /// For a session with a fresh second factor.
        fn renew_recovery_codes(Nothing) -> RecoveryCodes;
        /// For a session.
        read fn list_factors(Nothing) -> Factors;
    }
}
