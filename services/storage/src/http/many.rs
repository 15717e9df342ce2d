use axum::{Json, extract::State, response::Response};
use nsl_api::{
    Page,
    storage::{
        Address, AskUsage, Chain, GetMany, History, List, Meta, PutMany, StorageClient, StoredMany, Usage, Version,
    },
};
use nsl_edge::{Caller, Limit, Path, Problem, Query, Strict};

use super::{
    bodies::{BatchBody, BatchGetBody, ItemsReply, Listing, Paging},
    render,
};

const PAGE: u32 = 100;

/// List values
///
/// By key, ascending, without the values themselves. Of others only what they let the caller read.
#[utoipa::path(get, path = "/v1/storage/{chain}/items", tag = "storage", operation_id = "list_items",
    params(("chain" = Chain, Path), Listing), responses((status = 200, description = "A page", body = Page<Meta>)))]
pub(super) async fn list(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Meta>>, Problem> {
    let Listing { owner, prefix, limit, after, max_stale_ms } = listing;
    let list = List { chain, owner, prefix, limit: Limit::or(limit, PAGE), after, max_stale_ms };
    Ok(Json(storage.list(&cx, list).await?))
}

/// List the versions of a key
///
/// Newest first, deletions too; for the owner only.
#[utoipa::path(get, path = "/v1/storage/{chain}/items/{key}/versions", tag = "storage", operation_id = "list_versions",
    params(("chain" = Chain, Path), ("key" = String, Path), Paging),
    responses((status = 200, description = "A page", body = Page<Version>)))]
pub(super) async fn history(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path((chain, key)): Path<(Chain, String)>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Version>>, Problem> {
    let at = Address { chain, owner: None, key };
    let history = History { at, limit: Limit::or(paging.limit, PAGE), after: paging.after };
    Ok(Json(storage.history(&cx, history).await?))
}

/// Store several values
///
/// All or nothing: one refused item refuses the whole batch, and the problem names it.
#[utoipa::path(post, path = "/v1/storage/{chain}/batch", tag = "storage", operation_id = "store_batch",
    params(("chain" = Chain, Path)), request_body = BatchBody,
    responses((status = 200, description = "Stored, on disk", body = StoredMany)))]
pub(super) async fn put(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(body): Strict<BatchBody>,
) -> Result<Json<StoredMany>, Problem> {
    let items = body.items.into_iter().map(|item| item.put(chain)).collect();
    Ok(Json(storage.put_many(&cx, PutMany { items }).await?))
}

/// Fetch several values
///
/// Those that are not there and those that may not be read can't be told apart.
#[utoipa::path(post, path = "/v1/storage/{chain}/batch/get", tag = "storage", operation_id = "get_batch",
    params(("chain" = Chain, Path)), request_body = BatchGetBody,
    responses((status = 200, description = "What was found", body = ItemsReply)))]
pub(super) async fn get(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path(chain): Path<Chain>,
    Strict(body): Strict<BatchGetBody>,
) -> Result<Response, Problem> {
    let items = storage.get_many(&cx, GetMany { chain, owner: body.owner, keys: body.keys }).await?;
    Ok(render::items(&items))
}

/// Tell what the tenant holds
///
/// Past versions included, and how much it may hold.
#[utoipa::path(get, path = "/v1/storage/usage", tag = "storage", operation_id = "usage",
    responses((status = 200, description = "Holdings and quotas", body = Usage)))]
pub(super) async fn usage(State(storage): State<StorageClient>, Caller(cx): Caller) -> Result<Json<Usage>, Problem> {
    Ok(Json(storage.usage(&cx, AskUsage {}).await?))
}
