use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nsl_core::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{catalogue::Catalogue, outcome::REFUSED};

/// The error type of public handlers: `?` turns an [`Error`] into it, the edge renders it as
/// `application/problem+json` (RFC 9457) with the request's id and the catalogue's words.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// The error behind a response, for the edge: it counts, logs and words it.
#[derive(Clone, Debug)]
pub(crate) struct Fault(pub(crate) Arc<Error>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = Arc::new(self.0);
        static BASE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::with([]));
        let mut response = render(&error, &BASE, None);
        response.extensions_mut().insert(Fault(error));
        response
    }
}

/// The body of every reply that is not a success.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemBody<'a> {
    /// Where the problem is explained: `/problems/<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for each occurrence.
    pub title: Cow<'a, str>,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in words.
    pub detail: Cow<'a, str>,
    /// The id of the request, to be named when asking for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<Cow<'a, str>>,
    /// Stable and made to be branched on.
    pub code: Cow<'a, str>,
    /// What the caller can do about it.
    pub mend: Cow<'a, str>,
    /// Further facts: the offending field, the limit, the current version.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Words an error as a problem; `instance` is the request's id where one is known.
pub(crate) fn render(error: &Error, catalogue: &Catalogue, instance: Option<&str>) -> Response {
    let entry = catalogue.find(&error.slug);
    let status = catalogue.status(&error.slug, error.code);
    let body = ProblemBody {
        kind: format!("/problems/{}", error.slug),
        title: entry.map_or(Cow::Borrowed(error.message.as_str()), |entry| entry.title.into()),
        status,
        detail: error.message.as_str().into(),
        instance: instance.map(Cow::Borrowed),
        code: error.slug.as_ref().into(),
        mend: entry.map_or("see /problems", |entry| entry.mend).into(),
        details: shown(&error.details),
    };
    let text = serde_json::to_vec(&body).expect("strings and JSON values serialise");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    if status == 401 {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"nsl\""));
    }
    // Who hears that something is away now wants to know when to come back.
    if let Some(wait) = error.retry_after_ms.or((status == 503).then_some(1_000)) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1_000).max(1)));
    }
    response
}

fn shown(details: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = details.clone();
    shown.remove(REFUSED);
    shown
}
