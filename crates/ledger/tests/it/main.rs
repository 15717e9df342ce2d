//! The promises of the audit trail, on both SQL engines.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod erasure;
mod ground;
mod refusals;
mod tampering;
