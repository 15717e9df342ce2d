//! An entry as a row, and its place in a chain.

use nsl_core::Entry;
use nsl_sql::{Kind, Many, Value, args};

use crate::hash::{Hash, Parts};

/// The columns of `audit_logs` that are hashed, in order; `lane` and `sequence` stand before them.
pub(crate) const HASHED: usize = 18;

pub(crate) static INSERT: Many = Many {
    one: "INSERT INTO audit_logs (lane, sequence, tenant_id, id, event_type, user_address, service_name, method_name,
            request_id, correlation_id, ip_address, user_agent, personal, key_id, request_data, response_data,
            status_code, error_message, execution_time_ms, created_at, hash)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
    many: "INSERT INTO audit_logs (lane, sequence, tenant_id, id, event_type, user_address, service_name, method_name,
            request_id, correlation_id, ip_address, user_agent, personal, key_id, request_data, response_data,
            status_code, error_message, execution_time_ms, created_at, hash)
           SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[], $10::text[], $11::bytea[], $12::bytea[], $13::bytea[], $14::text[], $15::json[],
            $16::json[], $17::bigint[], $18::text[], $19::bigint[], $20::timestamptz[], $21::bytea[])",
    kinds: &[
        Kind::Text,
        Kind::Int,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Text,
        Kind::Bytes,
        Kind::Bytes,
        Kind::Bytes,
        Kind::Text,
        Kind::Json,
        Kind::Json,
        Kind::Int,
        Kind::Text,
        Kind::Int,
        Kind::Time,
        Kind::Bytes,
    ],
};

fn json(map: &serde_json::Map<String, serde_json::Value>) -> Value {
    if map.is_empty() {
        return Value::Null(Kind::Json);
    }
    Value::json(serde_json::to_string(map).unwrap_or_default())
}

/// The hashed columns of an entry.
pub(crate) fn columns(entry: Entry) -> Vec<Value> {
    let (request, response) = (json(&entry.request_data), json(&entry.response_data));
    let subject = entry.subject.as_ref();
    let row = args![
        &entry.tenant,
        entry.id,
        entry.event_type,
        subject.map(|subject| subject.as_str().to_owned()),
        entry.service,
        entry.method,
        entry.request_id,
        entry.correlation_id,
        entry.ip_address,
        entry.user_agent,
        entry.personal,
        entry.seal_key,
        request,
        response,
        entry.status_code,
        entry.error_message,
        entry.execution_time_ms,
        entry.at,
    ];
    debug_assert_eq!(row.len(), HASHED);
    row
}

/// The hash of the entry that stands at `sequence` after one with hash `previous`.
pub(crate) fn link(previous: &Hash, lane: &str, sequence: i64, columns: &[Value]) -> Hash {
    let start = Parts::of("nsl audit 1").bytes(Some(previous)).text(lane).number(sequence);
    columns.iter().fold(start, Parts::value).hash()
}
