//! Listeners.

mod network;

pub use network::Network;
