use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get, post},
};
use nsl_api::{
    Page,
    identity::{ChangeKey, CreateKey, CreatedKey, IdentityClient, KeyInfo, ListKeys, RevokeKey, RotateKey, UpdateKey},
};
use nsl_core::{PrincipalKind, Timestamp};
use nsl_edge::{Caller, Class, Entry, Face, Path, Problem, Query, Rule, Strict};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use crate::http::Paging;

const PROBLEMS: &[Entry] = &[
    Entry::new("identity.name", 400, "the name has a wrong form", "use 1 to 100 visible characters"),
    Entry::new("identity.scopes", 400, "the scopes have a wrong form", "use service:verb, service:* or *"),
    Entry::new(
        "identity.scope_unknown",
        400,
        "nothing asks for the scope",
        "check its spelling: the details name those that are known",
    ),
    Entry::new("identity.expiry", 400, "the expiry has passed already", "name a time that lies ahead"),
    Entry::new(
        "identity.expiry_not_held",
        403,
        "the credential ends before the key would",
        "name no expiry or one that is no later than `latest` in the details, or use a credential with identity:admin",
    ),
    Entry::new(
        "identity.subject",
        400,
        "the subject is a name of the platform itself",
        "name another subject: system, anonymous, platform and stranger-... are reserved",
    ),
    Entry::new(
        "identity.subject_not_member",
        400,
        "the subject is a person who is no member of the tenant",
        "name a member, yourself, or a subject that is no person's id",
    ),
    Entry::new(
        "identity.scope_not_held",
        403,
        "the credential cannot grant what it lacks",
        "use a credential that holds the scope itself",
    ),
    Entry::new(
        "identity.keys_exhausted",
        429,
        "the tenant has as many keys as it may",
        "revoke keys that are no longer used, or have identity.keys_per_tenant raised",
    ),
    Entry::new(
        "identity.networks",
        400,
        "the networks have a wrong form",
        "name up to 50 addresses (203.0.113.7) or ranges (10.0.0.0/8, 2001:db8::/32)",
    ),
    Entry::new(
        "identity.network_not_held",
        403,
        "the credential itself may not be used from there",
        "stay within its own networks, which the details name, or use a credential that has none",
    ),
    Entry::new(
        "identity.scope_lent",
        403,
        "who was let in for less, or acts for another, gives nobody the administration of the tenant",
        "leave that scope out, or sign in yourself",
    ),
    Entry::new(
        "identity.key_of_another",
        403,
        "the key belongs to another person, who alone may learn its secret",
        "let its owner rotate it, or revoke it",
    ),
    Entry::new("identity.description", 400, "the description has a wrong form", "use at most 500 visible characters"),
    Entry::new(
        "identity.overlap",
        400,
        "the overlap is longer than allowed",
        "name at most as many seconds as the details say, or have identity.keys.longest_overlap_s raised",
    ),
    Entry::new(
        "identity.rotation_open",
        409,
        "the overlap of the last rotation is not over",
        "rotate after the time in the details, or with overlap_s 0, which ends all earlier secrets at once",
    ),
    Entry::new(
        "identity.key_ended",
        409,
        "the key was revoked or has expired",
        "make another key: one that has ended stays so",
    ),
    Entry::new(
        "identity.key_changed",
        409,
        "somebody else changed the key at the same moment",
        "look at the key as it is now, and ask again",
    ),
    Entry::new("identity.key_missing", 404, "there is no such key", "list the keys to see their ids"),
    Entry::new(
        "identity.secret_shown_once",
        409,
        "the key was made by an earlier request and is shown only once",
        "revoke the key named in the details and make another with a new idempotency key",
    ),
    Entry::new("identity.platform_only", 403, "only the platform itself may do this", "ask an operator"),
];

/// The public routes of the service, wherever it runs.
pub(crate) fn face(identity: IdentityClient) -> Face {
    let router = Router::new()
        .route("/v1/identity/keys", get(list_keys).post(create_key))
        .route("/v1/identity/keys/{id}", delete(revoke_key).patch(update_key))
        .route("/v1/identity/keys/{id}/rotate", post(rotate_key))
        .route("/v1/identity/whoami", get(whoami))
        .with_state(identity);
    Face::new("identity", router)
        .docs(Docs::openapi())
        .problems(PROBLEMS)
        .rule(Rule::at("/v1/identity/keys*").class(Class::Keys).body_bytes(64 * 1024))
}

#[derive(OpenApi)]
#[openapi(
    paths(create_key, list_keys, revoke_key, update_key, rotate_key, whoami),
    tags((name = "identity", description = "API keys: who may call, and what a credential allows."))
)]
struct Docs;

