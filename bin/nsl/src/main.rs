//! `nsl`: the one binary. It runs the platform, as one process or as one of many, and is its command line.
//!
//! Holds: only this crate knows which services exist; everything that can fail at a start fails before a
//! port opens, and all of it is said at once; a key is never an argument, since arguments are seen by all.

mod chain_problems;
mod chains;
mod cli;
mod client;
mod commands;
mod credentials;
mod desk;
mod dev;
mod engines;
mod exit;
mod given;
mod identities;
mod left;
mod lock;
mod migrate;
mod openapi;
mod person;
mod process;
mod refresh;
mod serve;
mod server;
mod settings;
mod show;
#[cfg(test)]
mod slugs;
mod stop;
mod tenant;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use rustix::{fs::Mode, process::umask};

// A request makes some dozens of small allocations: this allocator takes a third of the time of glibc's for
// them, and gives memory back after a burst.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Whatever is written to disk is for this user alone, also in a directory that others can enter.
    umask(Mode::RWXG | Mode::RWXO);
    cli::Cli::parse().run()
}
