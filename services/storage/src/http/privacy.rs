use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use nsl_api::{
    Page,
    storage::{AskPrivacy, FetchExport, FindPrivacy, ListPrivacy, PrivacyRequest, StorageClient},
};
use nsl_core::Error;
use nsl_edge::{Caller, Limit, Path, Problem, Query, Strict};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{bodies::ShortPaging, render};

/// Ask for a copy or for the erasure of a person's data
///
/// Done in the background, long before it is due. Another's data needs the scope `privacy:admin`.
#[utoipa::path(post, path = "/v1/storage/privacy/requests", tag = "storage", operation_id = "ask_privacy",
    request_body = AskPrivacy, responses((status = 202, description = "Taken down", body = PrivacyRequest)))]
pub(super) async fn ask(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Strict(body): Strict<AskPrivacy>,
) -> Result<(StatusCode, Json<PrivacyRequest>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(storage.ask_privacy(&cx, body).await?)))
}

/// List requests about persons' data
///
/// Newest first; only the caller's own without the scope `privacy:admin`.
#[utoipa::path(get, path = "/v1/storage/privacy/requests", tag = "storage", operation_id = "list_privacy",
    params(ShortPaging), responses((status = 200, description = "A page", body = Page<PrivacyRequest>)))]
pub(super) async fn list(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Query(paging): Query<ShortPaging>,
) -> Result<Json<Page<PrivacyRequest>>, Problem> {
    let list = ListPrivacy { limit: Limit::or(paging.limit, 100), after: paging.after };
    Ok(Json(storage.list_privacy(&cx, list).await?))
}

/// Look at a request
///
/// A finished erasure has a signed receipt.
#[utoipa::path(get, path = "/v1/storage/privacy/requests/{id}", tag = "storage", operation_id = "find_privacy",
    params(("id" = String, Path)), responses((status = 200, description = "The request", body = PrivacyRequest)))]
pub(super) async fn find(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<PrivacyRequest>, Problem> {
    Ok(Json(storage.find_privacy(&cx, FindPrivacy { id }).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Which part, counted from 1; the first when absent. The request tells how many there are.
    part: Option<u32>,
}

/// Fetch a part of a finished export
#[utoipa::path(get, path = "/v1/storage/privacy/requests/{id}/export", tag = "storage", operation_id = "fetch_export",
    params(("id" = String, Path), Part),
    responses((status = 200, description = "What is stored of the person", body = Object)))]
pub(super) async fn export(
    State(storage): State<StorageClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Result<Response, Problem> {
    let part = part.part.unwrap_or(1);
    let exported = storage.export(&cx, FetchExport { id, part }).await?;
    let mut response = render::json(exported.document.0.into_bytes());
    let attachment = HeaderValue::try_from(format!("attachment; filename=\"export-{part}.json\""));
    let attachment = attachment.map_err(Error::internal)?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, attachment);
    Ok(response)
}
