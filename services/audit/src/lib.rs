//! The face of the audit trail: searching it, checking it, and adding what edges refused.
//!
//! Promises:
//! - A tenant sees and checks its own entries and no others.
//! - Lanes are tied together by a checkpoint each minute and at the stop. The newest one is also kept in
//!   the blob engine, so that a database that was rolled back as a whole is found out; from then on it stays.
//! - Verifying is bounded: one walk at a time for a tenant, a few in a process.
//! - Partitions are there before the month that needs them; what is older than seven years goes.
//!
//! The tables belong to `nsl-ledger`: other services write to them in their own transactions.

mod config;
mod holder;
mod http;
mod seen;
mod service;
mod worker;

use std::sync::Arc;

use nsl_api::audit::Audit;
use nsl_engine::blobs::Blobs;
use nsl_kit::Tasks;
use nsl_ledger::{ChainKey, Ledger};
use nsl_sql::Db;

pub use config::Config;
pub use holder::hold;
pub use http::face;
pub use seen::last_seen;

/// The scopes that this service asks for.
pub const SCOPES: &[&str] = &["audit:read"];

/// Starts the service and its workers.
pub fn build(config: Config, db: Db, ledger: Ledger, key: ChainKey, blobs: Blobs, tasks: &Tasks) -> Arc<dyn Audit> {
    worker::start(config, ledger.clone(), blobs, tasks);
    Arc::new(service::Service::new(db, ledger, key))
}
