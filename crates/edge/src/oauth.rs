//! Problems in the words of OAuth 2.0 (RFC 6749 section 5.2), with ours beside them.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use nsl_core::{Code, Error};
use serde::Serialize;

use crate::{
    ProblemBody,
    catalogue::Catalogue,
    problem::{body, challenge},
};

/// The detail that names the standard's error; it is not shown among the others.
pub(crate) const ERROR: &str = "error";

#[derive(Serialize)]
struct Spoken<'a> {
    error: &'a str,
    error_description: String,
    #[serde(flatten)]
    problem: ProblemBody<'a>,
}

/// Gives a problem the body and the challenge that clients of OAuth 2.0 read.
pub(crate) fn reword(mut response: Response, error: &Error, catalogue: &Catalogue, instance: Option<&str>) -> Response {
    let named = error.details.get(ERROR).and_then(|name| name.as_str());
    let spoken = Spoken {
        error: named.unwrap_or(general(error.code)),
        error_description: error.message.chars().map(plain).collect(),
        problem: body(error, catalogue, instance),
    };
    let status = response.status();
    *response.body_mut() = Body::from(serde_json::to_vec(&spoken).expect("strings and JSON values serialise"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == 401 && challenge(error).is_none() {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"nsl\""));
    }
    response
}

fn general(code: Code) -> &'static str {
    match code {
        Code::Invalid | Code::NotFound | Code::Conflict => "invalid_request",
        Code::Unauthenticated => "invalid_client",
        Code::Forbidden => "access_denied",
        Code::Exhausted | Code::Timeout | Code::Unavailable => "temporarily_unavailable",
        Code::Internal => "server_error",
    }
}

// The standard leaves quotes, backslashes and all but ASCII out of descriptions.
fn plain(c: char) -> char {
    match c {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => c,
        _ => '?',
    }
}
