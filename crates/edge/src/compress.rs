use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use tower::ServiceExt;
use tower_http::{CompressionLevel, compression::Compression};

/// Whether a client takes a compressed answer at all; asked before the request is consumed.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    let accepts = headers.get(header::ACCEPT_ENCODING)?;
    let text = accepts.to_str().ok()?;
    (text.contains("gzip") || text.contains("zstd") || text.contains('*')).then(|| accepts.clone())
}

/// Compresses an answer of at least `from` bytes whose type gains by it, as `accepts` asks for.
pub(crate) async fn compress(response: Response, accepts: HeaderValue, from: u64) -> Response {
    if response.body().size_hint().lower() < from || !gains(response.headers()) {
        return response;
    }
    let mut question = Request::new(Body::empty());
    question.headers_mut().insert(header::ACCEPT_ENCODING, accepts);
    let mut slot = Some(response);
    let once = tower::service_fn(move |_: Request| {
        let taken = slot.take().expect("a compressor asks its service once");
        std::future::ready(Ok::<_, std::convert::Infallible>(taken))
    });
    let Ok(compressed) = Compression::new(once).quality(CompressionLevel::Fastest).oneshot(question).await;
    let mut response = compressed.map(Body::new);
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        weaken_etag(response.headers_mut());
    }
    response
}

fn gains(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    let text = kind.starts_with("text/") && kind != "text/event-stream";
    let json = kind == "application/json" || kind.ends_with("+json");
    (text || json) && !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::CONTENT_RANGE)
}

// The bytes differ from those that the strong tag names (RFC 9110 section 8.8.3.3).
fn weaken_etag(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")) {
        let weak = [b"W/", tag.as_bytes()].concat();
        if let Ok(weak) = HeaderValue::from_bytes(&weak) {
            headers.insert(header::ETAG, weak);
        }
    }
}
