use std::collections::BTreeMap;

use anyhow::{Context, Result};
use toml::Table;

use super::Source;

/// Who may depend on whom; `services` stands for each of them, and only its public face may know the edge.
const ARROWS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("sql", &["core"]),
    ("engine", &["core", "sql"]),
    ("rpc", &["core"]),
    ("kit", &["core"]),
    ("keyring", &["core", "sql", "engine"]),
    ("ledger", &["core", "sql", "keyring"]),
    ("api", &["core", "rpc"]),
    ("privacy", &["core", "kit", "engine", "sql", "ledger", "keyring", "api"]),
    ("policy", &["core"]),
    ("token", &["core"]),
    ("neo", &[]),
    ("neo-rpc", &["neo"]),
    ("chain", &["core", "neo", "neo-rpc"]),
    ("devnet", &["neo"]),
    ("signin", &["core", "neo"]),
    ("edge", &["core", "kit", "rpc", "engine", "sql", "ledger", "keyring", "token", "api"]),
    (
        "services",
        &[
            "core", "kit", "rpc", "engine", "sql", "ledger", "keyring", "api", "privacy", "neo", "chain", "signin",
            "token", "policy", "edge",
        ],
    ),
    (
        "nsl",
        &[
            "core",
            "kit",
            "rpc",
            "engine",
            "sql",
            "ledger",
            "keyring",
            "api",
            "edge",
            "neo",
            "neo-rpc",
            "chain",
            "devnet",
            "policy",
            "identity",
            "storage",
            "audit",
            "relay",
            "contracts",
        ],
    ),
    (
        "bench",
        &[
            "core", "kit", "rpc", "engine", "sql", "ledger", "keyring", "api", "edge", "neo", "chain", "devnet",
            "sandbox",
        ],
    ),
    ("sandbox", &["core", "kit", "rpc", "engine", "sql", "ledger", "keyring", "api", "neo", "neo-rpc", "devnet"]),
    ("xtask", &[]),
];

/// Crates that know one kind of engine, and the only one of ours that may know them.
const HOMES: &[(&str, &str)] = &[
    ("tokio-postgres", "sql"),
    ("tokio-postgres-rustls", "sql"),
    ("deadpool-postgres", "sql"),
    ("postgres-types", "sql"),
    ("rusqlite", "sql"),
    ("redis", "engine"),
    ("lapin", "engine"),
    ("object_store", "engine"),
    ("notify", "kit"),
    ("alloy", "chain"),
    ("alloy-consensus", "chain"),
    ("alloy-dyn-abi", "chain"),
    ("alloy-eips", "chain"),
    ("alloy-json-abi", "chain"),
    ("alloy-primitives", "chain"),
    ("clap", "nsl"),
];

pub(super) fn check(sources: &[Source], found: &mut Vec<String>) -> Result<()> {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for source in sources.iter().filter(|source| source.path.ends_with("/Cargo.toml")) {
        let manifest: Table = source.text.parse().with_context(|| format!("reading {}", source.path))?;
        let Some(name) = manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str())
        else {
            continue;
        };
        let name = name.strip_prefix("nsl-").unwrap_or(name);
        let layer = if source.path.starts_with("services/") { "services" } else { name };
        let Some(allowed) = arrows.get(layer) else {
            found.push(format!("{}: crate {name} has no place in the arrows of xtask/src/tidy/layers.rs", source.path));
            continue;
        };
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(|flag| flag.as_bool()) != Some(true)
        {
            found.push(format!("{}: takes no lints from the workspace", source.path));
        }
        for (dependency, dev) in dependencies(&manifest) {
            if let Some(ours) = dependency.strip_prefix("nsl-") {
                let right = allowed.contains(&ours)
                    // Tests of a service that writes to chains have the real relay behind it.
                    || (dev && (["sandbox", "devnet", "relay"].contains(&ours) || below(&arrows, layer).contains(&ours)));
                if !right {
                    found.push(format!("{}: {name} must not depend on {ours}", source.path));
                }
            }
            if let Some((_, home)) = HOMES.iter().find(|(foreign, _)| *foreign == dependency)
                && !dev
                && *home != name
                // It measures the engines themselves beside us.
                && name != "bench"
            {
                found.push(format!("{}: only {home} may know {dependency}", source.path));
            }
        }
    }
    for source in sources.iter().filter(|source| source.path.starts_with("services/")) {
        let face = source.path.ends_with("/http.rs") || source.path.contains("/http/") || source.is_test();
        if source.has_extension(&["rs"]) && !face && source.text.contains(concat!("nsl_", "edge")) {
            found
                .push(format!("{}: only the public face (http.rs, http/) of a service may know the edge", source.path));
        }
    }
    Ok(())
}

