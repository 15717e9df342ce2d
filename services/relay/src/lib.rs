//! Transactions on their way: accepted once, sent until the chain has decided, never twice.
//!
//! Promises:
//! - What was acknowledged is stored, and so is each signed transaction before it is first sent. A process that dies at
//!   any moment is followed by one that goes on from there.
//! - The chain is the truth: only a block settles a request, and only a block that shows another transaction with its
//!   nonce gives it another one ([`nonces`]).
//! - One process at a time sends for an account; what a former holder decides is refused by its fence.
//! - A request that would be undone is told so, with the chain's reason, before it costs anything.

mod accounts;
mod amounts;
mod balance;
mod config;
mod dispatch;
mod estimate;
mod explain;
mod facts;
mod holder;
mod http;
pub mod n3;
pub mod node;
pub mod nonces;
mod rules;
mod runner;
mod service;
mod sponsor;
mod steady;
mod store;
mod tidings;
pub mod validity;
mod wallets;
pub mod x;

use std::sync::{Arc, atomic::AtomicBool};

use nsl_api::relay::Relay;
use nsl_core::{Clock, ProcessId};
use nsl_kit::Tasks;
use nsl_ledger::Ledger;
use nsl_sql::Db;

pub use accounts::Accounts;
pub use config::Config;
pub use dispatch::Nodes;
pub use holder::hold;
pub use http::{face, routes};
pub use runner::Pace;
pub use store::{LaneKey, MIGRATIONS};

/// The scopes that this service asks for.
pub const SCOPES: &[&str] = &["relay:read", "relay:write", "relay:admin"];

/// What the service stands on.
pub struct Parts {
    pub db: Db,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub accounts: Arc<Accounts>,
    pub process: ProcessId,
    /// While it holds, requests are accepted and taken back, and nothing is signed or sent.
    pub paused: Arc<AtomicBool>,
}

/// Starts the service and what sends.
pub fn build(config: Config, parts: Parts, tasks: &Tasks) -> Arc<dyn Relay> {
    let Parts { db, ledger, clock, accounts, process, paused } = parts;
    let process = process.to_string().into();
    let (nodes, pace): (Arc<dyn Nodes>, _) = (Arc::clone(&accounts) as _, config.pace());
    let dispatcher = dispatch::Dispatcher::new(
        db.clone(),
        Arc::clone(&clock),
        nodes,
        process,
        pace,
        Arc::clone(&paused),
        tasks.clone(),
    );
    let run = Arc::clone(&dispatcher);
    tasks.spawn("relay.dispatch", move |stop| run.run(stop));
    let nodes: Arc<dyn Nodes> = Arc::clone(&accounts) as _;
    let most_fee = config.cap(nsl_api::Chain::NeoN3);
    let sponsoring = sponsor::Sponsoring {
        db: db.clone(),
        ledger: ledger.clone(),
        clock: Arc::clone(&clock),
        nodes,
        most_fee,
        paused,
    };
    tasks.spawn("relay.sponsored", sponsoring.sweep());
    Arc::new(service::Service { db, ledger, clock, accounts, dispatcher, config, sponsoring })
}
