//! Bodies of forms, read in one way only, and how clients show themselves (RFC 6749 2.3.1).

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use nsl_api::{Revealed, oauth::ClientProof};
use nsl_core::{Code, Error, Result};

use super::rules::{invalid_request, spoken};

const LONGEST_NAME: usize = 64;

/// The fields of a form. Debug shows none of them: some are secrets.
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    /// No parameter comes twice (RFC 6749 3.2); one without a value counts as absent.
    pub(super) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let mut parts = kind.split(';').map(str::trim);
        let is_form = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        if !is_form || parts.any(|part| !part.eq_ignore_ascii_case("charset=utf-8")) {
            return Err(invalid_request("the body's type is not application/x-www-form-urlencoded"));
        }
        let mut fields = BTreeMap::new();
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) =
                pair.iter().position(|&byte| byte == b'=').map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            let (name, value) = (decode(name).ok_or_else(malformed)?, decode(value).ok_or_else(malformed)?);
            if name.len() > LONGEST_NAME {
                return Err(malformed());
            }
            if fields.insert(name, value).is_some() {
                return Err(invalid_request("a parameter is there twice"));
            }
        }
        Ok(Self(fields))
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    pub(super) fn need(&mut self, name: &'static str) -> Result<String> {
        self.take(name).ok_or_else(|| invalid_request(format!("{name} is missing")))
    }

    /// Refuses what would change the meaning of the request and is not known here.
    pub(super) fn refuse(&self, names: &[&str], error: &'static str) -> Result<()> {
        match names.iter().find(|&&name| self.0.get(name).is_some_and(|value| !value.is_empty())) {
            Some(name) => {
                Err(spoken(error, Error::new(Code::Invalid, "oauth.parameter", format!("{name} is not taken here"))))
            }
            None => Ok(()),
        }
    }

    /// The client, by its header or by the form, never by both.
    pub(super) fn client(&mut self, headers: &HeaderMap) -> Result<Option<ClientProof>> {
        self.refuse(&["client_assertion", "client_assertion_type"], "invalid_client")?;
        let (id, secret) = (self.take("client_id"), self.take("client_secret").map(Revealed));
        let basic = match headers.get(header::AUTHORIZATION) {
            Some(value) if value.as_bytes().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic ")) => {
                Some(basic(&value.as_bytes()[6..]).ok_or_else(|| invalid_request("the Basic header is malformed"))?)
            }
            _ => None,
        };
        match (basic, id, secret) {
            (None, None, None) => Ok(None),
            (None, Some(id), secret) => Ok(Some(ClientProof { id, secret })),
            (Some(basic), id, None) if id.as_ref().is_none_or(|id| *id == basic.id) => Ok(Some(basic)),
            _ => Err(invalid_request("the client is named in more than one way")),
        }
    }
}

fn malformed() -> Error {
    invalid_request("the form is malformed")
}

fn basic(encoded: &[u8]) -> Option<ClientProof> {
    let plain = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let at = plain.iter().position(|&byte| byte == b':')?;
    let (id, secret) = (decode(&plain[..at])?, decode(&plain[at + 1..])?);
    (!id.is_empty()).then(|| ClientProof { id, secret: (!secret.is_empty()).then_some(Revealed(secret)) })
}

/// Percent signs are followed by two digits, and all is UTF-8.
fn decode(text: &[u8]) -> Option<String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let mut decoded = [0];
                hex::decode_to_slice(digits, &mut decoded).ok()?;
                decoded[0]
            }
            byte => byte,
        });
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(body: &'static str) -> Result<Form> {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        Form::read(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]), &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_form_has_one_reading() {
        let mut form = read("grant_type=a%3Ab+c&&scope=&x").unwrap();
        assert_eq!(
            (form.take("grant_type").as_deref(), form.take("scope"), form.take("x")),
            (Some("a:b c"), None, None)
        );
        for bad in ["a=1&a=2", "a=1&%61=2", "a&a=1", "a=%", "a=%4", "a=%zz", "a=%ff", "%ff=a"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for kind in ["application/json", "", "application/x-www-form-urlencoded; charset=utf-16"] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert!(Form::read(&headers, &Bytes::new()).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_client_shows_itself_in_one_way() {
        let client = |body: &'static str, header: Option<&str>| {
            let mut headers = HeaderMap::new();
            header.map(|value| headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap()));
            read(body)
                .unwrap()
                .client(&headers)
                .map(|client| client.map(|client| (client.id, client.secret.map(|s| s.0))))
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let both = Some(("cli_1".to_owned(), Some("nss_1".to_owned())));
        assert_eq!(client("client_id=cli_1&client_secret=nss_1", None).unwrap(), both);
        assert_eq!(client("", Some(&basic("cli_1:nss_1"))).unwrap(), both);
        assert_eq!(client("client_id=cli_1", Some(&basic("cli_1:nss_1"))).unwrap(), both);
        assert_eq!(client("", Some(&basic("cli%5f1:nss%5F1"))).unwrap(), both);
        assert_eq!(client("", Some("Bearer a.b.c")).unwrap(), None);
        for (body, header) in [
            ("client_id=cli_2", Some(basic("cli_1:nss_1"))),
            ("client_secret=nss_1", Some(basic("cli_1:nss_1"))),
            ("client_secret=nss_1", None),
            ("client_assertion=x", None),
            ("", Some("Basic !".to_owned())),
            ("", Some(basic("cli_1"))),
            ("", Some(basic(":x"))),
        ] {
            assert!(client(body, header.as_deref()).is_err(), "{body} {header:?}");
        }
    }
}
