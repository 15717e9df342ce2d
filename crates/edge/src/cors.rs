use std::collections::HashSet;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use crate::config::CorsSettings;

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str = "authorization, content-type, dpop, idempotency-key, if-match, if-none-match, traceparent, \
    x-api-key, x-correlation-id, x-request-id";
const EXPOSED: &str = "etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, x-request-id, \
    www-authenticate, x-correlation-id";

const ANY: HeaderValue = HeaderValue::from_static("*");

/// Which web pages may call (Fetch standard, CORS protocol). Credentials travel in headers that the
/// page itself sets, never in cookies, so `Access-Control-Allow-Credentials` is not sent.
#[derive(Debug, Default)]
pub(crate) struct Cors {
    any: bool,
    origins: HashSet<String>,
    max_age_s: u64,
}

impl Cors {
    pub(crate) fn new(settings: &CorsSettings) -> Self {
        Self {
            any: settings.allowed_origins.iter().any(|origin| origin == "*"),
            origins: settings.allowed_origins.iter().cloned().collect(),
            max_age_s: settings.max_age.as_secs(),
        }
    }

    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any {
            return Some(ANY);
        }
        origin.to_str().is_ok_and(|origin| self.origins.contains(origin)).then(|| origin.clone())
    }

    /// The answer to a browser that asks beforehand; nothing when the request is not such a question.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap, shared: bool) -> Option<Response> {
        let origin = headers.get(header::ORIGIN)?;
        if method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        if !shared {
            self.vary(answer);
        }
        if let Some(origin) = if shared { Some(ANY) } else { self.allowed(origin) } {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
            answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age_s));
        }
        Some(response)
    }

    /// Says on an answer whether the page that asked may read it.
    pub(crate) fn mark(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap, shared: bool) {
        if shared {
            // Said to all alike, so that caches need not tell pages apart.
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
            return;
        }
        if self.origins.is_empty() {
            return;
        }
        self.vary(answer);
        if let Some(origin) = origin.and_then(|origin| self.allowed(origin)) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }

    // A cache must not hand one page's permission to another.
    fn vary(&self, answer: &mut HeaderMap) {
        if !self.any && !self.origins.is_empty() {
            answer.append(header::VARY, HeaderValue::from_static("origin"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cors(origins: &[&str]) -> Cors {
        let allowed_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        Cors::new(&CorsSettings { allowed_origins, max_age: Duration::from_secs(600) })
    }

    fn asking(origin: &'static str, method: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        method.map(|method| headers.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static(method)));
        headers
    }

    #[test]
    fn only_named_origins_get_permission() {
        let cors = cors(&["https://app.example"]);
        for (origin, allowed) in [
            ("https://app.example", true),
            ("https://app.example.evil.example", false),
            ("http://app.example", false),
            ("https://app.example:8443", false),
            ("null", false),
        ] {
            let answer = cors.preflight(&Method::OPTIONS, &asking(origin, Some("PUT")), false).unwrap();
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
            assert_eq!(answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{origin}");
            assert_eq!(answer.headers()[header::VARY], "origin");
            let mut marked = HeaderMap::new();
            cors.mark(Some(&HeaderValue::from_static(origin)), &mut marked, false);
            assert_eq!(marked.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{origin}");
        }
    }

    #[test]
    fn an_options_request_that_is_no_question_goes_on() {
        let cors = cors(&["*"]);
        assert!(cors.preflight(&Method::OPTIONS, &asking("https://a.example", None), false).is_none());
        assert!(cors.preflight(&Method::GET, &asking("https://a.example", Some("PUT")), false).is_none());
        let answer = cors.preflight(&Method::OPTIONS, &asking("https://a.example", Some("PUT")), false).unwrap();
        assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }

    #[test]
    fn what_is_for_all_is_read_by_all() {
        for cors in [cors(&[]), cors(&["https://app.example"])] {
            let asked = asking("https://other.example", Some("GET"));
            let answer = cors.preflight(&Method::OPTIONS, &asked, true).unwrap();
            assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            let mut marked = HeaderMap::new();
            cors.mark(None, &mut marked, true);
            assert_eq!(marked[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert!(!marked.contains_key(header::VARY) && !answer.headers().contains_key(header::VARY));
        }
    }

    #[test]
    fn without_settings_nothing_is_said() {
        let mut marked = HeaderMap::new();
        cors(&[]).mark(Some(&HeaderValue::from_static("https://a.example")), &mut marked, false);
        assert!(marked.is_empty());
    }
}
