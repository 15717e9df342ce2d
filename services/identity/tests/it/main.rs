//! The promises of identity, through its client, on both SQL engines.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod borders;
mod ground;
mod in_flight;
mod keys;
mod oauth;
mod owned_keys;
mod people;
mod presence;
mod privacy;
mod second_factor;
mod signin;
mod tenants;
mod token_keys;
mod tokens;
mod wallets;
