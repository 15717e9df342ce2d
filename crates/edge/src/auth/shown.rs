use axum::http::{HeaderMap, header};
use nsl_core::{Code, Error};

const LONGEST_KEY: usize = 128;

/// The credential that a request shows, not yet checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    Nothing,
    Key(&'a str),
    Token(&'a str),
}

impl<'a> Shown<'a> {
    /// Two credentials in one request are refused: it would be open which of them counts.
    pub(crate) fn of(headers: &'a HeaderMap) -> Result<Self, Error> {
        let mut bearers = headers.get_all(header::AUTHORIZATION).iter();
        let mut keys = headers.get_all("x-api-key").iter();
        let (bearer, key) = match (bearers.next(), keys.next()) {
            (None, None) => return Ok(Self::Nothing),
            (bearer, key) => (bearer, key),
        };
        if bearers.next().is_some() || keys.next().is_some() || (bearer.is_some() && key.is_some()) {
            return Err(Error::invalid("auth.ambiguous", "more than one credential was sent"));
        }
        let text = bearer.or(key).and_then(|value| value.to_str().ok()).ok_or_else(malformed)?;
        let credential = match bearer {
            None => text,
            Some(_) => {
                let (scheme, rest) = text.split_once(' ').ok_or_else(no_scheme)?;
                let rest = rest.trim_start_matches(' ');
                // A key proves nothing of who holds it, whatever scheme it comes by.
                let fits = scheme.eq_ignore_ascii_case("bearer")
                    || (scheme.eq_ignore_ascii_case("dpop") && !rest.starts_with("nsl_"));
                if !fits {
                    return Err(malformed());
                }
                rest
            }
        };
        let is_key = credential.starts_with("nsl_");
        let key_fits = credential.len() <= LONGEST_KEY
            && credential.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        match (is_key, key_fits, bearer.is_some()) {
            (true, true, _) => Ok(Self::Key(credential)),
            (false, _, true) if credential.contains('.') => Ok(Self::Token(credential)),
            _ => Err(malformed()),
        }
    }
}

fn no_scheme() -> Error {
    let message = "the Authorization header names no scheme: write Bearer and a space before the credential";
    Error::new(Code::Unauthenticated, "auth.malformed", message)
}

fn malformed() -> Error {
    Error::new(Code::Unauthenticated, "auth.malformed", "the credential has a wrong form")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn shown(fields: &[(&'static str, &'static str)]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Shown::of(&headers).map(|shown| format!("{shown:?}")).map_err(|error| error.slug.into_owned())
    }

    #[test]
    fn one_credential_in_one_of_three_forms() {
        for (fields, expected) in [
            (&[][..], "Nothing"),
            (&[("authorization", "Bearer nsl_abc")], r#"Key("nsl_abc")"#),
            (&[("authorization", "bearer  nsl_abc")], r#"Key("nsl_abc")"#),
            (&[("x-api-key", "nsl_abc")], r#"Key("nsl_abc")"#),
            (&[("authorization", "Bearer a.b.c")], r#"Token("a.b.c")"#),
            (&[("authorization", "DPoP a.b.c")], r#"Token("a.b.c")"#),
        ] {
            assert_eq!(shown(fields).as_deref(), Ok(expected));
        }
        for (fields, slug) in [
            (&[("authorization", "Bearer nsl_a"), ("x-api-key", "nsl_a")][..], "auth.ambiguous"),
            (&[("authorization", "Bearer nsl_a"), ("x-api-key", "")], "auth.ambiguous"),
            (&[("authorization", "Bearer a.b.c"), ("authorization", "Bearer nsl_a")], "auth.ambiguous"),
            (&[("x-api-key", "nsl_a"), ("x-api-key", "nsl_b")], "auth.ambiguous"),
            (&[("authorization", "Basic bnNsOm5zbA==")], "auth.malformed"),
            (&[("authorization", "nsl_abc")], "auth.malformed"),
            (&[("authorization", "DPoP nsl_abc")], "auth.malformed"),
            (&[("authorization", "Token a.b.c")], "auth.malformed"),
            (&[("authorization", "Bearer ")], "auth.malformed"),
            (&[("authorization", "Bearer nsl_a b")], "auth.malformed"),
            (&[("authorization", "Bearer nsl_a,nsl_b")], "auth.malformed"),
            (&[("x-api-key", "a.b.c")], "auth.malformed"),
            (&[("x-api-key", "")], "auth.malformed"),
        ] {
            assert_eq!(shown(fields).as_ref().map_err(String::as_str), Err(slug), "{fields:?}");
        }
        let bare = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("nsl_abc"))]);
        assert!(Shown::of(&bare).unwrap_err().message.contains("write Bearer"));
    }
}
