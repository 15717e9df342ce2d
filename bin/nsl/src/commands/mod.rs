//! The commands that talk to a server, or look at its files.

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod apikey;
pub(crate) mod audit;
pub(crate) mod chain;
pub(crate) mod clients;
pub(crate) mod config;
pub(crate) mod contract;
pub(crate) mod devnet;
pub(crate) mod health;
pub(crate) mod hidden;
pub(crate) mod input;
pub(crate) mod login;
pub(crate) mod mfa;
pub(crate) mod n3;
pub(crate) mod page;
pub(crate) mod people;
pub(crate) mod secrets;
pub(crate) mod sending;
pub(crate) mod sessions;
pub(crate) mod storage;
pub(crate) mod tx;

use std::{io::Write, process::ExitCode};

use clap::{Args, Subcommand};
use nsl_kit::Environment;
use reqwest::header::HeaderName;
use serde_json::Value;

use crate::{
    client::{Client, Reach, Reply},
    exit::Failure,
    server::Server,
};

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A command: the server that it asks, or the data directory that it works on, and what it does there.
#[derive(Args)]
pub(crate) struct Asking<C: Subcommand> {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    command: C,
}

/// What is done with the server that was reached.
pub(crate) trait Asks {
    async fn with(self, client: &Client) -> Result<Done, Failure>;
}

impl<C: Subcommand + Asks> Asking<C> {
    pub(crate) async fn run(self, environment: &Environment) -> Result<Done, Failure> {
        let Self { reach, command } = self;
        Server::during(&reach, environment, async |client| command.with(client).await).await
    }
}

/// What a command has to say: one JSON document for programs, or text for people.
pub(crate) struct Done {
    pub(crate) json: String,
    pub(crate) shown: String,
}

impl Done {
    /// A reply that is one object; `shown` words it.
    pub(crate) fn one(reply: Reply, shown: impl FnOnce(&Value) -> String) -> Self {
        let value = reply.read::<Value>().unwrap_or(Value::Null);
        Self { shown: shown(&value), json: reply.text().to_owned() }
    }

    pub(crate) fn print(self, as_json: bool) -> ExitCode {
        let text = if as_json { format!("{}\n", self.json.trim_end()) } else { self.shown };
        let mut out = std::io::stdout().lock();
        // A reader that has seen enough, such as `head`, is no failure.
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        }
    }
}
