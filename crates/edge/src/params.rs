use std::borrow::Cow;

use axum::{
    extract::{self, FromRequestParts, RawPathParams, path::ErrorKind, rejection::PathRejection},
    http::request::Parts,
};
use nsl_core::Error;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, Unexpected},
};

use crate::{Problem, wording};

/// How many items of a list to give: 1 to `MOST`. Anything else is refused with these bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<const MOST: u32>(u32);

impl<const MOST: u32> Limit<MOST> {
    /// What was asked for, or `usual`.
    pub fn or(asked: Option<Self>, usual: u32) -> u32 {
        asked.map_or(usual, |limit| limit.0)
    }
}

impl<'de, const MOST: u32> Deserialize<'de> for Limit<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bounds = format!("a whole number from 1 to {MOST}");
        let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
        number.map(Self).ok_or_else(|| D::Error::invalid_value(Unexpected::Other("this"), &bounds.as_str()))
    }
}

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
            Err(rejection) => {
                let named = RawPathParams::from_request_parts(parts, state).await.ok();
                Err(Problem(misplaced(&rejection, named.as_ref())))
            }
        }
    }
}

// A part that is none of a few words is told with the words that it may be, in ours.
fn misplaced(rejection: &PathRejection, named: Option<&RawPathParams>) -> Error {
    let said = match rejection {
        PathRejection::FailedToDeserializePathParams(failed) => match failed.kind() {
            ErrorKind::Message(said) | ErrorKind::DeserializeError { message: said, .. } => Some(said),
            _ => None,
        },
        _ => None,
    };
    let Some(rest) = said.and_then(|said| said.strip_prefix("unknown variant ")) else {
        return Error::invalid("request.path", rejection.body_text());
    };
    let sent = rest.split('`').nth(1);
    let part = named.and_then(|named| named.iter().find(|(_, value)| Some(*value) == sent)).map(|(name, _)| name);
    let (part, known) = (part.unwrap_or("path"), wording::known(rest));
    let message = match known.split(", ").collect::<Vec<_>>()[..] {
        [one, other] => format!("the {part} is neither {one} nor {other}"),
        _ => format!("the {part} is none of {known}"),
    };
    Error::invalid("request.path", message).detail("parameter", part)
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

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Paging {
        limit: Option<Limit<100>>,
    }

    #[tokio::test]
    async fn a_limit_out_of_bounds_is_refused_with_them() {
        let asked = async |query: &str| {
            let (mut parts, ()) = Request::get(format!("/x?{query}")).body(()).unwrap().into_parts();
            let found = Query::<Paging>::from_request_parts(&mut parts, &()).await;
            found.map(|Query(paging)| Limit::or(paging.limit, 50)).map_err(|Problem(error)| error)
        };
        for (query, limit) in [("", 50), ("limit=1", 1), ("limit=100", 100)] {
            assert_eq!(asked(query).await.unwrap(), limit, "{query}");
        }
        for query in ["limit=0", "limit=101", "limit=-1", "limit=4294967296", "limit=x", "limit="] {
            let refused = asked(query).await.unwrap_err();
            assert_eq!(
                (&*refused.slug, &*refused.message, refused.details["parameter"].as_str()),
                ("request.query", "limit wants a whole number from 1 to 100", Some("limit")),
                "{query}"
            );
        }
    }
}
