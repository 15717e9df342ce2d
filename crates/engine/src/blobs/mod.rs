//! Bytes too large for a message or a row, by path.
//!
//! Promises: what [`Blobs::put`] acknowledged is durable and whole, and a reader sees the old bytes or the new
//! ones, never a mixture; a deleted blob stays deleted.

mod open;
mod path;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures_util::TryStreamExt;
use nsl_core::{Code, Error, Result, Secret};
use object_store::{DynObjectStore, ObjectStoreExt};
use serde::Deserialize;

use crate::Mistake;

/// Where blobs are and with which credentials.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobsConfig {
    /// `file:///dir`, `s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix`; empty means `blobs` in
    /// the data directory.
    pub url: String,
    /// Base URL of the service, when it is not the provider's own.
    pub endpoint: String,
    pub region: String,
    /// Access key id (S3) or account (Azure). Empty: what the machine itself may do.
    pub access_key: String,
    /// Secret access key (S3), account key (Azure) or service account as JSON (Google).
    pub secret_key: Secret,
    pub timeout_ms: u64,
}

impl BlobsConfig {
    pub fn check(&self) -> Vec<Mistake> {
        let mut mistakes: Vec<_> = open::scheme(&self.url).err().into_iter().collect();
        if !(100..=600_000).contains(&self.timeout_ms) {
            mistakes.push(Mistake::new("blobs.timeout_ms", format!("{} is not within 100 to 600000", self.timeout_ms)));
        }
        if !self.endpoint.is_empty() && !self.endpoint.starts_with("http://") && !self.endpoint.starts_with("https://")
        {
            mistakes.push(Mistake::new("blobs.endpoint", "must be an http:// or https:// URL"));
        }
        mistakes
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<DynObjectStore>,
    /// Of the engine that keeps files: a deletion there is durable only after this directory's part is synced.
    root: Option<Arc<PathBuf>>,
}

impl Blobs {
    /// Creates the directory of the embedded engine; reaches out to nobody.
    pub fn build(config: &BlobsConfig, data_dir: &std::path::Path) -> anyhow::Result<Self> {
        open::open(config, data_dir)
    }

    /// Writes the bytes under the path, over what was there.
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        let place = path::parse(path)?;
        self.store.put(&place, bytes.into()).await.map_err(|cause| failed("writing", path, cause))?;
        Ok(())
    }

    pub async fn get(&self, path: &str) -> Result<Option<Bytes>> {
        let place = path::parse(path)?;
        match self.store.get(&place).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Ok(found) => found.bytes().await.map(Some).map_err(|cause| failed("reading", path, cause)),
            Err(cause) => Err(failed("reading", path, cause)),
        }
    }

    pub async fn exists(&self, path: &str) -> Result<bool> {
        let place = path::parse(path)?;
        match self.store.head(&place).await {
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Ok(_) => Ok(true),
            Err(cause) => Err(failed("looking for", path, cause)),
        }
    }

    /// Deletes the blob; that there is none is fine.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let place = path::parse(path)?;
        match self.store.delete(&place).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(cause) => return Err(failed("deleting", path, cause)),
        }
        let Some(file) = self.root.as_ref().map(|root| root.join(path)) else { return Ok(()) };
        let sync = move || match file.parent().map(std::fs::File::open) {
            Some(Ok(parent)) => parent.sync_all(),
            // No directory: there was never such a blob.
            _ => Ok(()),
        };
        tokio::task::spawn_blocking(sync)
            .await
            .map_err(Error::internal)?
            .map_err(|cause| failed("deleting", path, cause))
    }

    /// The paths under a prefix of whole parts (`a/b` holds `a/b/c`, not `a/bc`), sorted; all for the prefix "".
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let place = if prefix.is_empty() { None } else { Some(path::parse(prefix)?) };
        let found = self.store.list(place.as_ref()).map_ok(|found| String::from(found.location));
        let mut found: Vec<String> = found.try_collect().await.map_err(|cause| failed("listing", prefix, cause))?;
        found.sort_unstable();
        Ok(found)
    }
}

fn failed(doing: &str, path: &str, cause: impl Into<anyhow::Error>) -> Error {
    Error::new(Code::Unavailable, "blobs.unavailable", format!("{doing} blob {path:?} failed")).because(cause)
}
