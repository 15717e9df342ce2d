//! How people prove who they are.
//!
//! - Every way to sign in ends in [`Door::finish`], which asks for the second factor where there is one.
//! - An account that is not there answers as one that is: in the same words, after the same work.
//! - Guessers are held up, owners are not (see [`gate`]).
//! - What counts once counts once, however often and wherever it is shown at the same time.

mod account;
mod config;
pub(crate) mod federation;
mod finish;
mod gate;
mod http;
pub(crate) mod page;
pub(crate) mod passkey;
mod password;
mod pepper;
pub(crate) mod person;
pub(crate) mod rules;
mod second;
mod service;
mod store;
pub(crate) mod wallet;
pub(crate) mod ways;
mod worker;

use std::sync::Arc;

use anyhow::Context;
use nsl_kit::Tasks;
use nsl_signin::password::{Breached, Pool};

pub(crate) use self::config::{Config, SignUp};
pub(crate) use self::{http::face, second::prove_second, service::wrong, store::forget_factors};
use crate::{ground::Ground, tokens::Tokens};

/// Where everybody who signs in passes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Door {
    ground: Ground,
    tokens: Arc<Tokens>,
    gate: Arc<gate::Gate>,
    pool: Pool,
    breached: Option<Arc<Breached>>,
}

impl Door {
    /// Starts the threads that hash passwords, and a worker that lets go of what is over.
    pub(crate) fn open_up(ground: Ground, tokens: Arc<Tokens>, tasks: &Tasks) -> anyhow::Result<Self> {
        let config = &ground.config.signin;
        let open = |path: &std::path::PathBuf| {
            Breached::open(path).map(Arc::new).with_context(|| format!("opening {}", path.display()))
        };
        let breached = config.breached_list.as_ref().map(open).transpose()?;
        let pool = Pool::start(config.pool()).context("starting the threads that hash passwords")?;
        worker::start(ground.clone(), tasks);
        Ok(Self { ground, tokens, gate: Arc::default(), pool, breached })
    }
}
