//! The promises of the edge, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod answers;
mod bounds;
mod certificates;
mod credentials;
mod documents;
mod forge;
mod issuer;
mod observed;
mod ours;
mod refusals;
mod rig;
mod smuggling;
mod tokens;
