//! Passkeys (WebAuthn).

mod config;

pub use config::Config;
