use std::{future::Future, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use nsl_kit::Environment;

use crate::{
    commands::{
        Done,
        access::Access,
        account::Account,
        apikey::Apikey,
        audit::Audit,
        clients::Clients,
        config::Config,
        contract::Contract,
        devnet::Devnet,
        health::Health,
        login::{Login, Logout, Whoami},
        mfa::Mfa,
        n3::N3,
        people::{Members, Roles, Tenants, Users},
        secrets::Secrets,
        sessions::Sessions,
        storage::Storage,
        tx::Tx,
    },
    dev::Dev,
    exit::{EXIT_CODES, Failure},
    migrate::Migrate,
    openapi::Openapi,
    person::Person,
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
    /// Sign in to a server, for the commands that follow
    Login(Box<Login>),
    /// Forget a sign-in, and end it at the server
    Logout(Logout),
    /// Show who you are to the server
    Whoami(Whoami),
    /// Make, list, change, rotate and revoke API keys
    #[command(visible_alias = "keys")]
    Apikey(Apikey),
    /// Where you are signed in; let devices in
    Sessions(Sessions),
    /// Second factors of your account
    Mfa(Mfa),
    /// The users of the tenant: list, search, invite, suspend, delete
    Users(Users),
    /// The members of the tenant and their roles
    Members(Members),
    /// Roles: what members may do
    Roles(Roles),
    /// The tenants that you are a member of
    Tenants(Tenants),
    /// Machines that get their tokens by OAuth 2.0
    Clients(Clients),
    /// Whether somebody may do something, and policies
    Access(Access),
    /// Make and list tenants, with the database at hand
    Tenant(Tenant),
    /// Suspend or delete persons on the whole platform, with the database at hand
    Person(Person),
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
            Command::Login(login) => ask(login.run(&environment)),
            Command::Logout(logout) => ask(logout.run(&environment)),
            Command::Whoami(whoami) => ask(whoami.run(&environment)),
            Command::Apikey(apikey) => ask(apikey.run(&environment)),
            Command::Sessions(sessions) => ask(sessions.run(&environment)),
            Command::Mfa(mfa) => ask(mfa.run(&environment)),
            Command::Users(users) => ask(users.run(&environment)),
            Command::Members(members) => ask(members.run(&environment)),
            Command::Roles(roles) => ask(roles.run(&environment)),
            Command::Tenants(tenants) => ask(tenants.run(&environment)),
            Command::Clients(clients) => ask(clients.run(&environment)),
            Command::Access(access) => ask(access.run(&environment)),
            Command::Devnet(devnet) => ask(devnet.run(&environment)),
            Command::Health(health) => ask(health.run(&environment)),
            Command::Tenant(tenant) => ask(tenant.run(environment)),
            Command::Person(person) => ask(person.run(environment)),
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
