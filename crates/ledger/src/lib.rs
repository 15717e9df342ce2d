//! The audit trail: what was done and what was refused, so that nobody can change it unseen.
//!
//! Promises:
//! - An entry is written by the transaction that makes the change it tells of.
//! - Entries form chains. A chain belongs to a lane (a tenant and one writer of one process), so no process
//!   waits for another's head. Each lane's length and head carry a code (HMAC) under a key that is not in the
//!   database, so its tail can't be cut unseen either.
//! - Checkpoints tie all lanes together by a Merkle root (RFC 6962 hashing) and form a chain themselves: a lane
//!   can't vanish, and a database rolled back as a whole is older than the last checkpoint that was seen.
//! - Personal fields are sealed under their person's key and hashed in sealed form: a person can be erased,
//!   and the chain still verifies.
//! - Repeated refusals of one stranger are counted, one entry a minute.

mod chain;
mod checkpoint;
mod closer;
mod hash;
mod ledger;
mod refusals;
mod retain;
mod search;
mod verify;

pub use checkpoint::Checkpoint;
pub use closer::closer;
pub use hash::ChainKey;
pub use ledger::{Ledger, MIGRATIONS, PLATFORM};
pub use refusals::Refusal;
pub use search::{Found, Search};
pub use verify::{Verdict, verify};
