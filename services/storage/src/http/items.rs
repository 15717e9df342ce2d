use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use nsl_api::storage::{Address, Chain, Delete, Deleted, Get, Meta, Restore, StorageClient, Stored};
use nsl_core::{Code, Cx, Error, Principal, Result, Subject, TenantId};
use nsl_edge::{Anyone, Caller, Path, Problem, Query, Strict};

use super::{
    bodies::{AmendBody, ItemReply, PutBody, StoreBody, Which},
    preconditions::{self, Wanted, failed, none_match},
    render,
};

fn get_request(chain: Chain, key: String, which: Which) -> Get {
    let at = Address { chain, owner: which.owner, key };
    Get { at, version: which.version, fresh: which.fresh, max_stale_ms: which.max_stale_ms }
}

/// The version to compare and set with: from the headers, else from the body.
async fn expected(
    storage: &StorageClient,
    cx: &Cx,
    headers: &HeaderMap,
    at: (Chain, &str),
    body: Option<i64>,
) -> Result<(Option<i64>, bool)> {
    let wanted = preconditions::wanted(headers)?;
    let accepts = match &wanted {
        Wanted::Open => return Ok((body, false)),
        Wanted::Version(version) => return Ok((Some(*version), true)),
        Wanted::Existing => None,
        Wanted::OneOf(versions) => Some(versions),
    };
    let address = Address { chain: at.0, owner: None, key: at.1.to_owned() };
    let get = Get { at: address, version: None, fresh: true, max_stale_ms: None };
    let current = match storage.describe(cx, get).await {
        Ok(meta) => Some(meta.version),
        Err(error) if error.code == Code::NotFound => None,
        Err(error) => return Err(error),
    };
    match current.filter(|version| accepts.is_none_or(|versions| versions.contains(version))) {
        Some(version) => Ok((Some(version), true)),
        // A repeated request gets the answer of the first, which may have changed the very state it asked for: the
        // writer knows. If it does not, no state has this version.
        None if cx.once.is_some() => Ok((Some(-1), true)),
        None => Err(Error::new(Code::Conflict, "storage.precondition_failed", "no wanted version is the current one")),
    }
}

fn guarded<T>(outcome: Result<T>, by_header: bool) -> Result<T> {
    if by_header { outcome.map_err(failed) } else { outcome }
}

fn stored(stored: Stored, created: StatusCode) -> Response {
    let (etag, status) = (render::etag(stored.version), if stored.created { created } else { StatusCode::OK });
    (status, [(header::ETAG, etag)], Json(stored)).into_response()
}

/// Store a value
///
/// The key is the caller's own; what it held becomes a past version.
#[utoipa::path(post, path = "/v1/storage/store/{chain}", tag = "storage", operation_id = "store",
    params(("chain" = Chain, Path)), request_body = StoreBody,
    responses((status = 200, description = "Stored, on disk", body = Stored)))]
pub(super) async fn store(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    headers: HeaderMap,
    Strict(body): Strict<StoreBody>,
) -> Result<Response, Problem> {
    let mut put = body.put(chain);
    let (version, by_header) = expected(&storage, &cx, &headers, (chain, &put.key), put.expected_version).await?;
    put.expected_version = version;
    Ok(stored(guarded(storage.put(&cx, put).await, by_header)?, StatusCode::OK))
}

/// Fetch a value
#[utoipa::path(get, path = "/v1/storage/retrieve/{chain}/{key}", tag = "storage", operation_id = "retrieve",
    params(("chain" = Chain, Path), ("key" = String, Path), Which),
    responses((status = 200, description = "The value", body = ItemReply), (status = 304, description = "Not changed")))]
pub(super) async fn retrieve(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path((chain, key)): Path<(Chain, String)>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&storage, &cx, get_request(chain, key, which), &headers).await
}

/// Fetch a value
///
/// Its ETag is its version; `If-None-Match` saves the transfer of one that is known.
#[utoipa::path(get, path = "/v1/storage/{chain}/items/{key}", tag = "storage", operation_id = "get_item",
    params(("chain" = Chain, Path), ("key" = String, Path), Which),
    responses((status = 200, description = "The value", body = ItemReply), (status = 304, description = "Not changed")))]
pub(super) async fn get(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path((chain, key)): Path<(Chain, String)>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&storage, &cx, get_request(chain, key, which), &headers).await
}

async fn answer(storage: &StorageClient, cx: &Cx, get: Get, headers: &HeaderMap) -> Result<Response, Problem> {
    let known = none_match(headers)?;
    let item = storage.get(cx, get).await?;
    if known.is_some_and(|known| known.has(item.meta.version)) {
        return Ok(render::bare(StatusCode::NOT_MODIFIED, item.meta.version));
    }
    Ok(render::item(&item))
}

