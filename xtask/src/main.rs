//! Chores of the workspace: `cargo xtask tidy | openapi [--check] | coverage`.
//!
//! Holds: nothing here is needed to build or run nsl; each chore exits other than 0 when what it checks does
//! not hold, and names every place at once.

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

mod coverage;
mod openapi;
mod tidy;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tidy"] => tidy::run(&root()),
        ["openapi"] => openapi::write(&root()),
        ["openapi", "--check"] => openapi::check(&root()),
        ["coverage", rest @ ..] => coverage::run(&root(), rest),
        _ => bail!("say which chore: tidy, openapi [--check], coverage"),
    }
}

fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
