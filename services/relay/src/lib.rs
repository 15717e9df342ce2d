//! Transactions on their way: accepted once, sent until the chain has decided, never twice.

pub mod nonces;
pub mod validity;
