//! Signing in at an identity provider elsewhere (OpenID Connect): the authorization code flow with PKCE, for any
//! provider that tells about itself by discovery.

mod config;
mod exchange;
mod flow;
mod http;
mod outside;
mod provider;
mod registry;
mod rules;
mod service;
mod store;
mod vouch;

pub(crate) use config::Config;
pub(crate) use http::face;
pub(crate) use service::Federations;
pub(crate) use store::{forget_federated, is_managed_elsewhere};
