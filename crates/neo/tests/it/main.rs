//! The library against data that other implementations made.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails, and reads where the data is"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod blocks;
mod contracts;
mod proofs;
mod scripts;
mod transactions;
mod vectors;
mod wallets;
