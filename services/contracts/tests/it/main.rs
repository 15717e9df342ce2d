//! Contracts on real nodes of both chains, deployed and called through the real relay, on both SQL engines.

#![allow(clippy::unwrap_used, reason = "where a test can't go on it should say so")]

mod again;
mod ground;
mod hostile;
mod http;
mod iterators;
mod n3;
mod x;
mod x_faults;
