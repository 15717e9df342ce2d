use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, patch, post},
};
use nsl_api::{
    Page,
    passkey::{
        BeginPasskey, FinishPasskeyLogin, FinishPasskeyRegistration, FinishPasskeyStepUp, PasskeyChallenge,
        PasskeyClient, PasskeyInfo, PasskeyName, RemovePasskey, RenamePasskey,
    },
    sessions::TokenReply,
    signin::SignedIn,
};
use nsl_edge::{Anyone, Caller, Class, Entry, Face, Path, Problem, Rule, Strict};
use utoipa::OpenApi;

const PROBLEMS: &[Entry] = &[
    Entry::new(
        "passkey.challenge_gone",
        400,
        "the challenge was answered before, is over, or was never given",
        "begin again and answer the new challenge within five minutes",
    ),
    Entry::new(
        "passkey.refused",
        401,
        "what the authenticator answered does not prove what it should",
        "begin again in the browser that made the passkey, on the same site",
    ),
    Entry::new(
        "passkey.cloned",
        401,
        "the passkey counts its uses, and this use is not the next: it may have been copied",
        "sign in another way, remove this passkey and register the authenticator anew",
    ),
    Entry::new("passkey.form", 400, "the credential has a wrong form", "send what PublicKeyCredential.toJSON gives"),
    Entry::new("passkey.name", 400, "the name has a wrong form", "use 1 to 100 visible characters"),
    Entry::new("passkey.known", 409, "the passkey is registered already", "sign in with it"),
    Entry::new("passkey.missing", 404, "there is no such passkey", "list the passkeys to see their ids"),
    Entry::new("passkey.none", 409, "the account has no passkey", "register one first"),
    Entry::new("passkey.too_many", 429, "the account has as many passkeys as it may", "remove those no longer used"),
    Entry::new(
        "passkey.no_domain",
        503,
        "this server has no domain that passkeys could be for",
        "have identity.public_url set to an address with a name instead of a number",
    ),
];

/// The public routes of passkeys.
pub(crate) fn face(passkeys: PasskeyClient) -> Face {
    let router = Router::new()
        .route("/v1/auth/passkey/register/begin", post(begin_passkey))
        .route("/v1/auth/passkey/register/finish", post(finish_passkey))
        .route("/v1/auth/passkey/login/begin", post(begin_passkey_login))
        .route("/v1/auth/passkey/login/finish", post(finish_passkey_login))
        .route("/v1/auth/passkey/step-up/begin", post(begin_passkey_step_up))
        .route("/v1/auth/passkey/step-up/finish", post(finish_passkey_step_up))
        .route("/v1/auth/passkeys", get(list_passkeys))
        .route("/v1/auth/passkeys/{id}", patch(rename_passkey).delete(remove_passkey))
        .with_state(passkeys);
    let small = |rule: Rule| rule.body_bytes(64 * 1024);
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(small(Rule::at("/v1/auth/passkey/login/*").class(Class::Auth).open()))
        .rule(small(Rule::at("/v1/auth/passkey/*").class(Class::Auth)))
        .rule(small(Rule::at("/v1/auth/passkeys*").class(Class::Keys)))
}

#[derive(OpenApi)]
#[openapi(paths(
    begin_passkey,
    finish_passkey,
    begin_passkey_login,
    finish_passkey_login,
    begin_passkey_step_up,
    finish_passkey_step_up,
    list_passkeys,
    rename_passkey,
    remove_passkey
))]
struct Docs;

/// Begin to register a passkey
///
/// For a signed-in person; one who has a second factor already must have shown it in the last five minutes.
/// Without one, a sign-in of the last five minutes is needed (401
/// `signin.again`).
#[utoipa::path(post, path = "/v1/auth/passkey/register/begin", tag = "identity", operation_id = "begin_passkey",
    request_body = BeginPasskey, responses((status = 200, description = "What the browser needs", body = PasskeyChallenge)))]
async fn begin_passkey(
    State(passkeys): State<PasskeyClient>,
    Caller(cx): Caller,
    Strict(request): Strict<BeginPasskey>,
) -> Result<Json<PasskeyChallenge>, Problem> {
    Ok(Json(passkeys.begin_passkey(&cx, request).await?))
}

/// Register a passkey
#[utoipa::path(post, path = "/v1/auth/passkey/register/finish", tag = "identity", operation_id = "finish_passkey",
    request_body = FinishPasskeyRegistration, responses((status = 201, description = "The new passkey", body = PasskeyInfo)))]
