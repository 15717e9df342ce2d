//! The promises of the audit trail, on both SQL engines.

mod erasure;
mod refusals;
mod tampering;
mod ground;
