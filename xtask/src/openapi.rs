use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

const COMMITTED: &str = "docs/openapi.json";

/// Writes what the program says of its public interface into the file that is committed.
pub(crate) fn write(root: &Path) -> Result<()> {
    fs::write(root.join(COMMITTED), generated(root)?).with_context(|| format!("writing {COMMITTED}"))?;
    println!("wrote {COMMITTED}");
    Ok(())
}

/// Fails when the committed file is not what the program says.
pub(crate) fn check(root: &Path) -> Result<()> {
    let committed = fs::read_to_string(root.join(COMMITTED)).with_context(|| format!("reading {COMMITTED}"))?;
    ensure!(committed == generated(root)?, "{COMMITTED} is behind the code: run cargo xtask openapi");
    Ok(())
}

fn generated(root: &Path) -> Result<String> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--package", "nsl", "--", "openapi"])
        .current_dir(root)
        .output()
        .context("running nsl openapi")?;
    if !output.status.success() {
        bail!("running nsl openapi: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut text = String::from_utf8(output.stdout).context("reading what nsl openapi printed")?;
    serde_json::from_str::<serde_json::Value>(&text).context("reading what nsl openapi printed as JSON")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
