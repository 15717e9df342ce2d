//! The engines below every service, each one small port with an embedded engine and a real one, chosen once
//! at start from the configuration.
//!
//! Promises:
//! - [`blobs`]: durable and whole.
//! - [`cache`]: never overwrites a newer version, never outlives a lost connection to Redis as if nothing happened.
//! - [`limits`]: never grants more than burst and average, in one process or over all of them.
//! - [`queue`]: at least once, fenced, and never without what it tells of.
//! - [`redis`]: costs nothing while it is away, and comes back by itself.
//! - [`secrets`]: a secret is read only from where nobody else can read it, and is never printed.

mod backoff;
pub mod blobs;
pub mod cache;
pub mod limits;
pub mod queue;
pub mod redis;
pub mod secrets;

/// What is wrong with a setting: its dotted key, and why it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub key: &'static str,
    pub why: String,
}

impl Mistake {
    pub(crate) fn new(key: &'static str, why: impl Into<String>) -> Self {
        Self { key, why: why.into() }
    }
}
