use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use nsl_api::{
    Page,
    privacy::{
        AskDataReport, DataReport, DataRequest, FetchDataExport, ListDataRequests, NameDataRequest, OpenDataRequest,
        PrivacyClient,
    },
};
use nsl_core::{Cx, Error, Result};
use nsl_edge::{Caller, Class, Face, Path, Problem, Query, Rule, Strict};
use utoipa::OpenApi;

use crate::http::Paging;

/// The public routes of requests about persons' data.
pub(crate) fn face(privacy: PrivacyClient) -> Face {
    let router = Router::new()
        .route("/v1/privacy/requests", post(open).get(list))
        .route("/v1/privacy/requests/{id}", get(find))
        .route("/v1/privacy/requests/{id}/export", get(export))
        .route("/v1/privacy/report", get(report))
        .with_state(privacy);
    Face::new("identity", router)
        .docs(Docs::openapi())
        .rule(Rule::at("/v1/privacy*").class(Class::Keys).body_bytes(16 * 1024))
}

#[derive(OpenApi)]
#[openapi(
    paths(open, list, find, export, report),
    tags((name = "privacy", description = "What persons ask about their data, in all services at once."))
)]
struct Docs;

/// Ask for a copy or for the erasure of a person's data
///
/// Your own in every tenant; another's in this one, with `identity:admin`. To have yourself erased deletes your
/// account. Done in the background, long before it is due.
#[utoipa::path(post, path = "/v1/privacy/requests", tag = "privacy", operation_id = "open_data_request",
    request_body = OpenDataRequest, responses((status = 202, description = "Taken down", body = DataRequest)))]
async fn open(
    State(privacy): State<PrivacyClient>,
    Caller(cx): Caller,
    Strict(body): Strict<OpenDataRequest>,
) -> Result<(StatusCode, Json<DataRequest>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(privacy.open_data_request(&cx, body).await?)))
}

/// List requests about persons' data
///
/// Newest first; only your own without `identity:admin`.
#[utoipa::path(get, path = "/v1/privacy/requests", tag = "privacy", operation_id = "list_data_requests",
    params(Paging), responses((status = 200, description = "A page", body = Page<DataRequest>)))]
async fn list(
    State(privacy): State<PrivacyClient>,
    Caller(cx): Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<DataRequest>>, Problem> {
    let request = ListDataRequests { limit: paging.limit(), after: paging.after };
    Ok(Json(privacy.list_data_requests(&cx, request).await?))
}

/// Look at a request about a person's data
#[utoipa::path(get, path = "/v1/privacy/requests/{id}", tag = "privacy", operation_id = "find_data_request",
    params(("id" = String, Path, description = "`prv_...`")),
    responses((status = 200, description = "The request", body = DataRequest)))]
async fn find(
    State(privacy): State<PrivacyClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Json<DataRequest>, Problem> {
    Ok(Json(privacy.find_data_request(&cx, NameDataRequest { id }).await?))
}

/// See how requests stand
///
/// How many are open, due and overdue, in this tenant; needs `identity:admin`.
#[utoipa::path(get, path = "/v1/privacy/report", tag = "privacy", operation_id = "data_report",
    responses((status = 200, description = "The counts", body = DataReport)))]
async fn report(State(privacy): State<PrivacyClient>, Caller(cx): Caller) -> Result<Json<DataReport>, Problem> {
    Ok(Json(privacy.data_report(&cx, AskDataReport {}).await?))
}

/// Fetch the copy of a person's data
///
/// One JSON document with what each service holds; for some days after the request is done.
#[utoipa::path(get, path = "/v1/privacy/requests/{id}/export", tag = "privacy", operation_id = "fetch_data_export",
    params(("id" = String, Path, description = "`prv_...`")),
    responses((status = 200, description = "All that is held of the person", body = Object)))]
async fn export(
    State(privacy): State<PrivacyClient>,
    Caller(cx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    // The first piece is asked for before the reply begins, so that a refusal is one.
    let first = fetch(&privacy, &cx, &id, 0).await?;
    let name = format!("attachment; filename=\"{id}.json\"");
    let name = HeaderValue::try_from(name).map_err(Error::internal)?;
    let rest = futures_util::stream::try_unfold((privacy, cx, id, Some(first), 0), async |state| {
        let (privacy, cx, id, held, number) = state;
        let Some((text, is_last)) = held else { return Ok::<_, Error>(None) };
        let next = match is_last {
            true => None,
            false => Some(fetch(&privacy, &cx, &id, number + 1).await?),
        };
        Ok(Some((text, (privacy, cx, id, next, number + 1))))
    });
    let mut response = Response::new(Body::from_stream(rest));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_DISPOSITION, name);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn fetch(privacy: &PrivacyClient, cx: &Cx, id: &str, piece: u32) -> Result<(Bytes, bool)> {
    let found = privacy.fetch_data_export(cx, FetchDataExport { id: id.to_owned(), piece }).await?;
    Ok((Bytes::from(found.text.0), found.is_last))
}
