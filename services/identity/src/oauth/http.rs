mod problems;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use nsl_api::{
    Page, Revealed,
    oauth::{
        AnswerDevice, AuthorizeDevice, ClientId, ClientInfo, CreateClient, CreatedClient, DeviceAuthorization,
        DeviceRequest, Discover, Grant, GrantTokens, IntrospectToken, Introspection, ListClients, LookDevice,
        OauthClient, RevokeToken, RotateSecret, UpdateClient,
    },
    sessions::TokenReply,
};
use nsl_core::{Code, Error, TenantId};
use nsl_edge::{Anyone, Caller, Class, Face, Path, Problem, Query, Rule, Strict};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

use self::problems::PROBLEMS;
use super::{
    form::Form,
    rules::{invalid_client, spoken},
};
use crate::{http::Paging, tokens::proof};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// What the token endpoint knows.
pub(super) const GRANTS: [&str; 4] = ["client_credentials", "refresh_token", EXCHANGE, DEVICE];

/// The public routes of OAuth 2.0.
pub(crate) fn face(oauth: OauthClient) -> Face {
    let router = Router::new()
        .route("/oauth2/token", post(token))
        .route("/oauth2/introspect", post(introspect))
        .route("/oauth2/revoke", post(revoke))
        .route("/oauth2/device_authorization", post(authorize_device))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/v1/auth/device/look", post(look_device))
        .route("/v1/auth/device/approve", post(approve_device))
        .route("/v1/auth/device/deny", post(deny_device))
        .route("/v1/oauth/clients", get(list_clients).post(create_client))
        .route("/v1/oauth/clients/{id}", get(get_client).patch(update_client).delete(delete_client))
        .route("/v1/oauth/clients/{id}/secret", post(rotate_client_secret))
        .with_state(oauth);
    // Secrets and tokens cannot be guessed, and a device asks every few seconds for minutes: these are held to what
    // strangers may, not to the few tries of those who sign in.
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(Rule::at("/oauth2/*").class(Class::Anonymous).open().oauth().body_bytes(64 * 1024))
        .rule(Rule::at("/.well-known/o*").class(Class::Anonymous).open().shared())
        .rule(Rule::at("/v1/auth/device/*").class(Class::Auth).body_bytes(16 * 1024))
        .rule(Rule::at("/v1/oauth/clients*").class(Class::Keys).body_bytes(64 * 1024))
}

#[derive(OpenApi)]
#[openapi(
    paths(
        token, introspect, revoke, authorize_device, metadata, look_device, approve_device, deny_device,
        create_client, list_clients, get_client, update_client, rotate_client_secret, delete_client
    ),
    tags((name = "oauth", description = "OAuth 2.0 for machines and devices: clients, tokens, and acting for others."))
)]
struct Docs;

