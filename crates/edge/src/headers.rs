//! What every answer says to browsers and caches.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

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
