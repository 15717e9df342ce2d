//! Signing in at an identity provider elsewhere (OpenID Connect).

mod config;
mod rules;

pub use config::Config;
