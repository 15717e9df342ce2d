//! `If-Match` and `If-None-Match` (RFC 9110 §13): an entity tag is a version in quotes.

use axum::http::{HeaderMap, header};
use nsl_core::{Error, Result};

/// What a header asks of the current version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    Any,
    Of(Vec<i64>),
}

impl Tags {
    pub(super) fn has(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Of(versions) => versions.contains(&version),
        }
    }
}

fn read(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<Tags>> {
    let malformed =
        || Error::invalid("storage.etag_malformed", format!("the header {name} holds no entity tag of ours"));
    let mut versions = Vec::new();
    for value in headers.get_all(&name) {
        for tag in value.to_str().map_err(|_| malformed())?.split(',') {
            let tag = tag.trim();
            if tag == "*" {
                return Ok(Some(Tags::Any));
            }
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            let quoted = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let number =
                quoted.ok_or_else(|| match tag.bytes().all(|byte| byte.is_ascii_digit()) && !tag.is_empty() {
                    true => unquoted(&name),
                    false => malformed(),
                })?;
            // A tag of another form is nobody's version: it matches nothing.
            versions.push(number.parse().unwrap_or(-1));
        }
    }
    Ok((!versions.is_empty()).then_some(Tags::Of(versions)))
}

fn unquoted(name: &header::HeaderName) -> Error {
    let message = format!("the version in the header {name} lacks its quotes: write it as \"1\", not as 1");
    Error::invalid("storage.etag_malformed", message)
}

pub(super) fn none_match(headers: &HeaderMap) -> Result<Option<Tags>> {
    if headers.contains_key(header::IF_NONE_MATCH) { read(headers, header::IF_NONE_MATCH) } else { Ok(None) }
}

/// What a write has to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whatever the body says.
    Open,
    Version(i64),
    /// Some version, whichever.
    Existing,
    /// One of several.
    OneOf(Vec<i64>),
}

pub(super) fn wanted(headers: &HeaderMap) -> Result<Wanted> {
    if !headers.contains_key(header::IF_MATCH) && !headers.contains_key(header::IF_NONE_MATCH) {
        return Ok(Wanted::Open);
    }
    Ok(match (read(headers, header::IF_MATCH)?, none_match(headers)?) {
        (Some(Tags::Any), _) => Wanted::Existing,
        (Some(Tags::Of(versions)), _) => match versions[..] {
            [version] => Wanted::Version(version),
            _ => Wanted::OneOf(versions),
        },
        (None, Some(Tags::Any)) => Wanted::Version(0),
        // "Not this version" guards no write of ours: what it would allow is unknown.
        (None, Some(Tags::Of(_))) => {
            let message = "a write takes only * in If-None-Match";
            return Err(Error::invalid("storage.etag_malformed", message));
        }
        (None, None) => Wanted::Open,
    })
}

/// A conflict of versions as the answer to a header.
pub(super) fn failed(mut error: Error) -> Error {
    if error.slug == "storage.version_conflict" {
        error.slug = "storage.precondition_failed".into();
    }
    error
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn tags_are_versions_in_quotes() {
        let read = |value| none_match(&headers(&[(header::IF_NONE_MATCH, value)]));
        assert_eq!(read("\"3\"").unwrap(), Some(Tags::Of(vec![3])));
        assert_eq!(read("W/\"3\", \"4\"").unwrap(), Some(Tags::Of(vec![3, 4])));
        assert_eq!(read("*").unwrap(), Some(Tags::Any));
        assert_eq!(read("\"abc\"").unwrap(), Some(Tags::Of(vec![-1])));
        for (bare, why) in [("3", "lacks its quotes"), ("W/3", "lacks its quotes"), ("abc", "no entity tag of ours")] {
            let refused = read(bare).unwrap_err();
            assert!(refused.slug == "storage.etag_malformed" && refused.message.contains(why), "{bare}: {refused}");
        }
        assert_eq!(none_match(&HeaderMap::new()).unwrap(), None);
        assert!(Tags::Any.has(9) && Tags::Of(vec![1, 2]).has(2) && !Tags::Of(vec![1]).has(2));
    }

    #[test]
    fn a_write_names_what_it_wants_to_find() {
        let wanted = |name, value| super::wanted(&headers(&[(name, value)]));
        assert_eq!(wanted(header::IF_MATCH, "\"7\"").unwrap(), Wanted::Version(7));
        assert_eq!(wanted(header::IF_MATCH, "*").unwrap(), Wanted::Existing);
        assert_eq!(wanted(header::IF_MATCH, "\"7\",\"8\"").unwrap(), Wanted::OneOf(vec![7, 8]));
        assert_eq!(wanted(header::IF_NONE_MATCH, "*").unwrap(), Wanted::Version(0));
        assert!(wanted(header::IF_NONE_MATCH, "\"7\"").is_err());
        assert_eq!(super::wanted(&HeaderMap::new()).unwrap(), Wanted::Open);
    }
}
