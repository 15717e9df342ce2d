use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nsl_core::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub details: BTreeMap<String, Value>,
}

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Words an error as a problem; `instance` is the request's id where one is known.
pub(crate) fn render(error: &Error, catalogue: &Catalogue, instance: Option<&str>) -> Response {
    let body = body(error, catalogue, instance);
    let status = body.status;
    let text = serde_json::to_vec(&body).expect("strings and JSON values serialise");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    if let Some(challenge) = challenge(error).or((status == 401).then_some(BEARER)) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    // Who hears that something is away now wants to know when to come back.
    if let Some(wait) = error.retry_after_ms.or((status == 503).then_some(1_000)) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.div_ceil(1_000).max(1)));
    }
    response
}

/// What a problem says.
pub(crate) fn body<'a>(error: &'a Error, catalogue: &Catalogue, instance: Option<&'a str>) -> ProblemBody<'a> {
    let entry = catalogue.find(&error.slug);
    ProblemBody {
        kind: format!("/problems/{}", error.slug),
        title: entry.map_or(Cow::Borrowed(error.message.as_str()), |entry| entry.title.into()),
        status: catalogue.status(&error.slug, error.code),
        detail: error.message.as_str().into(),
        instance: instance.map(Cow::Borrowed),
        code: error.slug.as_ref().into(),
        mend: entry.map_or("see /problems", |entry| entry.mend).into(),
        details: shown(&error.details),
    }
}

const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"nsl\"");

/// What a client can do by itself about a credential that does not suffice (RFC 6750, 9449 and 9470).
pub(crate) fn challenge(error: &Error) -> Option<HeaderValue> {
    let text = match error.slug.as_ref() {
        "auth.token_invalid" | "auth.token_expired" | "auth.token_revoked" => {
            return Some(HeaderValue::from_static("Bearer realm=\"nsl\", error=\"invalid_token\""));
        }
        "auth.proof_invalid" => {
            let text = "DPoP realm=\"nsl\", error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA RS256\"";
            return Some(HeaderValue::from_static(text));
        }
        "auth.step_up" => {
            let age = error.details.get("max_age").and_then(Value::as_u64)?;
            let values = error.details.get("acr_values").and_then(Value::as_str)?;
            format!(
                "Bearer realm=\"nsl\", error=\"insufficient_user_authentication\", \
                 error_description=\"{}\", max_age={age}, acr_values=\"{values}\"",
                error.message
            )
        }
        "auth.scope_missing" => {
            let scope = error.details.get("needs").and_then(Value::as_str)?;
            format!("Bearer realm=\"nsl\", error=\"insufficient_scope\", scope=\"{scope}\"")
        }
        _ => return None,
    };
    HeaderValue::from_str(&text).ok()
}

fn shown(details: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut shown = details.clone();
    shown.remove(REFUSED);
    shown.remove(crate::oauth::ERROR);
    shown
}