/// Fetch a public value
///
/// Needs no credential. A value that is not public looks like one that is not there.
#[utoipa::path(get, path = "/v1/storage/public/{chain}/{tenant}/{owner}/{key}", tag = "storage",
    operation_id = "get_public", security(()),
    params(("chain" = Chain, Path), ("tenant" = String, Path), ("owner" = String, Path), ("key" = String, Path)),
    responses((status = 200, description = "The value", body = ItemReply), (status = 304, description = "Not changed")))]
pub(super) async fn public(
    State(storage): State<StorageClient>,
    Anyone(mut cx): Anyone,
    Path((chain, tenant, owner, key)): Path<(Chain, TenantId, Subject, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Whoever asks is nobody here: a name means something only within its own tenant.
    cx.principal = Principal::anonymous();
    cx.tenant = tenant;
    let at = Address { chain, owner: Some(owner), key };
    let get = Get { at, version: None, fresh: false, max_stale_ms: None };
    answer(&storage, &cx, get, &headers).await.map_err(|Problem(error)| match error.code {
        Code::Unauthenticated => Problem(crate::rules::not_found()),
        _ => Problem(error),
    })
}

/// Look at a value without fetching it
#[utoipa::path(head, path = "/v1/storage/{chain}/items/{key}", tag = "storage", operation_id = "head_item",
    params(("chain" = Chain, Path), ("key" = String, Path), Which),
    responses((status = 200, description = "It exists; the ETag is its version")))]
pub(super) async fn head(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path((chain, key)): Path<(Chain, String)>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = none_match(&headers)?;
    let Meta { version, .. } = storage.describe(&cx, get_request(chain, key, which)).await?;
    let status = if known.is_some_and(|known| known.has(version)) { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    Ok(render::bare(status, version))
}

/// Store a value under a key
///
/// `If-Match` and `If-None-Match: *` compare and set.
#[utoipa::path(put, path = "/v1/storage/{chain}/items/{key}", tag = "storage", operation_id = "put_item",
    params(("chain" = Chain, Path), ("key" = String, Path)), request_body = PutBody,
    responses((status = 200, description = "Stored, on disk", body = Stored),
        (status = 201, description = "Stored under a new key, on disk", body = Stored)))]
pub(super) async fn put(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path((chain, key)): Path<(Chain, String)>,
    headers: HeaderMap,
    Strict(body): Strict<PutBody>,
) -> Result<Response, Problem> {
    let mut put = body.put(chain, key);
    let (version, by_header) = expected(&storage, &cx, &headers, (chain, &put.key), put.expected_version).await?;
    put.expected_version = version;
    Ok(stored(guarded(storage.put(&cx, put).await, by_header)?, StatusCode::CREATED))
}

/// Change what surrounds a value
///
/// Access and with whom it is shared, expiry, retention lock and metadata; the value stays as it is, the version grows.
#[utoipa::path(patch, path = "/v1/storage/{chain}/items/{key}", tag = "storage", operation_id = "amend_item",
    params(("chain" = Chain, Path), ("key" = String, Path)), request_body = AmendBody,
    responses((status = 200, description = "Changed, on disk", body = Stored)))]
pub(super) async fn amend(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path((chain, key)): Path<(Chain, String)>,
    headers: HeaderMap,
    Strict(body): Strict<AmendBody>,
) -> Result<Response, Problem> {
    let mut amend = body.amend(chain, key);
    let (version, by_header) = expected(&storage, &cx, &headers, (chain, &amend.key), amend.expected_version).await?;
    amend.expected_version = version;
    Ok(stored(guarded(storage.amend(&cx, amend).await, by_header)?, StatusCode::OK))
}

/// Delete a value
///
/// Its history stays until it is trimmed, so that a past version can be restored.
#[utoipa::path(delete, path = "/v1/storage/{chain}/items/{key}", tag = "storage", operation_id = "delete_item",
    params(("chain" = Chain, Path), ("key" = String, Path)),
    responses((status = 200, description = "Deleted, on disk", body = Deleted)))]
pub(super) async fn delete(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path((chain, key)): Path<(Chain, String)>,
    headers: HeaderMap,
) -> Result<Json<Deleted>, Problem> {
    let (expected_version, by_header) = expected(&storage, &cx, &headers, (chain, &key), None).await?;
    let delete = Delete { chain, key, expected_version };
    Ok(Json(guarded(storage.delete(&cx, delete).await, by_header)?))
}

/// Restore a past version
///
/// Its value and metadata become a new version; who may read it stays as it is now.
#[utoipa::path(post, path = "/v1/storage/{chain}/items/{key}/versions/{version}/restore", tag = "storage",
    operation_id = "restore_item",
    params(("chain" = Chain, Path), ("key" = String, Path), ("version" = i64, Path)),
    responses((status = 200, description = "Restored, on disk", body = Stored)))]
pub(super) async fn restore(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path((chain, key, version)): Path<(Chain, String, i64)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (expected_version, by_header) = expected(&storage, &cx, &headers, (chain, &key), None).await?;
    let restore = Restore { chain, key, version, expected_version };
    Ok(stored(guarded(storage.restore(&cx, restore).await, by_header)?, StatusCode::OK))
}
