use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use nsl_core::{Code, Error, scan};
use serde::de::DeserializeOwned;

use crate::{Admitted, Problem, wording};

/// What a body may have when nobody said otherwise: a value of 1 MiB and what surrounds it.
pub(crate) const DEFAULT_BODY_BYTES: usize = 1_310_720;

/// A JSON body that every reader understands alike: `application/json`, UTF-8, no key twice in an
/// object, at most 64 levels, nothing after the value. Problems name line, column and path.
#[derive(Clone, Copy, Debug)]
pub struct Strict<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Strict<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_type(request.headers())?;
        let limit = request.extensions().get::<Admitted>().map_or(DEFAULT_BODY_BYTES, |admitted| admitted.body_bytes);
        let body = axum::body::to_bytes(request.into_body(), limit).await.map_err(|error| {
            Error::invalid("request.too_large", format!("the body has more than {limit} bytes"))
                .detail("limit_bytes", limit)
                .because(error)
        })?;
        Ok(Self(parse(&body)?))
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let refuse = |slug, message: &str| Err(Error::new(Code::Invalid, slug, message));
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    if !parts.next().unwrap_or_default().eq_ignore_ascii_case("application/json") {
        return refuse("content.type", "the body's type is not application/json");
    }
    for parameter in parts {
        let charset = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        if charset.is_some_and(|(_, value)| !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")) {
            return refuse("content.type", "the body's character set is not UTF-8");
        }
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => refuse("content.encoding", "the body is sent compressed"),
        _ => Ok(()),
    }
}

/// Reads strict JSON; also for text that did not come as a body.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    let utf8 = std::str::from_utf8(text).map_err(|error| {
        let (line, column) = scan::place(text, error.valid_up_to());
        Error::invalid("json.not_utf8", "the body is not UTF-8").detail("line", line).detail("column", column)
    })?;
    scan::scan(text)?;
    // Serde would take the fields of a structure from an array, in order.
    if utf8.trim_start().starts_with('[') {
        let (line, column) = scan::place(text, utf8.len() - utf8.trim_start().len());
        let error = Error::invalid("json.unfit", "the body is an array, not an object");
        return Err(error.detail("line", line).detail("column", column));
    }
    serde_json::from_str(utf8).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let refusal = match error.is_data() {
            true => unfit::<T>(utf8, error),
            false => Error::invalid("json.malformed", error.to_string()),
        };
        refusal.detail("line", line).detail("column", column)
    })
}

// Reads once more, slower: who fits pays nothing for the names of those who don't.
fn unfit<T: DeserializeOwned>(text: &str, error: serde_json::Error) -> Error {
    let again = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text));
    let (path, said) = match again {
        Err(traced) => (traced.path().to_string(), traced.into_inner().to_string()),
        Ok(_) => (String::new(), error.to_string()),
    };
    let (message, field) = wording::plain(path.trim_start_matches('.'), &said);
    Error::invalid("json.unfit", message).detail("field", field)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[allow(dead_code, reason = "only its form matters")]
        key: String,
        value: Box<RawValue>,
    }

    #[test]
    fn values_pass_byte_for_byte_and_flaws_have_a_place() {
        let body: Body = parse(br#"{"key":"k","value": {"n": 1e400, "t":"\u0041"} }"#).unwrap();
        assert_eq!(body.value.get(), r#"{"n": 1e400, "t":"\u0041"}"#);
        for (text, slug) in [
            (&br#"{"key":"k","value":1} x"#[..], "json.malformed"),
            (br#"{"key":"k","value":1}{}"#, "json.malformed"),
            (br#"{"key":"k","value":01}"#, "json.malformed"),
            (br#"{"key":"k","value":[1,]}"#, "json.malformed"),
            (b"{\"key\":\"k\",\"value\":\"a\tb\"}", "json.malformed"),
            (b"\xef\xbb\xbf{}", "json.malformed"),
            (b"", "json.malformed"),
            (br#"{"key":7,"value":1}"#, "json.unfit"),
            (br#"{"key":"k"}"#, "json.unfit"),
            (br#"["k",1]"#, "json.unfit"),
            (br#"{"key":"k","value":1,"more":1}"#, "json.unfit"),
            (b"{\"key\":\"\xff\",\"value\":1}", "json.not_utf8"),
            (br#"{"key":"k","value":{"a":1,"a":2}}"#, "json.duplicate_key"),
            (br#"{"key":"k","value":"\udead"}"#, "json.surrogate"),
        ] {
            let error = parse::<Body>(text).unwrap_err();
            assert_eq!(error.slug, slug, "{}", String::from_utf8_lossy(text));
            assert!(error.details["line"].as_u64().is_some() && error.details["column"].as_u64().is_some());
        }
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_path_and_never_said_back() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code, reason = "only its form matters")]
        struct Batch {
            items: Vec<Body>,
            owner: Option<nsl_core::Subject>,
            limit: Option<u32>,
        }
        for (text, message, field) in [
            (r#"{}"#, "items is missing", "items"),
            (r#"{"items":[{"key":"k"}]}"#, "items[0].value is missing", "items[0].value"),
            (
                r#"{"items":[{"key":"k","value":1},{"key":7}]}"#,
                "items[1].key wants a string, not a number",
                "items[1].key",
            ),
            (r#"{"items":"hunter2"}"#, "items wants an array, not a string", "items"),
            (r#"{"items":[],"itmes":1}"#, "itmes is not known: known are items, owner, limit", "itmes"),
            (
                r#"{"items":[{"key":"k","value":1,"vlaue":2}]}"#,
                "items[0].vlaue is not known: known are key, value",
                "items[0].vlaue",
            ),
            (r#"{"items":[],"owner":"hunter 2"}"#, "owner does not fit: not a valid sub id", "owner"),
            (r#"{"items":[],"limit":-1}"#, "limit wants a whole number from 0 to 4294967295", "limit"),
            (r#""hunter2""#, "the body wants an object, not a string", "the body"),
        ] {
            let error = parse::<Batch>(text.as_bytes()).unwrap_err();
            let shown = (error.message.as_str(), error.details["field"].as_str());
            assert_eq!((shown, error.slug.as_ref()), ((message, Some(field)), "json.unfit"), "{text}");
        }
    }

    #[test]
    fn only_plain_json_is_taken() {
        let check = |kind: Option<&'static str>, encoding: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            kind.map(|kind| headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind)));
            encoding.map(|encoding| headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding)));
            check_type(&headers).err().map(|error| error.slug)
        };
        for kind in ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert_eq!(check(Some(kind), None), None, "{kind}");
        }
        for kind in [
            "text/plain",
            "application/jsonp",
            "application/json; charset=utf-16",
            "",
            "application/x-www-form-urlencoded",
        ] {
            assert_eq!(check(Some(kind), None).as_deref(), Some("content.type"), "{kind}");
        }
        assert_eq!(check(None, None).as_deref(), Some("content.type"));
        assert_eq!(check(Some("application/json"), Some("gzip")).as_deref(), Some("content.encoding"));
    }
}
