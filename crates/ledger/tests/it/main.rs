//! The promises of the audit trail, on both SQL engines.

mod erasure;
mod ground;
mod refusals;
mod tampering;
