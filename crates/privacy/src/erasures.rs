//! The ledger of erasures: objects that outlive the database. One for all services: each erases again, at its start,
//! what a restored backup brought back to it.

use bytes::Bytes;
use nsl_core::{Error, Result, Subject, TenantId, Timestamp};
use nsl_engine::blobs::Blobs;
use serde::{Deserialize, Serialize};

const FOLDER: &str = "erasures";

/// One line of the ledger: a person who was erased in a tenant, or (`platform`) whose account is gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    pub request: String,
    pub tenant: TenantId,
    pub subject: Subject,
    /// What was made by then is gone.
    pub cutoff: Timestamp,
    /// The data keys that were destroyed.
    #[serde(default)]
    pub keys: Vec<String>,
    #[serde(default)]
    pub receipt: serde_json::Value,
}

/// Writes a line down; once more is as if once.
pub async fn record(blobs: &Blobs, line: &Line) -> Result<()> {
    let path = format!("{FOLDER}/{}/{}.json", part(&line.tenant), line.request);
    blobs.put(&path, Bytes::from(serde_json::to_vec(line).map_err(Error::internal)?)).await
}

/// All lines.
pub async fn lines(blobs: &Blobs) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for path in blobs.list(FOLDER).await? {
        if let Some(bytes) = blobs.get(&path).await? {
            lines.push(serde_json::from_slice(&bytes).map_err(Error::internal)?);
        }
    }
    Ok(lines)
}

/// A tenant as a part of a blob's path, which takes fewer characters than an id has.
pub fn part(tenant: &TenantId) -> String {
    let id = tenant.as_str();
    let plain = id.starts_with("ten_") && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain { id.to_owned() } else { format!("x-{}", hex::encode(id)) }
}
