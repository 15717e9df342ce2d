//! What is too quick to be seen from outside: measured within the crates, by tests that measure and nothing else.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::report::{Part, date};

const CRATES: [&str; 2] = ["nsl-edge", "nsl-policy"];

pub(crate) fn measure(machine: &str) -> Result<Part> {
    let mut part = Part::new("## Who asks, and whether they may", ["what", "takes"]);
    part.say(format!(
        "Measured by `nsl-bench inside` on {} on {machine}. Within one process, without a network: tokens as the edge \
         checks them, the quickest of many; policies as every operation asks them, the mean of 2,000.",
        date()?
    ));
    for name in CRATES {
        let output = Command::new("cargo")
            .args(["test", "--release", "--locked", "--quiet", "-p", name, "--", "--ignored", "speed", "--nocapture"])
            .stderr(Stdio::inherit())
            .output()
            .context("starting cargo")?;
        ensure!(output.status.success(), "measuring within {name} failed");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut measured =
            text.lines().filter_map(|line| line.strip_prefix("measured: ")?.split_once(" | ")).peekable();
        ensure!(measured.peek().is_some(), "{name} measured nothing");
        measured.for_each(|(what, takes)| part.row([what.to_owned(), takes.to_owned()]));
    }
    Ok(part)
}
