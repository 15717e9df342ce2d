//! What the library makes, against a live node of neo-go and its program.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contexts;
mod fees;
mod node;
mod proofs;
mod shapes;
mod strangers;
mod values;
