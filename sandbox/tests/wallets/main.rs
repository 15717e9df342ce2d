//! Signing in with real wallets of both chains, over HTTP, through processes that each run one service.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "real programs live in real time")]

mod attacks;
mod entries;
#[allow(dead_code, reason = "other tests need the rest of it")]
#[path = "../platform/ground.rs"]
mod ground;
mod hands;
#[path = "../../../crates/signin/tests/peers/neo_go_wallet.rs"]
mod neo_go_wallet;
#[path = "../../../crates/signin/tests/peers/peer.rs"]
mod peer;
