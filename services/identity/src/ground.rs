use std::sync::Arc;

use nsl_core::Clock;
use nsl_engine::{blobs::Blobs, queue::Queue};
use nsl_keyring::Keyring;
use nsl_ledger::Ledger;
use nsl_sql::Db;

use crate::config::Config;

/// What every part of the service stands on.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) config: Arc<Config>,
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) queue: Queue,
    pub(crate) blobs: Blobs,
    /// Every scope that some service asks for.
    pub(crate) scopes: Arc<[&'static str]>,
}
