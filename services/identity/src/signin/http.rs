use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use nsl_api::{
    sessions::TokenReply,
    signin::{
        ChangePassword, ConfirmTotp, EnrolTotp, Factors, IssueReset, Login, Nothing, PasswordChanged, RecoveryCodes,
        Register, ResetIssued, ResetPassword, ShowMfa, SignedIn, SigninClient, StepUp, TotpSeed,
    },
};
use nsl_edge::{Anyone, Caller, Class, Entry, Face, Problem, Rule, Strict};
use utoipa::OpenApi;

const PROBLEMS: &[Entry] = &[
    Entry::new(
        "signin.wrong",
        401,
        "the email address or the password is wrong",
        "check both; after five wrong tries a network has to wait",
    ),
    Entry::new(
        "signin.locked",
        429,
        "too many wrong tries",
        "wait as long as Retry-After says, sign in from a network that you signed in from before, or in another way",
    ),
    Entry::new("signin.busy", 503, "too many passwords are being checked", "try again after the given wait"),
    Entry::new("signin.suspended", 403, "the account is suspended", "ask who administers the platform"),
    Entry::new(
        "signin.email",
        400,
        "the email address has a wrong form",
        "use an address such as name@example.com, in ASCII, of at most 254 characters",
    ),
    Entry::new(
        "signin.name",
        400,
        "the name has a wrong form",
        "use 1 to 100 visible characters, without spaces at the ends",
    ),
    Entry::new(
        "signin.password_weak",
        400,
        "the password cannot be used",
        "use 8 to 256 characters of any kind; the details say what was wrong",
    ),
    Entry::new(
        "signin.password_needed",
        400,
        "the password of the account is needed for this",
        "send it as `password`",
    ),
    Entry::new("signin.again", 401, "this needs a sign-in of the last minutes", "sign in again, then try again"),
    Entry::new(
        "signin.invite_needed",
        403,
        "accounts are made by invitation here",
        "have an administrator of a tenant invite you, and send the invite",
    ),
    Entry::new(
        "signin.mfa_token",
        401,
        "the mfa_token is not valid",
        "sign in anew: a token is good for five minutes, five tries and one success",
    ),
    Entry::new(
        "signin.code_wrong",
        401,
        "the code is wrong",
        "send the code that the app shows now; each counts once, so wait for the next after one was used",
    ),
    Entry::new("signin.one_code", 400, "one code is needed", "send either `code` or `recovery_code`"),
    Entry::new(
        "signin.no_second_factor",
        409,
        "the account has no second factor",
        "set one up with POST /v1/auth/totp, or sign in with a passkey",
    ),
    Entry::new(
        "signin.totp_not_begun",
        409,
        "no authenticator app is being set up",
        "begin with POST /v1/auth/totp, then confirm with a code of the app",
    ),
    Entry::new(
        "signin.reset_token",
        401,
        "the reset token is not valid",
        "have an administrator issue another: one is good for an hour, and once",
    ),
    Entry::new(
        "signin.reset_not_yours",
        403,
        "you cannot reset the password of this user",
        "an operator can: the user belongs to other tenants too, or holds more than you do",
    ),
    Entry::new("signin.no_email", 409, "the user has no email address", "the user signs in in another way"),
];

/// The public routes of signing in, wherever it runs.
pub(crate) fn face(signin: SigninClient) -> Face {
    let router = Router::new()
        .route("/v1/auth/register", post(register))
        .route("/v1/auth/login", post(login))
        .route("/v1/auth/mfa", post(show_mfa))
        .route("/v1/auth/step-up", post(step_up))
        .route("/v1/auth/factors", get(list_factors))
        .route("/v1/auth/password/change", post(change_password))
        .route("/v1/auth/password/reset-tokens", post(issue_reset))
        .route("/v1/auth/password/reset", post(reset_password))
        .route("/v1/auth/totp", post(enrol_totp).delete(remove_totp))
        .route("/v1/auth/totp/confirm", post(confirm_totp))
        .route("/v1/auth/recovery-codes", post(renew_recovery_codes))
        .with_state(signin);
    let small = |route| Rule::at(route).class(Class::Auth).body_bytes(16 * 1024);
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(small("/v1/auth/register").open())
        .rule(small("/v1/auth/login").open())
        .rule(small("/v1/auth/mfa").open())
        .rule(small("/v1/auth/password/reset").open())
        .rule(Rule::at("/v1/auth/factors"))
        .rule(small("/v1/auth/*"))
}

