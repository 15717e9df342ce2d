//! Signing in at a running `nsl`: at a real identity provider, with authenticators of a real browser, on the page.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "real programs live in real time")]

mod browser;
mod client;
mod federation;
mod ground;
mod hostile;
mod neighbour;
mod page;
mod passkey;
mod peer;
mod provider;
mod tenants;
