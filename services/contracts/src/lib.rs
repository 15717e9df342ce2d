//! Contracts of both chains: checked, deployed, updated, called and listened to, by their manifest or ABI.
//!
//! Promises:
//! - What no node takes is refused before anything is sent, with the reason; so is an artefact that was changed or cut.
//! - A deployment or update that was acknowledged is recorded, and what became of it is found out, whether or not
//!   somebody asks. With an idempotency key it is sent once, whatever fails in between.
//! - A contract is called deployed when the chain has it where it was foreseen, and as it was sent.
//! - Nothing is signed or sent here: each write goes through the relay, under the caller's own rights.
//! - What one tenant recorded, no other tenant is told.

mod deploy;
mod events;
mod holder;
mod http;
mod n3;
mod place;
mod read;
mod run;
mod service;
mod settle;
mod store;
mod update;
mod x;

use std::{sync::Arc, time::Duration};

use nsl_api::{contracts::Contracts, relay::RelayClient};
use nsl_chain::{n3::NeoN3, x::NeoX};
use nsl_core::Clock;
use nsl_kit::Tasks;
use nsl_ledger::Ledger;
use nsl_sql::Db;

pub use holder::hold;
pub use http::{face, routes};
pub use store::MIGRATIONS;

/// The scopes that this service asks for.
pub const SCOPES: &[&str] = &["contracts:read", "contracts:write"];

/// What the service stands on.
pub struct Parts {
    pub db: Db,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    /// Signs and sends.
    pub relay: RelayClient,
    /// Where it is set up.
    pub n3: Option<Arc<NeoN3>>,
    /// Where it is set up.
    pub x: Option<Arc<NeoX>>,
}

/// How often open deployments and updates are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// While there are some.
    pub busy: Duration,
    /// While there are none: another process may have taken one on.
    pub idle: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { busy: Duration::from_secs(1), idle: Duration::from_secs(5) }
    }
}

/// Starts the service and what finds out about open deployments and updates.
pub fn build(pace: Pace, parts: Parts, tasks: &Tasks) -> Arc<dyn Contracts> {
    let Parts { db, ledger, clock, relay, n3, x } = parts;
    let chains = service::Chains { n3, x };
    let settler = Arc::new(settle::Settler {
        db: db.clone(),
        clock: Arc::clone(&clock),
        relay: relay.clone(),
        chains: chains.clone(),
        asked: tokio::sync::Notify::new(),
        looks: settle::Looks::default(),
    });
    let run = Arc::clone(&settler);
    tasks.supervise("contracts.settle", move |stop| Arc::clone(&run).run(pace, stop));
    Arc::new(service::Service { db, ledger, clock, relay, chains, settler })
}
