use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use nsl_api::{
    Revealed,
    sessions::{
        EndOtherSessions, EndSession, EndedSessions, ListSessions, Logout, Proof, RefreshTokens, SessionInfo,
        SessionList, SessionsClient, TokenKeys, TokenReply,
    },
};
use nsl_core::{Error, TenantId};
use nsl_edge::{Anyone, Caller, Class, Entry, Face, Path, Problem, Query, Rule, Strict};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi, ToSchema};

const PROBLEMS: &[Entry] = &[
    Entry::new("tokens.refresh_unknown", 401, "the refresh token is not valid", "sign in again"),
    Entry::new(
        "tokens.reuse",
        401,
        "the refresh token was used before",
        "sign in again; if you did not use it twice yourself, somebody else had it: look at your sessions",
    ),
    Entry::new(
        "tokens.key_not_proven",
        401,
        "the tokens are bound to a key that was not proven",
        "send a DPoP proof made with the key that the session was opened with",
    ),
    Entry::new("tokens.suspended", 403, "the person may not sign in", "ask who administers the platform"),
    Entry::new(
        "tokens.not_a_member",
        403,
        "the person is no member there",
        "name a tenant that you are a member of, or have somebody invite you",
    ),
    Entry::new("tokens.session_missing", 404, "there is no such session", "list the sessions to see their ids"),
    Entry::new("tokens.scope", 400, "the scope has a wrong form", "write scopes with one space between"),
];

/// The public routes of sessions.
pub(crate) fn face(sessions: SessionsClient) -> Face {
    let router = Router::new()
        .route("/v1/auth/refresh", post(refresh))
        .route("/v1/auth/logout", post(logout))
        .route("/v1/auth/sessions", get(list_sessions).delete(end_other_sessions))
        .route("/v1/auth/sessions/{id}", delete(end_session))
        .route("/.well-known/jwks.json", get(jwks))
        .with_state(sessions);
    // A refresh token cannot be guessed: who shows a wrong one is held to what strangers may, not to the few tries of
    // those who sign in, whom many people behind one address would spend for each other.
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(Rule::at("/v1/auth/refresh").class(Class::Anonymous).open().body_bytes(16 * 1024))
        .rule(Rule::at("/v1/auth/logout").class(Class::Anonymous).open().body_bytes(16 * 1024))
        .rule(Rule::at("/.well-known/jwks.json").class(Class::Anonymous).open().shared())
        .rule(Rule::at("/v1/auth/sessions*").class(Class::Keys).body_bytes(16 * 1024))
}

#[derive(OpenApi)]
#[openapi(
    paths(refresh, logout, list_sessions, end_session, end_other_sessions, jwks),
    tags((name = "sessions", description = "Where people are signed in, and the tokens that speak for them."))
)]
struct Docs;

/// A refresh token, and where to go on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshBody {
    refresh_token: Revealed,
    /// Another tenant of yours; that of the session when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogoutBody {
    refresh_token: Revealed,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Another user's id, for those who administer the tenant; your own when absent.
    user: Option<String>,
}

/// Get new tokens for a refresh token
///
/// The refresh token is spent thereby; the reply has the next one. One that is shown twice ends its session, unless
/// the second request comes within ten seconds under the same `Idempotency-Key` as the first.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "sessions", operation_id = "refresh_tokens", security(()),
    request_body = RefreshBody, responses((status = 200, description = "New tokens", body = TokenReply)))]
async fn refresh(
    State(sessions): State<SessionsClient>,
    Anyone(cx): Anyone,
    headers: HeaderMap,
    Strict(body): Strict<RefreshBody>,
) -> Result<Json<TokenReply>, Problem> {
    let request = RefreshTokens {
        refresh_token: body.refresh_token,
        tenant: body.tenant,
        client: None,
        scope: None,
        proof: proof(&headers, "/v1/auth/refresh")?,
    };
    Ok(Json(sessions.refresh_tokens(&cx, request).await?))
}

/// Sign out
///
/// Ends the session of the refresh token; its access tokens are refused within a second. An unknown token is no error.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "sessions", operation_id = "logout", security(()),
    request_body = LogoutBody, responses((status = 200, description = "How many sessions ended", body = EndedSessions)))]
async fn logout(
    State(sessions): State<SessionsClient>,
    Anyone(cx): Anyone,
    Strict(body): Strict<LogoutBody>,
) -> Result<Json<EndedSessions>, Problem> {
    Ok(Json(sessions.logout(&cx, Logout { refresh_token: body.refresh_token }).await?))
}

/// List sessions
///
/// Where you are signed in, newest first; with `user`, where somebody else is, in this tenant.
#[utoipa::path(get, path = "/v1/auth/sessions", tag = "sessions", operation_id = "list_sessions", params(Whose),
    responses((status = 200, description = "The live sessions", body = SessionList)))]
async fn list_sessions(
    State(sessions): State<SessionsClient>,
    Caller(cx): Caller,
    Query(whose): Query<Whose>,
) -> Result<Json<SessionList>, Problem> {
    Ok(Json(sessions.list_sessions(&cx, ListSessions { user: whose.user }).await?))
}

/// End a session
///
/// Its tokens are refused within a second, wherever they are shown.
#[utoipa::path(delete, path = "/v1/auth/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(("id" = String, Path, description = "The session's id, `ses_...`")),
    responses((status = 200, description = "The session that ended", body = SessionInfo)))]
async fn end_session(
    State(sessions): State<SessionsClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<SessionInfo>, Problem> {
    Ok(Json(sessions.end_session(&cx, EndSession { id }).await?))
}

/// End all other sessions
///
/// Signs you out everywhere but here.
#[utoipa::path(delete, path = "/v1/auth/sessions", tag = "sessions", operation_id = "end_other_sessions",
    responses((status = 200, description = "How many sessions ended", body = EndedSessions)))]
async fn end_other_sessions(
    State(sessions): State<SessionsClient>,
    Caller(cx): Caller,
) -> Result<Json<EndedSessions>, Problem> {
    Ok(Json(sessions.end_other_sessions(&cx, EndOtherSessions {}).await?))
}

/// Get the keys that sign our tokens
///
/// A JWK set (RFC 7517). A key is in it a day before it signs, and until the last token that it signed has ended.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "sessions", operation_id = "jwks", security(()),
    responses((status = 200, description = "The public keys", body = serde_json::Value)))]
async fn jwks(State(sessions): State<SessionsClient>, Anyone(cx): Anyone) -> Result<Response, Problem> {
    let keys = sessions.token_keys(&cx, TokenKeys {}).await?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let keep = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(([kind, keep], keys.jwks).into_response())
}

/// The DPoP proof of a request, if it has one.
pub(crate) fn proof(headers: &HeaderMap, path: &str) -> Result<Option<Proof>, Error> {
    let mut shown = headers.get_all("dpop").iter();
    let Some(first) = shown.next() else { return Ok(None) };
    match (first.to_str(), shown.next()) {
        (Ok(jwt), None) => {
            Ok(Some(Proof { jwt: Revealed(jwt.to_owned()), method: "POST".to_owned(), path: path.to_owned() }))
        }
        _ => Err(Error::invalid("oauth.invalid_dpop_proof", "the DPoP proof is not one header of plain text")),
    }
}
