use aws_lc_rs::digest::{Context, SHA256};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use nsl_core::{Error, Once};

/// On an answer that repeats the outcome of an earlier request under the same key.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 255;

/// What a request's head says of being done once.
#[derive(Debug)]
pub(crate) struct Asked {
    key: String,
    /// The preconditions, as they were sent: they decide what a request does as much as its body.
    conditions: Vec<u8>,
}

/// The idempotency key of a request that changes something, if it has one, and what belongs to it.
pub(crate) fn key(method: &Method, headers: &HeaderMap) -> Result<Option<Asked>, Error> {
    if !matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return Ok(None);
    }
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let fits =
        |text: &&str| (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match (value.to_str().ok().filter(fits), values.next()) {
        (Some(text), None) => Ok(Some(Asked { key: text.to_owned(), conditions: conditions(headers) })),
        _ => Err(Error::invalid(
            "once.malformed",
            "the idempotency key is not 1 to 255 visible ASCII characters, sent once",
        )),
    }
}

// One line for each, so none where there are none.
fn conditions(headers: &HeaderMap) -> Vec<u8> {
    let mut lines = Vec::new();
    for name in [header::IF_MATCH, header::IF_NONE_MATCH] {
        for value in headers.get_all(&name) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"] {
                lines.extend_from_slice(part);
            }
        }
    }
    lines
}

/// Ties a key to its request: the same key with another method, address, precondition or body is a mistake.
pub(crate) fn tie(asked: Asked, method: &Method, uri: &Uri, body: &[u8]) -> Once {
    let mut hash = Context::new(&SHA256);
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    // Neither a method, a target nor a header has a line end, and an empty line ends them: no part can run into
    // another.
    for part in [method.as_str().as_bytes(), b"\n", target.as_bytes(), b"\n", &asked.conditions, b"\n", body] {
        hash.update(part);
    }
    Once { key: asked.key.into(), fingerprint: hex::encode(hash.finish()).into() }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("idempotency-key", HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn keys_are_visible_and_single() {
        let long = [b'k'; 256];
        assert_eq!(key(&Method::POST, &with(&[b"a-1"])).unwrap().unwrap().key, "a-1");
        assert!(key(&Method::PUT, &with(&[&long[..255]])).unwrap().is_some());
        assert!(key(&Method::GET, &with(&[b"a b"])).unwrap().is_none());
        assert!(key(&Method::POST, &with(&[])).unwrap().is_none());
        for bad in [&[&b""[..]][..], &[b"a b"], &[&long], &[b"\xc3\xa9"], &[b"a", b"a"]] {
            assert_eq!(key(&Method::POST, &with(bad)).unwrap_err().slug, "once.malformed");
        }
    }

    #[test]
    fn the_fingerprint_tells_requests_apart() {
        let on = |conditions: &[(&'static str, &'static str)], method: &Method, uri: &'static str, body: &[u8]| {
            let mut headers = with(&[b"k"]);
            for (name, value) in conditions {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let asked = key(&Method::POST, &headers).unwrap().unwrap();
            tie(asked, method, &Uri::from_static(uri), body).fingerprint
        };
        let of = |method: &Method, uri: &'static str, body: &[u8]| on(&[], method, uri, body);
        let one = of(&Method::POST, "/a?b=c", b"x");
        assert_eq!(one.len(), 64);
        assert_eq!(one, of(&Method::POST, "http://host/a?b=c", b"x"), "whom it was sent to does not matter");
        for other in
            [of(&Method::PUT, "/a?b=c", b"x"), of(&Method::POST, "/a?b=d", b"x"), of(&Method::POST, "/a?b=c", b"")]
        {
            assert_ne!(one, other);
        }
        let conditions: [&[(&str, &str)]; 5] = [
            &[("if-match", "\"1\"")],
            &[("if-match", "\"2\"")],
            &[("if-none-match", "\"1\"")],
            &[("if-none-match", "*")],
            &[("if-match", "\"1\""), ("if-none-match", "*")],
        ];
        let mut seen = vec![one];
        for conditions in conditions {
            let other = on(conditions, &Method::POST, "/a?b=c", b"x");
            assert_eq!(other, on(conditions, &Method::POST, "/a?b=c", b"x"));
            assert!(!seen.contains(&other), "{conditions:?}");
            seen.push(other);
        }
        // What stands in the body is no header.
        assert_ne!(of(&Method::POST, "/a", b"if-match: *\n\nx"), on(&[("if-match", "*")], &Method::POST, "/a", b"x"));
    }
}
