//! The encrypted key-value store.
//!
//! Promises:
//! - What was acknowledged is on disk, with its line of evidence, or neither is.
//! - Versions of a key grow by one, without gaps, also over deletion, for as long as the store knows the key: when
//!   a deleted key is trimmed, or its owner erased, it begins anew. Compare-and-set lets exactly one win.
//! - A tenant never holds more than its quota, however many writers there are.
//! - A sealed value opens only at its tenant, owner, chain, key and version, and never again once its
//!   owner's data key is destroyed.
//! - What a caller may not read looks and takes as long as what is not there.
//! - A person who was erased stays erased: the ledger of erasures outlives a restored backup.

mod config;
mod erasure;
mod export;
mod held;
mod holder;
mod http;
mod permit;
mod privacy;
mod reads;
mod receipt;
mod rules;
mod service;
mod store;
mod worker;
mod writes;

use std::sync::Arc;

use nsl_api::storage::Storage;
use nsl_core::{Clock, Result};
use nsl_engine::{blobs::Blobs, cache::Cache, queue::Queue, secrets::Secrets};
use nsl_keyring::Keyring;
use nsl_kit::Tasks;
use nsl_ledger::Ledger;
use nsl_sql::Db;

pub use config::{Config, Quota};
pub use http::{face, routes};
pub use receipt::verify_receipt;
pub use service::SCOPES;
pub use store::MIGRATIONS;
pub use worker::Tick;

/// What the service stands on.
pub struct Parts {
    pub db: Db,
    pub keyring: Keyring,
    pub ledger: Ledger,
    pub cache: Cache,
    pub blobs: Blobs,
    pub secrets: Secrets,
    pub clock: Arc<dyn Clock>,
}

/// The service and what surrounds its calls. Cheap to clone.
#[derive(Clone)]
pub struct Built(Arc<service::Service>);

/// Makes the service; nothing runs in the background before [`Built::start`].
pub fn build(config: Config, quota: Quota, parts: Parts) -> Built {
    let Parts { db, keyring, ledger, cache, blobs, secrets, clock } = parts;
    let limits = Arc::new(store::Limits::new(Arc::clone(&clock), config, quota));
    Built(Arc::new(service::Service {
        store: store::Store { db },
        keyring,
        ledger,
        cache,
        blobs,
        secrets,
        clock,
        limits,
        reads: reads::Reads::default(),
        asked: tokio::sync::Notify::new(),
        forgetting: tokio_util::task::TaskTracker::new(),
        hits: metrics::counter!("storage_reads_total", "service" => "storage", "from" => "cache"),
        misses: metrics::counter!("storage_reads_total", "service" => "storage", "from" => "sql"),
    }))
}

impl Built {
    /// For [`nsl_api::storage::StorageClient`].
    pub fn service(&self) -> Arc<dyn Storage> {
        self.0.clone()
    }

    /// Starts the workers: access counters, expiry, trimming, requests of persons.
    pub fn start(&self, tasks: &Tasks) {
        worker::start(&self.0, tasks);
    }

    /// Takes part in what persons ask about their data on the whole platform.
    pub fn hold(&self, queue: Queue, tasks: &Tasks) {
        let parts = nsl_privacy::Parts { queue, blobs: self.0.blobs.clone(), keyring: self.0.keyring.clone() };
        nsl_privacy::serve("storage", self.0.clone(), parts, tasks);
    }

    /// Takes new settings; writes that come after are measured by them.
    pub fn tune(&self, config: Config, quota: Quota) {
        self.0.limits.settings.store(Arc::new((config, quota)));
    }

    /// Refuses a secret that no receipt could be signed with. At start: an erasure would wait for ever.
    pub async fn check_receipts(&self) -> Result<()> {
        let secrets = &self.0.secrets;
        secrets.ensure(receipt::KEY, receipt::SEED_BYTES).await?;
        receipt::pair(&secrets.get_and_check_all(receipt::KEY).await?).map(drop)
    }

    /// Erases again whom a restored backup brought back, and says how many. At start, before the first request.
    pub async fn replay_erasures(&self) -> Result<usize> {
        self.0.replay_erasures().await
    }

    /// One round of a worker, now.
    pub async fn tick(&self, tick: Tick) -> Result<usize> {
        self.0.tick(tick).await
    }
}
