//! What is told about the API: `/`, `/openapi.json`, `/docs`, `/problems`.

mod html;
mod openapi;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use nsl_core::{Code, Error};
use serde_json::{Value, json};

pub use self::openapi::openapi;
pub(crate) use self::openapi::operations;
use crate::{Path, Problem, catalogue::Catalogue, catalogue::Entry};

/// The routes that this module serves; all are open.
pub(crate) const ROUTES: [&str; 6] =
    ["/", "/openapi.json", "/docs", "/docs/style.css", "/problems", "/problems/{slug}"];

struct Texts {
    start: String,
    openapi: String,
    page: String,
    catalogue: Catalogue,
}

/// Serves the description of the API and the list of problems.
pub(crate) fn router(openapi: &Value, catalogue: Catalogue) -> Router {
    let start = json!({
        "name": openapi["info"]["title"], "version": openapi["info"]["version"],
        "docs": "/docs", "openapi": "/openapi.json", "problems": "/problems", "health": "/health",
    });
    let texts = Texts {
        start: start.to_string(),
        openapi: serde_json::to_string_pretty(openapi).expect("JSON serialises"),
        page: html::api(openapi),
        catalogue,
    };
    let [start, description, page, style, problems, problem] = ROUTES;
    Router::new()
        .route(start, get(|texts: State<Arc<Texts>>| async move { typed("application/json", texts.start.clone()) }))
        .route(
            description,
            get(|texts: State<Arc<Texts>>| async move { typed("application/json", texts.openapi.clone()) }),
        )
        .route(page, get(|texts: State<Arc<Texts>>| async move { shown(texts.page.clone()) }))
        .route(style, get(|| async { typed("text/css; charset=utf-8", html::STYLE) }))
        .route(problems, get(all_problems))
        .route(problem, get(one_problem))
        .with_state(Arc::new(texts))
}

async fn all_problems(texts: State<Arc<Texts>>, headers: HeaderMap) -> Response {
    let entries = texts.catalogue.entries();
    if for_people(&headers) {
        return shown(html::problems(&entries));
    }
    Json(json!({ "items": entries })).into_response()
}

async fn one_problem(
    texts: State<Arc<Texts>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let entry: &Entry = texts
        .catalogue
        .find(&slug)
        .ok_or_else(|| Error::new(Code::NotFound, "problem.unknown", "there is no problem of this name"))?;
    Ok(if for_people(&headers) { shown(html::problem(entry)) } else { Json(entry).into_response() })
}

fn for_people(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|accepts| accepts.contains("text/html"))
}

fn typed(kind: &'static str, text: impl Into<axum::body::Body>) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, text.into()).into_response()
}

// Our pages need one style sheet and nothing else.
fn shown(text: String) -> Response {
    let mut response = typed("text/html; charset=utf-8", text);
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response
}
