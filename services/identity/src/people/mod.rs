//! Users, tenants, members, roles and invites.

mod accounts;
mod config;
mod custom;
mod doings;
pub(crate) mod giving;
mod http;
pub(crate) mod invites;
mod members;
pub(crate) mod privacy;
mod profile;
mod reads;
pub(crate) mod roles;
mod rules;
mod service;
pub(crate) mod store;
mod tenants;

pub(crate) use config::Config;
pub(crate) use http::face;
pub(crate) use service::Service as People;
