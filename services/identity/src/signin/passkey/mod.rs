//! Passkeys (WebAuthn): a challenge that is answered once, by an authenticator that asked its owner.

mod config;
mod http;
mod rules;
mod service;
mod store;

pub(crate) use config::Config;
pub(crate) use http::face;
pub(crate) use service::Passkeys;
pub(crate) use store::{forget_passkeys, has_passkey};
