//! Neo N3 without any node: reads, checks and makes what goes to one.

mod address;
mod decode;
mod hash;
mod proof;
mod recognise;
mod script;
mod secrets;
mod sign;
mod wallet;

pub(crate) use address::private_key;
use clap::{Args, Subcommand};
use nsl_kit::Environment;

use super::Done;
use crate::{exit::Failure, show};

#[derive(Args)]
pub(crate) struct N3 {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All forms of an account: address, script hash, key, verification script
    Address(address::Address),
    /// A script in readable form, or back to its bytes
    Script(script::Script),
    /// What a transaction, block, script, NEF, manifest or signing context says
    Decode(decode::Decode),
    /// Sign a transaction, alone or as one of several
    Sign(sign::Sign),
    /// Verify a state proof against a state root; exits 1 when it proves nothing
    Proof(proof::Proof),
    /// Keys under a passphrase
    #[command(subcommand)]
    Nep2(secrets::Nep2),
    /// Wallet files (NEP-6)
    #[command(subcommand)]
    Wallet(wallet::Wallet),
    /// The hash that a contract will have when it is deployed
    Hash(hash::Hash),
}

impl N3 {
    /// Asks nobody and keeps nothing.
    pub(crate) async fn run(self, _: &Environment) -> Result<Done, Failure> {
        match self.command {
            Command::Address(address) => address.run(),
            Command::Script(script) => script.run(),
            Command::Decode(decode) => decode.run(),
            Command::Sign(sign) => sign.run(),
            Command::Proof(proof) => proof.run(),
            Command::Nep2(nep2) => nep2.run(),
            Command::Wallet(wallet) => wallet.run(),
            Command::Hash(hash) => hash.run(),
        }
    }
}

/// What the library refuses is wrong with what was given. The reason may repeat parts of it, which strangers wrote.
fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::usage(show::clean(&error.to_string()))
}
