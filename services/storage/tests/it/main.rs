//! The promises of the store, through its client, on both SQL engines.

#![allow(clippy::unwrap_used, reason = "where a test can't go on it should say so")]

mod access;
mod ground;
mod history;
mod http;
mod model;
mod privacy;
mod processes;
mod quota;
mod sealed;
mod values;