/// What the credential of this request stands for.
#[derive(Serialize, ToSchema)]
struct Whoami {
    tenant: String,
    subject: String,
    /// `api_key`, `token` or `certificate`.
    #[schema(value_type = String)]
    kind: PrincipalKind,
    /// The id of the credential; never the credential.
    credential: String,
    scopes: Vec<String>,
    /// When the credential ends, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The sign-in (`ses_...`) that it belongs to, where a person is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// When that person last showed a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    second_factor_at: Option<Timestamp>,
    /// Who acts, where the subject only lent its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
}

/// Make an API key
///
/// The reply shows the key's secret this once. A key never gets a scope that the credential making it lacks, nor one
/// that nothing asks for.
#[utoipa::path(post, path = "/v1/identity/keys", tag = "identity", operation_id = "create_key",
    request_body = CreateKey, responses((status = 201, description = "The new key with its secret", body = CreatedKey)))]
async fn create_key(
    State(identity): State<IdentityClient>,
    Caller(cx): Caller,
    Strict(request): Strict<CreateKey>,
) -> Result<(StatusCode, Json<CreatedKey>), Problem> {
    Ok((StatusCode::CREATED, Json(identity.create_key(&cx, request).await?)))
}

/// List API keys
///
/// Newest first, without their secrets. Only the caller's own unless it holds `identity:admin`.
#[utoipa::path(get, path = "/v1/identity/keys", tag = "identity", operation_id = "list_keys", params(Paging),
    responses((status = 200, description = "A page of keys", body = Page<KeyInfo>)))]
async fn list_keys(
    State(identity): State<IdentityClient>,
    Caller(cx): Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<KeyInfo>>, Problem> {
    let request = ListKeys { limit: paging.limit(), after: paging.after };
    Ok(Json(identity.list_keys(&cx, request).await?))
}

/// Revoke an API key
///
/// In effect at once in the process that answers, within a second in others. Revoking twice changes nothing.
#[utoipa::path(delete, path = "/v1/identity/keys/{id}", tag = "identity", operation_id = "revoke_key",
    params(("id" = String, Path, description = "The key's id, `key_...`")),
    responses((status = 200, description = "The key as it is now", body = KeyInfo)))]
async fn revoke_key(
    State(identity): State<IdentityClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<KeyInfo>, Problem> {
    Ok(Json(identity.revoke_key(&cx, RevokeKey { id }).await?))
}

/// Change an API key
///
/// Its name, what it is for, where it may be used, and when it ends. Whoever lets a key do more must hold all that the
/// key holds. In effect at once in the process that answers, within a second in others.
#[utoipa::path(patch, path = "/v1/identity/keys/{id}", tag = "identity", operation_id = "update_key",
    params(("id" = String, Path, description = "The key's id, `key_...`")), request_body = ChangeKey,
    responses((status = 200, description = "The key as it is now", body = KeyInfo)))]
async fn update_key(
    State(identity): State<IdentityClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Strict(change): Strict<ChangeKey>,
) -> Result<Json<KeyInfo>, Problem> {
    Ok(Json(identity.update_key(&cx, UpdateKey { id, change }).await?))
}

#[derive(Deserialize, ToSchema)]
struct Rotate {
    /// How long the secret of before works on, in seconds; 0 ends it at once, and any before it. A day when absent,
    /// unless the operator has set another time.
    #[serde(default)]
    overlap_s: Option<u64>,
}

/// Give an API key a new secret
///
/// The reply shows the new secret this once. The old one works until the overlap is over, so that whatever uses it can
/// be moved to the new one. Id, name, scopes and all else of the key stay.
#[utoipa::path(post, path = "/v1/identity/keys/{id}/rotate", tag = "identity", operation_id = "rotate_key",
    params(("id" = String, Path, description = "The key's id, `key_...`")), request_body = Rotate,
    responses((status = 200, description = "The key with its new secret", body = CreatedKey)))]
async fn rotate_key(
    State(identity): State<IdentityClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Strict(Rotate { overlap_s }): Strict<Rotate>,
) -> Result<Json<CreatedKey>, Problem> {
    Ok(Json(identity.rotate_key(&cx, RotateKey { id, overlap_s }).await?))
}

/// Say who is calling
#[utoipa::path(get, path = "/v1/identity/whoami", tag = "identity", operation_id = "whoami",
    responses((status = 200, description = "What the credential stands for", body = Whoami)))]
async fn whoami(Caller(cx): Caller) -> Json<Whoami> {
    Json(Whoami {
        tenant: cx.tenant.to_string(),
        subject: cx.principal.subject.to_string(),
        kind: cx.principal.kind,
        credential: cx.principal.credential.to_string(),
        scopes: cx.principal.scopes.to_vec(),
        expires_at: cx.principal.expires_at,
        session: cx.principal.session.as_deref().map(str::to_owned),
        second_factor_at: cx.principal.second_factor_at,
        actor: cx.principal.actor.as_ref().map(ToString::to_string),
    })
}
