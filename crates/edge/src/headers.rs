//! What every answer says to browsers and caches.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{Next, from_fn},
};
use nsl_kit::serve::Remote;

// Everything that our own pages need and nothing else; no inline script or style runs.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

const FIXED: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block")),
    (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
];

/// Gives the security headers to routes that pass no edge: health and information on the public listener.
pub fn hardened(router: Router) -> Router {
    router.layer(from_fn(async |request: Request, next: Next| {
        let secure = request.extensions().get::<Remote>().is_some_and(|remote| remote.secure);
        let mut response = next.run(request).await;
        harden(response.headers_mut(), secure);
        response
    }))
}

/// `secure`: the client's own connection is encrypted. A page may bring a stricter policy of its own,
/// and say how long it may be kept.
pub(crate) fn harden(headers: &mut HeaderMap, secure: bool) {
    // These, and what the rest of the edge adds.
    headers.reserve(12);
    for (name, value) in FIXED {
        headers.insert(name, value);
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if secure {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains; preload");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn plain_routes_are_hardened_too() {
        let router = hardened(Router::new().route("/health", get(|| async { "fine" })));
        let response = router.oneshot(Request::get("/health").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