async fn finish_passkey(
    State(passkeys): State<PasskeyClient>,
    Caller(cx): Caller,
    Strict(request): Strict<FinishPasskeyRegistration>,
) -> Result<(StatusCode, Json<PasskeyInfo>), Problem> {
    Ok((StatusCode::CREATED, Json(passkeys.finish_passkey(&cx, request).await?)))
}

/// Begin to sign in with a passkey
#[utoipa::path(post, path = "/v1/auth/passkey/login/begin", tag = "identity", operation_id = "begin_passkey_login",
    request_body = BeginPasskey, responses((status = 200, description = "What the browser needs", body = PasskeyChallenge)))]
async fn begin_passkey_login(
    State(passkeys): State<PasskeyClient>,
    Anyone(cx): Anyone,
    Strict(request): Strict<BeginPasskey>,
) -> Result<Json<PasskeyChallenge>, Problem> {
    Ok(Json(passkeys.begin_passkey_login(&cx, request).await?))
}

/// Sign in with a passkey
///
/// It stands for two factors: no further one is asked for.
#[utoipa::path(post, path = "/v1/auth/passkey/login/finish", tag = "identity", operation_id = "finish_passkey_login",
    request_body = FinishPasskeyLogin, responses((status = 200, description = "Signed in", body = SignedIn)))]
async fn finish_passkey_login(
    State(passkeys): State<PasskeyClient>,
    Anyone(cx): Anyone,
    Strict(request): Strict<FinishPasskeyLogin>,
) -> Result<Json<SignedIn>, Problem> {
    Ok(Json(passkeys.finish_passkey_login(&cx, request).await?))
}

/// Begin to show a passkey once more
#[utoipa::path(post, path = "/v1/auth/passkey/step-up/begin", tag = "identity", operation_id = "begin_passkey_step_up",
    request_body = BeginPasskey, responses((status = 200, description = "What the browser needs", body = PasskeyChallenge)))]
async fn begin_passkey_step_up(
    State(passkeys): State<PasskeyClient>,
    Caller(cx): Caller,
    Strict(request): Strict<BeginPasskey>,
) -> Result<Json<PasskeyChallenge>, Problem> {
    Ok(Json(passkeys.begin_passkey_step_up(&cx, request).await?))
}

/// Show a passkey once more
///
/// What is sensitive can be done with the new access token for five minutes.
#[utoipa::path(post, path = "/v1/auth/passkey/step-up/finish", tag = "identity", operation_id = "finish_passkey_step_up",
    request_body = FinishPasskeyStepUp, responses((status = 200, description = "A new access token", body = TokenReply)))]
async fn finish_passkey_step_up(
    State(passkeys): State<PasskeyClient>,
    Caller(cx): Caller,
    Strict(request): Strict<FinishPasskeyStepUp>,
) -> Result<Json<TokenReply>, Problem> {
    Ok(Json(passkeys.finish_passkey_step_up(&cx, request).await?))
}

/// List one's passkeys
#[utoipa::path(get, path = "/v1/auth/passkeys", tag = "identity", operation_id = "list_passkeys",
    responses((status = 200, description = "All of them, oldest first", body = Page<PasskeyInfo>)))]
async fn list_passkeys(
    State(passkeys): State<PasskeyClient>,
    Caller(cx): Caller,
) -> Result<Json<Page<PasskeyInfo>>, Problem> {
    Ok(Json(passkeys.list_passkeys(&cx, ()).await?))
}

/// Rename a passkey
#[utoipa::path(patch, path = "/v1/auth/passkeys/{id}", tag = "identity", operation_id = "rename_passkey",
    params(("id" = String, Path, description = "`pky_...`")), request_body = PasskeyName,
    responses((status = 200, description = "The passkey as it is now", body = PasskeyInfo)))]
async fn rename_passkey(
    State(passkeys): State<PasskeyClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Strict(request): Strict<PasskeyName>,
) -> Result<Json<PasskeyInfo>, Problem> {
    Ok(Json(passkeys.rename_passkey(&cx, RenamePasskey { id, name: request.name }).await?))
}

/// Remove a passkey
///
/// Needs a second factor shown in the last five minutes.
#[utoipa::path(delete, path = "/v1/auth/passkeys/{id}", tag = "identity", operation_id = "remove_passkey",
    params(("id" = String, Path, description = "`pky_...`")),
    responses((status = 200, description = "The passkey as it was", body = PasskeyInfo)))]
async fn remove_passkey(
    State(passkeys): State<PasskeyClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<PasskeyInfo>, Problem> {
    Ok(Json(passkeys.remove_passkey(&cx, RemovePasskey { id }).await?))
}
