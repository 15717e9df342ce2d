//! What no compiler checks: the arrows between crates, sizes, names, comments, links.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

mod docs;
mod layers;
mod licences;
mod sources;

/// A file of the checkout: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "benches")
    }

    fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
    }
}

/// Checks everything and names every place that does not hold.
pub(crate) fn run(root: &Path) -> Result<()> {
    let found = check(root)?;
    for finding in &found {
        eprintln!("{finding}");
    }
    if !found.is_empty() {
        bail!("{} places are untidy", found.len());
    }
    println!("tidy");
    Ok(())
}

fn check(root: &Path) -> Result<Vec<String>> {
    let sources = read(root)?;
    let mut found = Vec::new();
    sources::check(&sources, &mut found);
    docs::check(root, &sources, &mut found);
    layers::check(&sources, &mut found)?;
    licences::check(root, &mut found)?;
    Ok(found)
}

// Tracked files and new ones, less what is ignored or gone.
fn read(root: &Path) -> Result<Vec<Source>> {
    let list = stdout(
        Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root),
    )?;
    let mut sources = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        let whole: PathBuf = root.join(path);
        if !whole.is_file() {
            continue;
        }
        let bytes = fs::read(&whole).with_context(|| format!("reading {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    ensure!(sources.len() > 20, "found only {} files: is this the checkout?", sources.len());
    Ok(sources)
}

fn stdout(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let output = command.output().with_context(|| format!("running {name}"))?;
    ensure!(output.status.success(), "running {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8(output.stdout).with_context(|| format!("reading what {name} printed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let found = check(&crate::root()).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
