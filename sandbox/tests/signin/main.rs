//! Signing in at a running `nsl`: at a real identity provider, with authenticators of a real browser, on the page.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

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
