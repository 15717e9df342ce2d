//! API keys: who may call without being a person.

mod change;
mod config;
mod http;
mod reach;
pub(crate) mod rules;
mod service;
mod store;
mod worker;

pub(crate) use config::Config;
pub(crate) use http::face;
pub use service::Revoked;
pub(crate) use service::Service as Keys;
pub(crate) use store::find as find_key;
pub(crate) use worker::start;
