use std::{future::Future, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use nsl_kit::Environment;

use crate::{
    commands::{
        Done, account::Account, apikey::Apikey, audit::Audit, config::Config, contract::Contract, devnet::Devnet,
        health::Health, n3::N3, secrets::Secrets, storage::Storage, tx::Tx,
    },
    dev::Dev,
    exit::{EXIT_CODES, Failure},
    migrate::Migrate,
    openapi::Openapi,
    serve::Serve,
    tenant::Tenant,
};

/// Neo Service Layer: run it, or talk to it.
#[derive(Parser)]
#[command(name = "nsl", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// One JSON document on standard output instead of text; failures as JSON on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything in one process on embedded engines; keeps its state in .nsl
    Dev(Dev),
    /// Run all services or some of them, as configured
    Serve(Serve),
    /// Bring the database schema up to date
    Migrate(Migrate),
    /// Check or print the configuration
    Config(Config),
    /// Keep values: put, get, list, history and more
    Storage(Storage),
    /// Send transactions, and follow them until the chain has decided
    Tx(Tx),
    /// Deploy, update, call and read contracts
    Contract(Contract),
    /// Accounts that can send, and what they may spend
    Account(Account),
    /// Neo N3 without a node: addresses, scripts, transactions, proofs, wallets
    N3(N3),
    /// Search the audit trail, or verify that nobody changed it
    Audit(Audit),
    /// Make, list and revoke API keys
    Apikey(Apikey),
    /// Make and list tenants, with the database at hand
    Tenant(Tenant),
    /// Rotate secrets
    Secrets(Secrets),
    /// Real nodes of Neo N3 and Neo X on this machine: up, down, status, fund
    Devnet(Devnet),
    /// Ask a server how it is; exits 5 unless it can serve
    Health(Health),
    /// Print the OpenAPI 3.1 description of the public API
    Openapi(Openapi),
    /// Print the completions of a shell
    Completions { shell: Shell },
}

impl Cli {
    pub(crate) fn run(self) -> ExitCode {
        let environment = Environment::from_process();
        let outcome = match self.command {
            Command::Dev(dev) => return ended(dev.run(environment, self.json), self.json),
            Command::Serve(serve) => return ended(serve.run(environment), self.json),
            Command::Migrate(migrate) => ask(migrate.run(environment)),
            Command::Config(config) => return config.run(environment, self.json),
            Command::Storage(storage) => ask(storage.run(&environment)),
            Command::Tx(tx) => ask(tx.run(&environment)),
            Command::Contract(contract) => ask(contract.run(&environment)),
            Command::Account(account) => ask(account.run(&environment)),
            Command::N3(n3) => ask(n3.run(&environment)),
            Command::Audit(audit) => ask(audit.run(environment)),
            Command::Apikey(apikey) => ask(apikey.run(&environment)),
            Command::Devnet(devnet) => ask(devnet.run(&environment)),
            Command::Health(health) => ask(health.run(&environment)),
            Command::Tenant(tenant) => ask(tenant.run(environment)),
            Command::Openapi(openapi) => openapi.run(),
            Command::Secrets(secrets) => ask(secrets.run(environment)),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "nsl", &mut script);
                let shown = String::from_utf8_lossy(&script).into_owned();
                Ok(Done { json: serde_json::json!({ "script": shown }).to_string(), shown })
            }
        };
        match outcome {
            Ok(done) => done.print(self.json),
            Err(failure) => failure.report(self.json),
        }
    }
}

fn ended(outcome: Result<(), Failure>, as_json: bool) -> ExitCode {
    outcome.map_or_else(|failure| failure.report(as_json), |()| ExitCode::SUCCESS)
}

/// Runs a command that waits for a server or a database.
fn ask(command: impl Future<Output = Result<Done, Failure>>) -> Result<Done, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(anyhow::Error::from)?.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
