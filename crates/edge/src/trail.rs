//! How a request is recognised: its own id, the caller's, and the trace that it belongs to.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use nsl_core::{RequestId, Trace};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

const LONGEST_ID: usize = 64;

/// Takes over what the caller says, as far as it has the right form; a fresh request id otherwise.
pub(crate) fn read(headers: &HeaderMap) -> Trace {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let said = text(&REQUEST_ID).filter(|id| id.len() <= LONGEST_ID).and_then(|id| RequestId::parse(id).ok());
    let correlation = text(&CORRELATION_ID)
        .filter(|id| !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic()));
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok()).filter(|text| is_traceparent(text));
    Trace {
        request_id: said.unwrap_or_else(RequestId::fresh),
        traceparent: parent.map(Arc::from),
        correlation_id: correlation.map(Arc::from),
    }
}

/// W3C Trace Context, level 1: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not all zero; later
/// versions may go on after another dash.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = |part: &str| hex(part) && part.bytes().any(|byte| byte != b'0');
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < 55 || bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
        return false;
    }
    let version = &text[..2];
    let ends = match version {
        "00" => bytes.len() == 55,
        "ff" => false,
        _ => bytes.len() == 55 || bytes[55] == b'-',
    };
    ends && hex(version) && id(&text[3..35]) && id(&text[36..52]) && hex(&text[53..55])
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_sane_ids_are_taken_over() {
        let of = |id: &'static [u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
            headers.insert(CORRELATION_ID, HeaderValue::from_bytes(id).unwrap());
            let trace = read(&headers);
            (trace.request_id.as_str() == String::from_utf8_lossy(id), trace.correlation_id.is_some())
        };
        assert_eq!(of(b"req_0123-abc"), (true, true));
        assert_eq!(of(b"a/b?c"), (false, true));
        for bad in
            [&b""[..], b"a b", b"\xc3\xa9", b"0123456789012345678901234567890123456789012345678901234567890123456789"]
        {
            assert_eq!(of(bad), (false, false), "{}", String::from_utf8_lossy(bad));
        }
        assert!(read(&HeaderMap::new()).request_id.as_str().starts_with("req_"));
    }

    #[test]
    fn traceparents_have_one_form() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(good));
        assert!(is_traceparent(&good.replacen("00", "01", 1)) && is_traceparent(&format!("01{}-more", &good[2..])));
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-011",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