/// The parameters of all grants; each grant needs some of them.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a form that is read field by field")]
struct TokenForm {
    grant_type: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
    refresh_token: Option<String>,
    device_code: Option<String>,
    /// Ours: the tenant that the tokens of a refresh are to work in.
    tenant: Option<String>,
    subject_token: Option<String>,
    subject_token_type: Option<String>,
    actor_token: Option<String>,
    actor_token_type: Option<String>,
    requested_token_type: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a form that is read field by field")]
struct OneTokenForm {
    token: String,
    token_type_hint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes a form that is read field by field")]
struct DeviceForm {
    client_id: String,
    client_secret: Option<String>,
    scope: Option<String>,
}

/// Get tokens
///
/// The token endpoint of RFC 6749: client credentials, refresh tokens, token exchange (RFC 8693) and device codes (RFC
/// 8628). Clients show themselves by HTTP Basic or in the form; with a `DPoP` header the tokens are bound to its key, but
/// for those of a session that was opened without one.
#[utoipa::path(post, path = "/oauth2/token", tag = "oauth", operation_id = "grant_tokens", security(()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Tokens", body = TokenReply)))]
async fn token(
    State(oauth): State<OauthClient>,
    Anyone(cx): Anyone,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<TokenReply>, Problem> {
    let mut form = Form::read(&headers, &body)?;
    let client = form.client(&headers)?;
    let kind = form.need("grant_type")?;
    let grant = match kind.as_str() {
        "client_credentials" => Grant::ClientCredentials,
        "refresh_token" => {
            let tenant = form.take("tenant").map(|tenant| TenantId::parse(&tenant)).transpose()?;
            Grant::RefreshToken { refresh_token: Revealed(form.need("refresh_token")?), tenant }
        }
        DEVICE => Grant::DeviceCode { device_code: Revealed(form.need("device_code")?) },
        EXCHANGE => exchange(&mut form)?,
        _ => {
            let message = "this kind of grant is not known here";
            return Err(spoken("unsupported_grant_type", Error::new(Code::Invalid, "oauth.grant_type", message)).into());
        }
    };
    let request = GrantTokens { grant, client, scope: form.take("scope"), proof: proof(&headers, "/oauth2/token")? };
    Ok(Json(oauth.grant_tokens(&cx, request).await?))
}

fn exchange(form: &mut Form) -> Result<Grant, Error> {
    form.refuse(&["resource", "audience"], "invalid_target")?;
    for name in ["subject_token_type", "actor_token_type"] {
        if !matches!(form.need(name)?.as_str(), ACCESS_TOKEN | JWT) {
            return Err(spoken(
                "invalid_request",
                Error::new(Code::Invalid, "oauth.token_type", "only access tokens are exchanged"),
            ));
        }
    }
    if form.take("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
        return Err(spoken(
            "invalid_request",
            Error::new(Code::Invalid, "oauth.token_type", "only access tokens are given out"),
        ));
    }
    Ok(Grant::TokenExchange {
        subject_token: Revealed(form.need("subject_token")?),
        actor_token: Revealed(form.need("actor_token")?),
    })
}

/// Ask what a token is worth
///
/// RFC 7662, for clients with a secret, and callers with `identity:read`. Only tokens of the own tenant are active.
#[utoipa::path(post, path = "/oauth2/introspect", tag = "oauth", operation_id = "introspect_token",
    request_body(content = OneTokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Whether it is active, and what it says", body = Introspection)))]
async fn introspect(
    State(oauth): State<OauthClient>,
    Anyone(cx): Anyone,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Introspection>, Problem> {
    let mut form = Form::read(&headers, &body)?;
    let client = form.client(&headers)?;
    let request = IntrospectToken { token: Revealed(form.need("token")?), client };
    Ok(Json(oauth.introspect_token(&cx, request).await?))
}

/// Take a token back
///
/// RFC 7009: an access token is refused within a second, a refresh token ends its session. An unknown one is no error.
#[utoipa::path(post, path = "/oauth2/revoke", tag = "oauth", operation_id = "revoke_token", security(()),
    request_body(content = OneTokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is good no longer")))]
async fn revoke(
    State(oauth): State<OauthClient>,
    Anyone(cx): Anyone,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let mut form = Form::read(&headers, &body)?;
    let client = form.client(&headers)?;
    let request = RevokeToken { token: Revealed(form.need("token")?), client };
    oauth.revoke_token(&cx, request).await?;
    Ok(StatusCode::OK)
}

/// Ask to be let in as a device
///
/// RFC 8628: the reply has a code that the device's user types in elsewhere, and one to ask for tokens with.
#[utoipa::path(post, path = "/oauth2/device_authorization", tag = "oauth", operation_id = "authorize_device",
    security(()), request_body(content = DeviceForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The two codes", body = DeviceAuthorization)))]
async fn authorize_device(
    State(oauth): State<OauthClient>,
    Anyone(cx): Anyone,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<DeviceAuthorization>, Problem> {
    let mut form = Form::read(&headers, &body)?;
    let client = form.client(&headers)?.ok_or_else(invalid_client)?;
    Ok(Json(oauth.authorize_device(&cx, AuthorizeDevice { client, scope: form.take("scope") }).await?))
}

/// Find out where everything is
///
/// Metadata of the authorization server (RFC 8414), at the place of OpenID Connect as well: it says what exists.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "oauth", operation_id = "discover", security(()),
    responses((status = 200, description = "The metadata", body = serde_json::Value)))]
async fn metadata(State(oauth): State<OauthClient>, Anyone(cx): Anyone) -> Result<Response, Problem> {
    let metadata = oauth.discover(&cx, Discover {}).await?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let keep = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(([kind, keep], metadata.document).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserCode {
    /// As the device shows it, in upper or lower case, with or without the dash.
    user_code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// As the device shows it, in upper or lower case, with or without the dash.
    user_code: String,
    /// Where the device is to work; where you are when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
}

/// See which device waits under a code
#[utoipa::path(post, path = "/v1/auth/device/look", tag = "oauth", operation_id = "look_device",
    request_body = UserCode, responses((status = 200, description = "What asks to be let in", body = DeviceRequest)))]
async fn look_device(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Strict(body): Strict<UserCode>,
) -> Result<Json<DeviceRequest>, Problem> {
    Ok(Json(oauth.look_device(&cx, LookDevice { user_code: body.user_code }).await?))
}

/// Let a device in
///
/// It may then do what you may, within what it asked for, until its session ends.
#[utoipa::path(post, path = "/v1/auth/device/approve", tag = "oauth", operation_id = "approve_device",
    request_body = Approval, responses((status = 200, description = "What was let in", body = DeviceRequest)))]
async fn approve_device(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Strict(body): Strict<Approval>,
) -> Result<Json<DeviceRequest>, Problem> {
    let request = AnswerDevice { user_code: body.user_code, approve: true, tenant: body.tenant };
    Ok(Json(oauth.answer_device(&cx, request).await?))
}

/// Turn a device away
#[utoipa::path(post, path = "/v1/auth/device/deny", tag = "oauth", operation_id = "deny_device",
    request_body = UserCode, responses((status = 200, description = "What was turned away", body = DeviceRequest)))]
async fn deny_device(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Strict(body): Strict<UserCode>,
) -> Result<Json<DeviceRequest>, Problem> {
    let request = AnswerDevice { user_code: body.user_code, approve: false, tenant: None };
    Ok(Json(oauth.answer_device(&cx, request).await?))
}

/// What is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientChange {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// Empty: from anywhere.
    #[serde(default)]
    networks: Option<Vec<String>>,
    #[serde(default)]
    suspended: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretChange {
    /// For how many seconds the old secret goes on working: a day when absent, a week at most.
    #[serde(default)]
    overlap_s: Option<u64>,
}

const OVERLAP_S: u64 = 86_400;

/// Make a client
///
/// The reply shows its secret this once. It never gets a scope that the credential making it lacks.
#[utoipa::path(post, path = "/v1/oauth/clients", tag = "oauth", operation_id = "create_client",
    request_body = CreateClient,
    responses((status = 201, description = "The client with its secret", body = CreatedClient)))]
