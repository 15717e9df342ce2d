//! The relay with a real anvil, on both SQL engines.

#![allow(clippy::unwrap_used, reason = "where a test can't go on it should say so")]

mod again;
mod anvil;
mod anvil_lies;
mod budgets;
mod events;
mod explain;
mod ground;
mod http;
mod n3_ground;
mod neo_go;
mod process;
mod proxy;
mod sponsor;
mod sponsor_ground;
mod states;
