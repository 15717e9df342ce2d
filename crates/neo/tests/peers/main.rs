//! The library beside two independent clients, neon-js and neo-mamba: each reads what the other wrote, and both write
//! the same bytes. `scripts/peers.sh` installs them.
//!
//! What is compared is made at random; each test prints its seed, and `PEERS_SEED` repeats it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod contracts;
mod peer;
mod random;
mod scripts;
mod secrets;
mod speed;
mod transactions;
mod wallets;
