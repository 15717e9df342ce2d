//! The library against data that other implementations made.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails, and reads where the data is"
)]

mod blocks;
mod contracts;
mod examples;
mod proofs;
mod properties;
mod scripts;
mod strangers;
mod transactions;
mod vectors;
mod wallets;
