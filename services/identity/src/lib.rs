//! Who may call: tenants and their API keys.
//!
//! Promises:
//! - A key is shown once, when it is made. What is kept is its SHA-256, so that nobody who reads the
//!   database can use what is found there.
//! - No key can do more than the credential that made it, nor outlast it unless that one administers the tenant.
//! - No key has a scope that no service asks for.
//! - No key stands for a name of the platform itself.
//! - A revoked or expired key is refused: at once in the process that revoked it, elsewhere as soon as
//!   what an edge remembers of it fades (five seconds at most).
//! - Each change is in the audit trail; authenticating writes nothing on the way.

mod config;
mod http;
mod rules;
mod service;
mod store;
mod worker;

use std::sync::Arc;

use nsl_api::identity::Identity;
use nsl_core::Clock;
use nsl_kit::Tasks;
use nsl_ledger::Ledger;
use nsl_sql::{Db, Migrations, Step};

pub use config::Config;
pub use http::face;
pub use service::Revoked;

/// The scopes that this service asks for.
pub const SCOPES: &[&str] = &["identity:read", "identity:write", "identity:admin"];

/// The tables of this service.
pub static MIGRATIONS: Migrations = Migrations {
    owner: "identity",
    steps: &[Step {
        version: 1,
        name: "keys",
        breaking: false,
        sqlite: include_str!("../migrations/sqlite/1_keys.sql"),
        postgres: include_str!("../migrations/postgres/1_keys.sql"),
    }],
};

/// Starts the service and its worker. `scopes` are those that the services of the platform ask for: keys get no
/// others. `revoked` hears the digest of each key that is revoked here,
/// before the caller learns that it is.
pub fn build(
    config: Config,
    db: Db,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    scopes: Vec<&'static str>,
    tasks: &Tasks,
    revoked: Revoked,
) -> Arc<dyn Identity> {
    let service = Arc::new(service::Service::new(config, db, ledger, clock, scopes, revoked));
    worker::start(Arc::clone(&service), tasks);
    service
}
