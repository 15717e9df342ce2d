//! The promises of this crate, on real nodes.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "nodes and proxies of tests, outside a test function"
)]

mod faults;
mod many;
mod n3;
mod proxy;
mod signers;
mod x;