#[derive(OpenApi)]
#[openapi(
    paths(
        register,
        login,
        show_mfa,
        step_up,
        list_factors,
        change_password,
        issue_reset,
        reset_password,
        enrol_totp,
        remove_totp,
        confirm_totp,
        renew_recovery_codes
    ),
    tags((name = "auth", description = "Signing in: accounts, passwords, second factors. A request that is sent again \
        signs in again: nothing here heeds an Idempotency-Key."))
)]
struct Docs;

/// Make an account
///
/// Where sign-up is open, the account gets a tenant of its own, and a taken address is told (409): whoever runs such a
/// service lets everybody ask. Where it is by invitation, nothing can be learned without an invite.
#[utoipa::path(post, path = "/v1/auth/register", tag = "auth", operation_id = "register", request_body = Register,
    responses((status = 201, description = "The tokens of the first session", body = SignedIn)))]
async fn register(
    State(signin): State<SigninClient>,
    Anyone(cx): Anyone,
    Strict(request): Strict<Register>,
) -> Result<(StatusCode, Json<SignedIn>), Problem> {
    Ok((StatusCode::CREATED, Json(signin.register(&cx, request).await?)))
}

/// Sign in with a password
///
/// The answer to an unknown address is that to a wrong password. Five wrong tries of a network at an account make that
/// network wait, half a minute at first. After a hundred from networks that the account never signed in from, those
/// wait together, a minute at most; where it signed in from before stays out of that.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", operation_id = "login", request_body = Login,
    responses((status = 200, description = "Tokens, or what the second factor is to be shown with", body = SignedIn)))]
async fn login(
    State(signin): State<SigninClient>,
    Anyone(cx): Anyone,
    Strict(request): Strict<Login>,
) -> Result<Json<SignedIn>, Problem> {
    Ok(Json(signin.login(&cx, request).await?))
}

/// Show the second factor of a sign-in
#[utoipa::path(post, path = "/v1/auth/mfa", tag = "auth", operation_id = "show_mfa", request_body = ShowMfa,
    responses((status = 200, description = "Tokens", body = TokenReply)))]
async fn show_mfa(
    State(signin): State<SigninClient>,
    Anyone(cx): Anyone,
    Strict(request): Strict<ShowMfa>,
) -> Result<Json<TokenReply>, Problem> {
    Ok(Json(signin.show_mfa(&cx, request).await?))
}

/// Show the second factor once more
///
/// For what answers 401 with `insufficient_user_authentication` (RFC 9470): the new access token counts as fresh for
/// five minutes.
#[utoipa::path(post, path = "/v1/auth/step-up", tag = "auth", operation_id = "step_up", request_body = StepUp,
    responses((status = 200, description = "A new access token of the same session", body = TokenReply)))]
async fn step_up(
    State(signin): State<SigninClient>,
    Caller(cx): Caller,
    Strict(request): Strict<StepUp>,
) -> Result<Json<TokenReply>, Problem> {
    Ok(Json(signin.step_up(&cx, request).await?))
}

/// List what the account can show
#[utoipa::path(get, path = "/v1/auth/factors", tag = "auth", operation_id = "list_factors",
    responses((status = 200, description = "The factors of the account", body = Factors)))]
async fn list_factors(State(signin): State<SigninClient>, Caller(cx): Caller) -> Result<Json<Factors>, Problem> {
    Ok(Json(signin.list_factors(&cx, Nothing {}).await?))
}

/// Change the password
///
/// Ends the other sessions of the account. Where there is a second factor, it must be fresh.
#[utoipa::path(post, path = "/v1/auth/password/change", tag = "auth", operation_id = "change_password",
    request_body = ChangePassword, responses((status = 200, description = "Changed", body = PasswordChanged)))]
