use std::{path::Path, process::Command};

use anyhow::{Context, Result};
use toml::Table;

use super::stdout;

/// Reads the rules that cargo-deny reads too, and applies those on licences and banned crates to what is built.
pub(super) fn check(root: &Path, found: &mut Vec<String>) -> Result<()> {
    let rules: Table = std::fs::read_to_string(root.join("deny.toml"))?.parse().context("reading deny.toml")?;
    let allowed = strings(&rules, "licenses", "allow");
    let exceptions = rules["licenses"].get("exceptions").and_then(|list| list.as_array()).cloned().unwrap_or_default();
    let banned: Vec<String> = rules["bans"]["deny"]
        .as_array()
        .context("reading bans.deny of deny.toml")?
        .iter()
        .filter_map(|entry| entry.get("crate").and_then(|name| name.as_str()).map(str::to_owned))
        .collect();
    let tree = stdout(
        Command::new("cargo")
            .args([
                "tree",
                "--workspace",
                "--locked",
                "--edges",
                "normal,build",
                "--prefix",
                "none",
                "--format",
                "{p}|{l}",
            ])
            .current_dir(root),
    )?;
    let mut lines: Vec<&str> = tree.lines().filter(|line| !line.ends_with("(*)") && line.contains('|')).collect();
    lines.sort_unstable();
    lines.dedup();
    for line in lines {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split_whitespace().next().unwrap_or_default();
        if banned.iter().any(|ban| ban == name) {
            found.push(format!("deny.toml: the crate {name} is banned; see cargo tree -i {name}"));
        }
        let mut may = allowed.clone();
        for exception in exceptions.iter().filter(|entry| entry.get("crate").and_then(|c| c.as_str()) == Some(name)) {
            let more = exception.get("allow").and_then(|list| list.as_array()).cloned().unwrap_or_default();
            may.extend(more.iter().filter_map(|licence| licence.as_str()).map(str::to_owned));
        }
        if !satisfied(licence, &may) {
            found.push(format!("deny.toml: the licence of {name} is not allowed: {licence}"));
        }
    }
    Ok(())
}

fn strings(rules: &Table, part: &str, key: &str) -> Vec<String> {
    let list = rules.get(part).and_then(|part| part.get(key)).and_then(|list| list.as_array());
    list.into_iter().flatten().filter_map(|item| item.as_str()).map(str::to_owned).collect()
}

// An SPDX expression with AND, OR and parentheses; AND binds tighter, a slash is an old way to write OR.
fn satisfied(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    !words.is_empty() && either(&words, &mut at, allowed) && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut holds = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        holds |= all(words, at, allowed);
    }
    holds
}

fn all(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut holds = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        holds &= one(words, at, allowed);
    }
    holds
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    if words.get(*at) == Some(&"(") {
        *at += 1;
        let holds = either(words, at, allowed);
        *at += 1;
        return holds;
    }
    let mut name = words.get(*at).copied().unwrap_or_default().to_owned();
    *at += 1;
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words.get(*at + 1).copied().unwrap_or_default());
        *at += 2;
    }
    allowed.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read() {
        let allowed = ["MIT".to_owned(), "ISC".to_owned()];
        for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "ISC AND (MIT OR GPL-3.0)", "GPL-3.0 OR ISC AND MIT"] {
            assert!(satisfied(good, &allowed), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "ISC AND (GPL-3.0 OR MPL-2.0)", "MIT WITH something"] {
            assert!(!satisfied(bad, &allowed), "{bad}");
        }
    }
}
