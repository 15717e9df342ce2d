//! The promises of the store, through its client, on both SQL engines.

mod access;
mod ground;
mod history;
mod http;
mod privacy;
mod quota;
mod sealed;
mod values;
