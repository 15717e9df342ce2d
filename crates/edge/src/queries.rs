//! Which query parameters each operation takes: what its description names, and nothing else.

use std::sync::Arc;

use axum::{
    extract::Query,
    http::{Method, Uri},
};
use nsl_core::Error;
use serde_json::Value;

use crate::docs::operations;

/// An echo of more than this, or of other characters, would be of no help.
const LONGEST_NAME: usize = 40;

/// The query parameters of all operations that are described.
#[derive(Clone, Default)]
pub(crate) struct Queries(Arc<[(String, Taken)]>);

/// What one operation takes.
#[derive(Clone, Debug, PartialEq)]
struct Taken {
    /// As OpenAPI writes it, in lower case.
    method: String,
    names: Arc<[String]>,
}

/// What the operations of one route take. A method that is not described takes anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OfRoute(Vec<Taken>);

impl Queries {
    pub(crate) fn of(openapi: &Value) -> Self {
        let taken = operations(openapi).map(|(route, method, operation)| {
            let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
            let in_query = parameters.filter(|parameter| parameter["in"] == "query");
            let names = in_query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect();
            (route.to_owned(), Taken { method: method.to_owned(), names })
        });
        Self(taken.collect())
    }

    pub(crate) fn of_route(&self, route: &str) -> OfRoute {
        OfRoute(self.0.iter().filter(|(of, _)| of == route).map(|(_, taken)| taken.clone()).collect())
    }
}

impl OfRoute {
    /// Refuses a parameter that nothing would read: whoever sent it believes that it did something.
    pub(crate) fn check(&self, method: &Method, uri: &Uri) -> Result<(), Error> {
        if uri.query().is_none_or(str::is_empty) {
            return Ok(());
        }
        let of = |method: &str| self.0.iter().find(|taken| taken.method.eq_ignore_ascii_case(method));
        // What answers GET answers HEAD, unless that has an answer of its own.
        let taken = of(method.as_str()).or_else(|| of("get").filter(|_| *method == Method::HEAD));
        let Some(taken) = taken else { return Ok(()) };
        // A query that does not read at all is told so by whoever reads it.
        let Ok(Query(sent)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else { return Ok(()) };
        match sent.iter().find(|(name, _)| !taken.names.contains(name)) {
            Some((name, _)) => Err(unknown(name, &taken.names)),
            None => Ok(()),
        }
    }
}

fn unknown(name: &str, known: &[String]) -> Error {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let named = (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(plain);
    let what = if named { format!("the query parameter {name}") } else { "a query parameter".to_owned() };
    let instead = match known {
        [] => "this takes none".to_owned(),
        known => format!("this takes {}", known.join(", ")),
    };
    let error = Error::invalid("request.query_unknown", format!("{what} is not known here: {instead}"));
    let error = error.detail("known", known.to_vec());
    if named { error.detail("parameter", name) } else { error }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn queries() -> Queries {
        let query = |name: &str| json!({ "name": name, "in": "query" });
        Queries::of(&json!({ "paths": {
            "/v1/a": {
                "get": { "parameters": [query("limit"), { "name": "x-y", "in": "header" }, query("after")] },
                "post": {},
            },
            "/v1/b": { "get": { "parameters": [query("fresh")] }, "head": { "parameters": [] } },
        } }))
    }

    fn slug(route: &str, method: &Method, target: &'static str) -> String {
        let checked = queries().of_route(route).check(method, &Uri::from_static(target));
        checked.err().map_or_else(|| "ok".to_owned(), |error| error.message)
    }

    #[test]
    fn what_is_not_described_is_refused_by_its_name() {
        let (get, post, head) = (&Method::GET, &Method::POST, &Method::HEAD);
        for target in ["/v1/a", "/v1/a?", "/v1/a?limit=3&after=x", "/v1/a?%6cimit=3", "/v1/a?&limit=3&"] {
            assert_eq!(slug("/v1/a", get, target), "ok", "{target}");
        }
        assert_eq!(slug("/v1/a", head, "/v1/a?limit=3"), "ok");
        for (method, target) in [(get, "/v1/a?limit=3&lmit=4"), (get, "/v1/a?lmit"), (head, "/v1/a?lmit=1")] {
            let want = "the query parameter lmit is not known here: this takes limit, after";
            assert_eq!(slug("/v1/a", method, target), want, "{target}");
        }
        let want = "the query parameter limit is not known here: this takes none";
        assert_eq!(slug("/v1/a", post, "/v1/a?limit=3"), want);
        assert_eq!(slug("/v1/b", head, "/v1/b?fresh=true"), want.replace("limit", "fresh"), "it has a list of its own");
        assert_eq!(slug("/v1/none", get, "/v1/none?x=y"), "ok", "nothing is known of it");
        assert_eq!(slug("/v1/a", &Method::PUT, "/v1/a?x=y"), "ok", "which is refused for its method");
    }

    #[test]
    fn only_a_name_is_said_back() {
        for target in ["/v1/a?nsl_0123456789012345678901234567890123456789012", "/v1/a?a%20b=1", "/v1/a?=x"] {
            let message = slug("/v1/a", &Method::GET, target);
            assert_eq!(message, "a query parameter is not known here: this takes limit, after", "{target}");
        }
    }
}
