//! What a request ended in: worded for its caller, logged for us, counted when it was a refusal.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use nsl_core::{Code, Error, Trace};

use crate::{
    catalogue::Catalogue,
    problem::{Fault, render},
};

/// A detail that a service adds to an error to say that it refused, although its answer looks like
/// something else: "not found" for what exists and may not be seen. It is counted and never shown.
pub(crate) const REFUSED: &str = "refused";

/// Makes every answer that is no success a problem with the request's id in it.
pub(crate) fn word(
    answer: Result<Response, Error>,
    catalogue: &Catalogue,
    trace: &Trace,
    oauth: bool,
) -> (Response, Option<Arc<Error>>) {
    let instance = Some(trace.request_id.as_str());
    let mut original = match answer {
        Err(error) => {
            let response = speak(&error, catalogue, instance, oauth);
            return (response, Some(Arc::new(error)));
        }
        Ok(response) => response,
    };
    let error = match original.extensions_mut().remove::<Fault>() {
        Some(Fault(error)) => error,
        None if is_plain_failure(&original) => Arc::new(guess(original.status())),
        None => return (original, None),
    };
    if catalogue.find(&error.slug).is_none() {
        // The caller can't look it up: a mistake of ours, or a newer peer's word.
        tracing::warn!(error.code = %error.slug, "a problem is not in the catalogue");
    }
    let mut response = speak(&error, catalogue, instance, oauth);
    for (name, value) in original.headers() {
        if name != header::CONTENT_LENGTH && !response.headers().contains_key(name) {
            response.headers_mut().append(name, value.clone());
        }
    }
    (response, Some(error))
}

fn speak(error: &Error, catalogue: &Catalogue, instance: Option<&str>, oauth: bool) -> Response {
    let response = render(error, catalogue, instance);
    if oauth { crate::oauth::reword(response, error, catalogue, instance) } else { response }
}

// An answer that did not come from our own error type: a rejection of the framework, a bare status.
fn is_plain_failure(response: &Response) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error()) && !is_problem(response.headers())
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE) == Some(&HeaderValue::from_static("application/problem+json"))
}

fn guess(status: StatusCode) -> Error {
    match status {
        StatusCode::UNAUTHORIZED => crate::caller::credential_missing(),
        StatusCode::FORBIDDEN => {
            Error::new(Code::Forbidden, "auth.scope_missing", "the credential does not allow this")
        }
        StatusCode::NOT_FOUND => Error::new(Code::NotFound, "route.unknown", "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => Error::invalid("route.method", "this path does not take this method"),
        StatusCode::REQUEST_TIMEOUT => {
            Error::new(Code::Timeout, "request.too_slow", "the request did not arrive in time")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Error::invalid("request.too_large", "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::invalid("content.type", "the body's type is not taken here"),
        StatusCode::UNPROCESSABLE_ENTITY => Error::invalid("request.refused", "the request was refused"),
        StatusCode::SERVICE_UNAVAILABLE => Error::new(Code::Unavailable, "overloaded", "the server has too much to do")
            .retry_after(std::time::Duration::from_secs(1)),
        status if status.is_server_error() => Error::internal(anyhow::anyhow!("a handler answered {status}")),
        _ => Error::invalid("request.invalid", "the request cannot be understood"),
    }
}

pub(crate) fn is_refusal(error: &Error, status: u16) -> bool {
    matches!(status, 401 | 403 | 429 | 507) || error.details.contains_key(REFUSED)
}

/// Says what is behind a failure, once, here; a cause that a service had is logged there already.
pub(crate) fn log(error: &Error, status: u16, span: &tracing::Span) {
    let Some(cause) = error.cause() else { return };
    match status {
        500 => {
            tracing::error!(parent: span, error.code = %error.slug, cause = format_args!("{cause:#}"), "request failed")
        }
        501.. => {
            tracing::warn!(parent: span, error.code = %error.slug, cause = format_args!("{cause:#}"), "request failed")
        }
        _ => {
            tracing::debug!(parent: span, error.code = %error.slug, cause = format_args!("{cause:#}"), "request refused")
        }
    }
}
