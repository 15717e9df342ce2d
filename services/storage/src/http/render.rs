//! Replies with values, written around the bytes of the value: it is neither parsed nor escaped again. Keys,
//! owners and names of subjects hold no character that JSON would escape.

use std::io::Write;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use nsl_api::storage::{Item, Items, Meta};
use nsl_core::Timestamp;

pub(super) fn item(item: &Item) -> Response {
    let mut out = Vec::with_capacity(item.value.size() + 512);
    write_item(&mut out, item);
    let mut response = json(out);
    response.headers_mut().insert(header::ETAG, etag(item.meta.version));
    response
}

pub(super) fn items(items: &Items) -> Response {
    let mut out = Vec::with_capacity(items.items.iter().map(|item| item.value.size() + 512).sum::<usize>() + 64);
    out.extend_from_slice(b"{\"items\":[");
    for (at, item) in items.items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_item(&mut out, item);
    }
    out.extend_from_slice(b"],\"missing\":[");
    for (at, key) in items.missing.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write(&mut out, format_args!("{comma}\"{key}\""));
    }
    out.extend_from_slice(b"]}");
    json(out)
}

pub(super) fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// No body: what is known of the value goes in headers.
pub(super) fn bare(status: StatusCode, version: i64) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::ETAG, etag(version));
    response
}

pub(super) fn etag(version: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("a quoted number is a header value")
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all that is written");
}

fn write_item(out: &mut Vec<u8>, item: &Item) {
    let Meta { key, owner, chain, version, encrypted, access, size_bytes, .. } = &item.meta;
    write(out, format_args!("{{\"key\":\"{key}\",\"value\":"));
    out.extend_from_slice(item.value.as_bytes());
    let (chain, access) = (chain.as_str(), access.as_str());
    write(
        out,
        format_args!(",\"version\":{version},\"chain\":\"{chain}\",\"owner\":\"{owner}\",\"encrypted\":{encrypted}"),
    );
    write(out, format_args!(",\"access\":\"{access}\",\"size_bytes\":{size_bytes}"));
    if !item.meta.shared_with.is_empty() {
        let names: Vec<&str> = item.meta.shared_with.iter().map(|subject| subject.as_str()).collect();
        write(out, format_args!(",\"shared_with\":[\"{}\"]", names.join("\",\"")));
    }
    let mut time = |name: &str, at: Option<Timestamp>| {
        if let Some(at) = at {
            write(out, format_args!(",\"{name}\":\"{at}\""));
        }
    };
    time("created_at", Some(item.meta.created_at));
    time("updated_at", Some(item.meta.updated_at));
    time("expires_at", item.meta.expires_at);
    time("retain_until", item.meta.retain_until);
    time("last_accessed", item.meta.last_accessed);
    if let Some(metadata) = &item.meta.metadata {
        out.extend_from_slice(b",\"metadata\":");
        out.extend_from_slice(metadata.as_bytes());
    }
    write(out, format_args!(",\"accessed_count\":{}}}", item.meta.accessed_count));
}

#[cfg(test)]
mod tests {
    use nsl_api::storage::{Access, Chain, Value};
    use nsl_core::Subject;

    use super::*;

    #[test]
    fn what_is_written_by_hand_is_json_with_every_field() {
        let meta = Meta {
            key: "a:b".into(),
            owner: Subject::parse("auth0|me@x.io").unwrap(),
            chain: Chain::NeoX,
            version: 3,
            encrypted: true,
            access: Access::Shared,
            shared_with: vec![Subject::parse("x").unwrap(), Subject::parse("y").unwrap()],
            size_bytes: 9,
            created_at: Timestamp(1),
            updated_at: Timestamp(2),
            expires_at: Some(Timestamp(3)),
            retain_until: Some(Timestamp(4)),
            metadata: Some(Value::parse(r#"{"m":[1]}"#).unwrap()),
            accessed_count: 5,
            last_accessed: Some(Timestamp(6)),
        };
        let full = Item { value: Value::parse(r#"{"a": "é"}"#).unwrap(), meta };
        let mut out = Vec::new();
        write_item(&mut out, &full);
        let written: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let mut expected = serde_json::to_value(&full.meta).unwrap();
        expected["value"] = serde_json::json!({"a": "é"});
        assert_eq!(written, expected);
    }
}
