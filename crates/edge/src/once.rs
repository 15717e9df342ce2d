use aws_lc_rs::digest::{Context, SHA256};
use axum::http::{HeaderMap, Method, Uri};
use nsl_core::{Error, Once};

const LONGEST_KEY: usize = 255;

/// The idempotency key of a request that changes something, if it has one.
pub(crate) fn key(method: &Method, headers: &HeaderMap) -> Result<Option<String>, Error> {
    if !matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return Ok(None);
    }
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let fits =
        |text: &&str| (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match (value.to_str().ok().filter(fits), values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => Err(Error::invalid(
            "once.malformed",
            "the idempotency key is not 1 to 255 visible ASCII characters, sent once",
        )),
    }
}

/// Ties a key to its request: the same key with another method, address or body is a mistake.
pub(crate) fn tie(key: String, method: &Method, uri: &Uri, body: &[u8]) -> Once {
    let mut hash = Context::new(&SHA256);
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    // Neither a method nor a target has a line end, so the three parts cannot run into each other.
    for part in [method.as_str().as_bytes(), b"\n", target.as_bytes(), b"\n", body] {
        hash.update(part);
    }
    Once { key: key.into(), fingerprint: hex::encode(hash.finish()).into() }
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
        assert_eq!(key(&Method::POST, &with(&[b"a-1"])).unwrap().as_deref(), Some("a-1"));
        assert!(key(&Method::PUT, &with(&[&long[..255]])).unwrap().is_some());
        assert_eq!(key(&Method::GET, &with(&[b"a b"])).unwrap(), None);
        assert_eq!(key(&Method::POST, &with(&[])).unwrap(), None);
        for bad in [&[&b""[..]][..], &[b"a b"], &[&long], &[b"\xc3\xa9"], &[b"a", b"a"]] {
            assert_eq!(key(&Method::POST, &with(bad)).unwrap_err().slug, "once.malformed");
        }
    }

    #[test]
    fn the_fingerprint_tells_requests_apart() {
        let of = |method: &Method, uri: &'static str, body: &[u8]| {
            tie("k".into(), method, &Uri::from_static(uri), body).fingerprint
        };
        let one = of(&Method::POST, "/a?b=c", b"x");
        assert_eq!(one.len(), 64);
        assert_eq!(one, of(&Method::POST, "http://host/a?b=c", b"x"), "whom it was sent to does not matter");
        for other in
            [of(&Method::PUT, "/a?b=c", b"x"), of(&Method::POST, "/a?b=d", b"x"), of(&Method::POST, "/a?b=c", b"")]
        {
            assert_ne!(one, other);
        }
    }
}
