//! The promises of the audit service, through its client, on both SQL engines.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ground;
mod reading;
mod upkeep;
