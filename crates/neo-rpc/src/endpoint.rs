//! Where a node is, and how that is written without giving a credential away.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Url;

use crate::error::{Error, Result};

/// The URL of a node. Its text, for logs and errors, has scheme, host and port only: user, password, path and query may
/// hold a credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    credentials: Option<String>,
}

impl Endpoint {
    /// Reads a URL of `http` or `https`.
    pub fn http(url: &str) -> Result<Self> {
        Self::read(url, &["http", "https"])
    }

    /// Reads a URL of `ws` or `wss`.
    pub fn websocket(url: &str) -> Result<Self> {
        Self::read(url, &["ws", "wss"])
    }

    fn read(url: &str, schemes: &[&str]) -> Result<Self> {
        // The text may be a credential, so the error says nothing of it.
        let wrong = |why: &str| Error::Settings(format!("the URL of a node: {why}"));
        let mut url = Url::parse(url.trim()).map_err(|error| wrong(&error.to_string()))?;
        if !schemes.contains(&url.scheme()) {
            return Err(wrong(&format!("the scheme must be {}", schemes.join(" or "))));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("no host"));
        }
        let credentials = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let plain = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
            format!("Basic {}", STANDARD.encode(plain))
        });
        // Both fit a URL that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Self { url, credentials })
    }

    /// Where the same node takes websocket connections: at the path `/ws`, unless the URL has one of its own.
    pub fn as_websocket(&self) -> Self {
        let mut url = self.url.clone();
        let scheme = if url.scheme() == "https" || url.scheme() == "wss" { "wss" } else { "ws" };
        // A change between schemes that both have a host and a known port never fails.
        let _ = url.set_scheme(scheme);
        if matches!(url.path(), "" | "/") {
            url.set_path("/ws");
        }
        Self { url, credentials: self.credentials.clone() }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The value of the `Authorization` header.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.url.scheme(), "https" | "wss")
    }

    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(80)
    }
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while at < bytes.len() {
        let byte = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.host())?;
        match self.url.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_may_be_a_credential_is_shown() {
        let endpoint = Endpoint::http("https://user:p%40ss@node.example:8443/v1/KEY?token=SECRET#x").unwrap();
        assert_eq!(endpoint.to_string(), "https://node.example:8443");
        assert_eq!(format!("{endpoint:?}"), "https://node.example:8443");
        assert_eq!(endpoint.authorization(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(endpoint.url().as_str(), "https://node.example:8443/v1/KEY?token=SECRET");
        let wrong = Endpoint::http("ftp://user:SECRET@node.example/KEY").unwrap_err().to_string();
        assert!(!wrong.contains("SECRET") && !wrong.contains("KEY"), "{wrong}");
        assert!(Endpoint::http("SECRET").is_err_and(|error| !error.to_string().contains("SECRET")));
    }

    #[test]
    fn the_websocket_of_a_node_is_beside_its_calls() {
        let of = |url: &str| Endpoint::http(url).unwrap().as_websocket();
        assert_eq!(of("http://127.0.0.1:10332").url().as_str(), "ws://127.0.0.1:10332/ws");
        assert_eq!(of("https://u:p@node.example/").url().as_str(), "wss://node.example/ws");
        assert_eq!(of("https://u:p@node.example/").authorization(), Some("Basic dTpw"));
        assert_eq!(of("https://node.example/n3/KEY").url().path(), "/n3/KEY");
    }
}
