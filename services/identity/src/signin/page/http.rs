use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use nsl_edge::{Class, Face, Rule};

const PAGE: &str = include_str!("signin.html");
const SCRIPT: &str = include_str!("signin.js");
const STYLE: &str = include_str!("signin.css");

/// Scripts and styles of this server, calls to this server, nothing else; no frame around it, and no form that is sent
/// anywhere by itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The page: `/signin`, where providers send people back to (`/signin/callback/...`), and `/device`.
pub(crate) fn face() -> Face {
    let page = || async { page() };
    let router = Router::new()
        .route("/signin", get(page))
        .route("/signin/callback/{provider}", get(page))
        .route("/signin/callback/{tenant}/{provider}", get(page))
        .route("/device", get(page))
        .route("/signin.js", get(|| async { typed("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/signin.css", get(|| async { typed("text/css; charset=utf-8", STYLE) }));
    let open = |route| Rule::at(route).class(Class::Anonymous).open();
    Face::new("identity", router).rule(open("/signin*")).rule(open("/device"))
}

fn page() -> Response {
    let mut response = typed("text/html; charset=utf-8", PAGE);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // What a provider sends back stands in the address until the script has read it.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    response
}

fn typed(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, text).into_response()
}
