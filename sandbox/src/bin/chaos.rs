//! `chaos N [postgres]`: kills nsl N times under load and says what was lost.

use std::process::ExitCode;

use anyhow::{Context, Result};
use nsl_sandbox::{Chaos, Database, Launch};

fn main() -> Result<ExitCode> {
    let mut words = std::env::args().skip(1);
    let kills = words.next().context("say how many kills")?.parse().context("reading how many kills")?;
    let database = match words.next().as_deref() {
        Some("postgres") => Some(Database::fresh()?),
        _ => None,
    };
    let mut launch = Launch::dev()?;
    if let Some(database) = &database {
        launch = launch.env("DATABASE_URL", database.url());
    }
    let outcome = Chaos { kills, ..Chaos::default() }.run(launch, |so_far| {
        if so_far.kills % 50 == 0 {
            println!("{so_far}");
        }
    })?;
    println!("{outcome}");
    Ok(if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
