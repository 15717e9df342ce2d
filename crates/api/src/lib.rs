//! The services' faces: one file per service with its trait, its requests, replies and events.
//!
//! Holds: no behaviour. Types only grow: unknown fields are ignored on the internal wire and new ones
//! have defaults, so that processes of neighbouring versions work together.

pub mod access;
pub mod audit;
mod chain;
pub mod contracts;
pub mod federation;
pub mod identity;
pub mod oauth;
mod page;
pub mod passkey;
pub mod people;
pub mod privacy;
pub mod relay;
pub mod sessions;
pub mod signin;
pub mod sponsor;
pub mod storage;
pub mod wallet;

pub use chain::Chain;
pub use page::{Page, Revealed};
