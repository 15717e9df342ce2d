use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const LEAST_PERCENT: f64 = 80.0;

/// Runs all tests instrumented, the programs that they start included, and prints the share of lines that ran,
/// by crate and in all; fails when that is too little. `rest` goes to the tool, as in `coverage -p nsl-core`.
///
/// Test code, the sandbox and these chores are run but not counted.
pub(crate) fn run(root: &Path, rest: &[&str]) -> Result<()> {
    let setup = Command::new(root.join("scripts/setup.sh")).arg("coverage").status().context("running setup.sh")?;
    ensure!(setup.success(), "setup.sh coverage: {setup}");
    let target = root.join("target/coverage");
    fs::create_dir_all(&target)?;
    let mut command = Command::new(root.join(".sandbox/cargo/bin/cargo-tarpaulin"));
    // Profiles are written and read by the compiler's own runtime and by the tool: no LLVM is needed.
    command.args(["tarpaulin", "--engine", "llvm", "--follow-exec", "--skip-clean", "--locked", "--no-fail-fast"]);
    command.args([
        "--timeout",
        "900",
        "--out",
        "Json",
        "--exclude-files",
        "sandbox/*",
        "bench/*",
        "target/*",
        "xtask/*",
        "*/tests/*",
        "*/benches/*",
    ]);
    command.arg("--target-dir").arg(&target).arg("--output-dir").arg(&target).current_dir(root);
    if rest.is_empty() {
        command.arg("--workspace");
    }
    // One test at a time: instrumented code is slow, and here all tests of a binary share a process.
    let report = target.join("tarpaulin-report.json");
    let _ = fs::remove_file(&report);
    let log = target.join("tests.log");
    let status = command.args(rest).args(["--", "--test-threads", "1"]).stdout(fs::File::create(&log)?).status();
    let status = status.context("running cargo-tarpaulin")?;
    let report = fs::read(report).with_context(|| format!("reading the report of cargo-tarpaulin: {status}"))?;
    let percent = print(root, &serde_json::from_slice(&report)?)?;
    for failed in fs::read_to_string(&log)?.lines().filter(|line| line.ends_with("... FAILED")) {
        eprintln!("{failed}");
    }
    ensure!(status.success(), "running the tests instrumented: {status}; see {}", log.display());
    ensure!(percent >= LEAST_PERCENT, "{percent:.2} % of lines ran, {LEAST_PERCENT} % are asked for");
    Ok(())
}

fn print(root: &Path, report: &Value) -> Result<f64> {
    let mut parts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for file in report["files"].as_array().context("reading the files of the report")? {
        let words = file["path"].as_array().context("reading a path of the report")?;
        let path: std::path::PathBuf = words.iter().filter_map(Value::as_str).collect();
        let path = path.strip_prefix(root).unwrap_or(&path);
        let part: std::path::PathBuf = path.iter().take(2).collect();
        let sum = parts.entry(part.display().to_string()).or_default();
        sum.0 += file["covered"].as_u64().unwrap_or_default();
        sum.1 += file["coverable"].as_u64().unwrap_or_default();
    }
    let percent = |(covered, of): (u64, u64)| if of == 0 { 100.0 } else { covered as f64 * 100.0 / of as f64 };
    let mut all = (0, 0);
    for (part, sum) in &parts {
        println!("{:6.2} %  {:>6} of {:>6}  {part}", percent(*sum), sum.0, sum.1);
        all = (all.0 + sum.0, all.1 + sum.1);
    }
    println!("line coverage: {:.2} % ({} of {} lines)", percent(all), all.0, all.1);
    Ok(percent(all))
}
