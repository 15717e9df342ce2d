//! Real nodes: downloaded, started, funded, ended, found again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cache;
mod devnet;
mod nodes;
mod registry;
