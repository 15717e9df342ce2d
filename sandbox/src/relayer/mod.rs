//! The relayer in a storm: calls to the node fail, `nsl` is killed, the pool is emptied, another client uses the key.
//!
//! What came of it is counted at the node itself, past everything that may be wrong with us.

mod ground;
mod luck;
mod n3;
mod proxy;
mod storm;
mod tally;
mod wire;
mod x;

pub use proxy::Befallen;
pub use storm::{Chain, Storm};
pub use tally::Tally;
