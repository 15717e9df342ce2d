//! What persons ask about their data, carried out by all services that hold any.

mod erase;
mod holder;
mod http;
mod service;
mod store;
mod worker;

pub(crate) use http::face;
pub(crate) use worker::start;