// All that a layer reaches by arrows; its tests may use each of them.
fn below<'a>(arrows: &BTreeMap<&str, &'a [&'a str]>, layer: &str) -> Vec<&'a str> {
    let mut found: Vec<&str> = arrows.get(layer).copied().unwrap_or_default().to_vec();
    let mut next = 0;
    while next < found.len() {
        for more in arrows.get(found[next]).copied().unwrap_or_default() {
            if !found.contains(more) {
                found.push(more);
            }
        }
        next += 1;
    }
    found
}

// Each dependency, and whether only tests have it.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    let mut tables = vec![manifest];
    tables.extend(
        manifest
            .get("target")
            .and_then(|target| target.as_table())
            .into_iter()
            .flat_map(|targets| targets.values().filter_map(|target| target.as_table())),
    );
    for table in tables {
        for (key, dev) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)] {
            let names = table.get(key).and_then(|list| list.as_table()).into_iter().flat_map(|list| list.keys());
            all.extend(names.map(|name| (name.clone(), dev)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, name: &str, rest: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}");
        let mut found = Vec::new();
        check(&[Source { path: path.into(), text }], &mut found).unwrap();
        found
    }

    #[test]
    fn arrows_hold() {
        let services = "services/storage/Cargo.toml";
        assert_eq!(findings(services, "nsl-storage", "[dependencies]\nnsl-core.workspace = true"), [""; 0]);
        assert_eq!(findings("crates/api/Cargo.toml", "nsl-api", "[dependencies]\nnsl-edge.workspace = true").len(), 1);
        assert_eq!(
            findings("crates/ledger/Cargo.toml", "nsl-ledger", "[dependencies]\nnsl-engine.workspace = true").len(),
            1
        );
        assert_eq!(
            findings("crates/ledger/Cargo.toml", "nsl-ledger", "[dev-dependencies]\nnsl-engine.workspace = true"),
            [""; 0]
        );
        assert_eq!(findings(services, "nsl-storage", "[dependencies]\nnsl-audit.workspace = true").len(), 1);
        assert_eq!(
            findings("crates/core/Cargo.toml", "nsl-core", "[dependencies]\nnsl-sandbox.workspace = true").len(),
            1
        );
        assert_eq!(
            findings("crates/core/Cargo.toml", "nsl-core", "[dev-dependencies]\nnsl-sandbox.workspace = true"),
            [""; 0]
        );
        assert_eq!(findings("crates/kit/Cargo.toml", "nsl-kit", "[dependencies]\nredis.workspace = true").len(), 1);
        assert_eq!(findings("crates/new/Cargo.toml", "nsl-new", "").len(), 1);
    }

    #[test]
    fn only_the_face_of_a_service_knows_the_edge() {
        let file = |path: &str| Source { path: path.into(), text: concat!("use nsl_", "edge::Face;\n").into() };
        let mut found = Vec::new();
        for face in ["services/a/src/http.rs", "services/a/src/http/items.rs", "services/a/src/part/http.rs"] {
            check(&[file(face)], &mut found).unwrap();
        }
        assert_eq!(found, [""; 0]);
        check(&[file("services/a/src/service.rs")], &mut found).unwrap();
        assert_eq!(found.len(), 1);
    }
}