async fn create_client(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Strict(request): Strict<CreateClient>,
) -> Result<(StatusCode, Json<CreatedClient>), Problem> {
    Ok((StatusCode::CREATED, Json(oauth.create_client(&cx, request).await?)))
}

/// List clients
///
/// Newest first, without their secrets.
#[utoipa::path(get, path = "/v1/oauth/clients", tag = "oauth", operation_id = "list_clients", params(Paging),
    responses((status = 200, description = "A page of clients", body = Page<ClientInfo>)))]
async fn list_clients(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ClientInfo>>, Problem> {
    let request = ListClients { limit: paging.limit(), after: paging.after };
    Ok(Json(oauth.list_clients(&cx, request).await?))
}

/// Get a client
#[utoipa::path(get, path = "/v1/oauth/clients/{id}", tag = "oauth", operation_id = "get_client",
    params(("id" = String, Path, description = "The client's id, `cli_...`")),
    responses((status = 200, description = "The client", body = ClientInfo)))]
async fn get_client(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<ClientInfo>, Problem> {
    Ok(Json(oauth.get_client(&cx, ClientId { id }).await?))
}

/// Change a client
///
/// Whenever it is to do less than before, all tokens that it has are refused within a second.
#[utoipa::path(patch, path = "/v1/oauth/clients/{id}", tag = "oauth", operation_id = "update_client",
    params(("id" = String, Path, description = "The client's id, `cli_...`")), request_body = ClientChange,
    responses((status = 200, description = "The client as it is now", body = ClientInfo)))]
async fn update_client(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Strict(change): Strict<ClientChange>,
) -> Result<Json<ClientInfo>, Problem> {
    let ClientChange { name, scopes, networks, suspended } = change;
    Ok(Json(oauth.update_client(&cx, UpdateClient { id, name, scopes, networks, suspended }).await?))
}

/// Give a client a new secret
///
/// The reply shows it this once. The old one works on for a while, so that all that uses it can be changed.
#[utoipa::path(post, path = "/v1/oauth/clients/{id}/secret", tag = "oauth", operation_id = "rotate_client_secret",
    params(("id" = String, Path, description = "The client's id, `cli_...`")), request_body = SecretChange,
    responses((status = 200, description = "The client with its new secret", body = CreatedClient)))]
async fn rotate_client_secret(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Strict(change): Strict<SecretChange>,
) -> Result<Json<CreatedClient>, Problem> {
    let request = RotateSecret { id, overlap_s: change.overlap_s.unwrap_or(OVERLAP_S) };
    Ok(Json(oauth.rotate_client_secret(&cx, request).await?))
}

/// Delete a client
///
/// Its tokens are refused within a second, and so are those that people got through it.
#[utoipa::path(delete, path = "/v1/oauth/clients/{id}", tag = "oauth", operation_id = "delete_client",
    params(("id" = String, Path, description = "The client's id, `cli_...`")),
    responses((status = 200, description = "The client as it was", body = ClientInfo)))]
async fn delete_client(
    State(oauth): State<OauthClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<ClientInfo>, Problem> {
    Ok(Json(oauth.delete_client(&cx, ClientId { id }).await?))
}
