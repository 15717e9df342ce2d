//! The public routes: path and body to a call of the client, and its reply to JSON. Decides nothing.

mod bodies;
mod items;
mod many;
mod preconditions;
mod privacy;
mod problems;
mod render;

use axum::{
    Router,
    routing::{get, post},
};
use nsl_api::storage::StorageClient;
use nsl_edge::{Face, Rule};
use utoipa::OpenApi;

/// The public routes of the service, wherever it runs.
pub fn face(storage: StorageClient) -> Face {
    Face::new("storage", routes(storage))
        .docs(Docs::openapi())
        .problems(problems::PROBLEMS)
        .rule(Rule::at("/v1/storage/public/*").open())
        .rule(Rule::at("/v1/storage/{chain}/batch").body_bytes(4 << 20))
}

/// The routes alone, without what an edge needs to know of them.
pub fn routes(storage: StorageClient) -> Router {
    Router::new()
        .route("/v1/storage/store/{chain}", post(items::store))
        .route("/v1/storage/retrieve/{chain}/{key}", get(items::retrieve))
        .route("/v1/storage/public/{chain}/{tenant}/{owner}/{key}", get(items::public))
        .route("/v1/storage/usage", get(many::usage))
        .route("/v1/storage/privacy/requests", get(privacy::list).post(privacy::ask))
        .route("/v1/storage/privacy/requests/{id}", get(privacy::find))
        .route("/v1/storage/privacy/requests/{id}/export", get(privacy::export))
        .route("/v1/storage/{chain}/items", get(many::list))
        .route(
            "/v1/storage/{chain}/items/{key}",
            get(items::get).head(items::head).put(items::put).patch(items::amend).delete(items::delete),
        )
        .route("/v1/storage/{chain}/items/{key}/versions", get(many::history))
        .route("/v1/storage/{chain}/items/{key}/versions/{version}/restore", post(items::restore))
        .route("/v1/storage/{chain}/batch", post(many::put))
        .route("/v1/storage/{chain}/batch/get", post(many::get))
        .with_state(storage)
}

#[derive(OpenApi)]
#[openapi(
    paths(
        items::store,
        items::retrieve,
        items::public,
        items::put,
        items::get,
        items::head,
        items::amend,
        items::delete,
        items::restore,
        many::list,
        many::history,
        many::put,
        many::get,
        many::usage,
        privacy::ask,
        privacy::list,
        privacy::find,
        privacy::export
    ),
    components(schemas(bodies::ItemReply)),
    tags((name = "storage", description = "JSON values by key: encrypted when asked, versioned, shared as their owner says."))
)]
struct Docs;
