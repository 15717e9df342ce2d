//! Signing in with wallets.
//!
//! - A message signs in once, on the domain, network and account that it was given for, within five minutes. What it
//!   was given for is in the database: any process takes it, before and after a restart.
//! - Signatures are judged without asking a chain, so contracts that judge them themselves are not taken.

mod config;
mod http;
mod rules;
mod service;
mod store;

pub(crate) use config::Config;
pub(crate) use http::face;
pub(crate) use service::Wallets;
pub(crate) use store::forget_wallets;