async fn change_password(
    State(signin): State<SigninClient>,
    Caller(cx): Caller,
    Strict(request): Strict<ChangePassword>,
) -> Result<Json<PasswordChanged>, Problem> {
    Ok(Json(signin.change_password(&cx, request).await?))
}

/// Issue a token that sets a forgotten password anew
///
/// For members of your tenant alone who may do nothing that you may not; needs `identity:admin` and a fresh second
/// factor. Hand it to the person: it is good for an hour, and once.
#[utoipa::path(post, path = "/v1/auth/password/reset-tokens", tag = "auth", operation_id = "issue_reset",
    request_body = IssueReset,
    responses((status = 201, description = "The token, shown this once", body = ResetIssued)))]
async fn issue_reset(
    State(signin): State<SigninClient>,
    Caller(cx): Caller,
    Strict(request): Strict<IssueReset>,
) -> Result<(StatusCode, Json<ResetIssued>), Problem> {
    Ok((StatusCode::CREATED, Json(signin.issue_reset(&cx, request).await?)))
}

/// Set a forgotten password anew
///
/// Ends all sessions of the account. A second factor stays: it is asked for at the next sign-in.
#[utoipa::path(post, path = "/v1/auth/password/reset", tag = "auth", operation_id = "reset_password",
    request_body = ResetPassword, responses((status = 200, description = "Set", body = PasswordChanged)))]
async fn reset_password(
    State(signin): State<SigninClient>,
    Anyone(cx): Anyone,
    Strict(request): Strict<ResetPassword>,
) -> Result<Json<PasswordChanged>, Problem> {
    Ok(Json(signin.reset_password(&cx, request).await?))
}

/// Begin to set up an authenticator app
///
/// Needs the password where the account has one and no second factor yet, and a fresh second factor where it has one.
/// The app counts when a code of it was confirmed.
#[utoipa::path(post, path = "/v1/auth/totp", tag = "auth", operation_id = "enrol_totp", request_body = EnrolTotp,
    responses((status = 201, description = "What the app is set up with, shown this once", body = TotpSeed)))]
async fn enrol_totp(
    State(signin): State<SigninClient>,
    Caller(cx): Caller,
    Strict(request): Strict<EnrolTotp>,
) -> Result<(StatusCode, Json<TotpSeed>), Problem> {
    Ok((StatusCode::CREATED, Json(signin.enrol_totp(&cx, request).await?)))
}

/// Confirm an authenticator app
#[utoipa::path(post, path = "/v1/auth/totp/confirm", tag = "auth", operation_id = "confirm_totp",
    request_body = ConfirmTotp,
    responses((status = 200, description = "Recovery codes, shown this once", body = RecoveryCodes)))]
async fn confirm_totp(
    State(signin): State<SigninClient>,
    Caller(cx): Caller,
    Strict(request): Strict<ConfirmTotp>,
) -> Result<Json<RecoveryCodes>, Problem> {
    Ok(Json(signin.confirm_totp(&cx, request).await?))
}

/// Remove the authenticator app
///
/// Needs a fresh second factor. The recovery codes go with it.
#[utoipa::path(delete, path = "/v1/auth/totp", tag = "auth", operation_id = "remove_totp",
    responses((status = 200, description = "What the account can still show", body = Factors)))]
async fn remove_totp(State(signin): State<SigninClient>, Caller(cx): Caller) -> Result<Json<Factors>, Problem> {
    Ok(Json(signin.remove_totp(&cx, Nothing {}).await?))
}

/// Make new recovery codes
///
/// Needs a fresh second factor; those from before work no longer.
#[utoipa::path(post, path = "/v1/auth/recovery-codes", tag = "auth", operation_id = "renew_recovery_codes",
    responses((status = 200, description = "The codes, shown this once", body = RecoveryCodes)))]
async fn renew_recovery_codes(
    State(signin): State<SigninClient>,
    Caller(cx): Caller,
) -> Result<Json<RecoveryCodes>, Problem> {
    Ok(Json(signin.renew_recovery_codes(&cx, Nothing {}).await?))
}
