use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};
use nsl_core::Error;
use serde::de::DeserializeOwned;

use crate::{Problem, wording};

/// The variable parts of the path; a part of a wrong form is a problem, not plain text.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

/// The query parameters; a parameter of a wrong form is a problem, not plain text.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem(Error::invalid("request.path", rejection.body_text()))),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem(unfit(&rejection.body_text()))),
        }
    }
}

// "Failed to deserialize query string: <parameter>: <why>", where a parameter is at fault that was sent.
fn unfit(said: &str) -> Error {
    let said = said.split_once(": ").map_or(said, |(_, said)| said);
    let named = said.split_once(": ").filter(|(name, _)| !name.contains([' ', '`']));
    let (path, said) = named.unwrap_or(("", said));
    let (message, parameter) = wording::plain(path, said);
    Error::invalid("request.query", message).detail("parameter", parameter)
}
