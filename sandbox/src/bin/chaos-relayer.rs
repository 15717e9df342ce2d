//! `chaos-relayer [N] [neo-x|neo-n3] [SECONDS]`: N transactions of one account while everything fails, and what the
//! chain says of them afterwards; `nsl` is killed every so many seconds.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use nsl_sandbox::{Launch, Storm};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let mut words = std::env::args().skip(1);
    let mut storm = Storm::default();
    if let Some(word) = words.next() {
        storm.requests = word.parse().context("reading how many transactions")?;
    }
    if let Some(word) = words.next() {
        storm.chain = word.parse()?;
    }
    if let Some(word) = words.next() {
        storm.life = Duration::from_secs_f64(word.parse().context("reading the seconds between kills")?);
    }
    let tally = storm.run(Launch::dev()?, |line| println!("{line}")).await?;
    println!("{tally}");
    Ok(if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
