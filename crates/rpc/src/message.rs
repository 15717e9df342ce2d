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
    /// The caller understands [`REPLAYED`].
    #[serde(default)]
    pub(crate) heeds_replays: bool,
}

/// A reply that repeats an earlier outcome under an idempotency key. The proof of a peer covers it, as any status.
pub(crate) const REPLAYED: StatusCode = StatusCode::ALREADY_REPORTED;

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
            return respond::<()>(Err(error), StatusCode::OK);
        }
    };
    drop(body);
    let cx = Cx::from(call.cx);
    let span = span(&cx);
    adopt(&span, &cx);
    let (deadline, request, replay) = (cx.deadline, call.request, cx.replay.clone());
    let done = observe(method, Via::Served, deadline, run(cx, request)).instrument(span).await;
    let is_told = call.heeds_replays && replay.is_replay();
    respond(done, if is_told { REPLAYED } else { StatusCode::OK })
}

fn respond<R: Serialize>(result: Result<R>, success: StatusCode) -> Response {
    let (status, body) = match result {
        Ok(reply) => match serde_json::to_vec(&reply) {
            Ok(body) => (success, body.into()),
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
