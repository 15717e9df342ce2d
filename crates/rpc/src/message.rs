use std::{future::Future, time::Duration};

use axum::{
    body::Bytes,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use nsl_core::{Code, Cx, Error, Result, WireCx};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::{Instrument, Span};

use crate::{
    method::{Ending, Method, Via},
    observe::{adopt, observe},
};

/// One call on the internal wire. Fields that the reader does not know are ignored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Call<Q> {
    pub(crate) cx: WireCx,
    pub(crate) request: Q,
}

/// Answers one call of a peer: reads it, runs it under what is left of its deadline, writes the outcome.
#[doc(hidden)]
pub async fn answer<Q, R, F>(
    method: &'static Method,
    body: Bytes,
    span: impl FnOnce(&Cx) -> Span,
    run: impl FnOnce(Cx, Q) -> F,
) -> Response
where
    Q: DeserializeOwned,
    R: Serialize,
    F: Future<Output = Result<R>> + Send,
{
    let call = match serde_json::from_slice::<Call<Q>>(&body) {
        Ok(call) => call,
        Err(error) => {
            let error =
                Error::new(Code::Internal, "rpc.malformed", format!("{method} does not read like this")).because(error);
            method.count(Via::Served, Ending::Failed(error.code), Duration::ZERO);
            tracing::warn!(%method, cause = ?error.cause(), "a peer's call cannot be read");
            return respond::<()>(Err(error));
        }
    };
    drop(body);
    let cx = Cx::from(call.cx);
    let span = span(&cx);
    adopt(&span, &cx);
    let (deadline, request) = (cx.deadline, call.request);
    respond(observe(method, Via::Served, deadline, run(cx, request)).instrument(span).await)
}

fn respond<R: Serialize>(result: Result<R>) -> Response {
    let (status, body) = match result {
        Ok(reply) => match serde_json::to_vec(&reply) {
            Ok(body) => (StatusCode::OK, body.into()),
            Err(error) => {
                tracing::error!(cause = %error, "a reply cannot be written");
                refuse(Error::internal(error))
            }
        },
        Err(error) => refuse(error),
    };
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

pub(crate) fn refuse(error: Error) -> (StatusCode, Bytes) {
    let status = StatusCode::from_u16(error.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&error).expect("an error is text, numbers and JSON values");
    (status, body.into())
}
