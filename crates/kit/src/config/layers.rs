//! The layers over the defaults, and how they are laid over each other.

use std::path::Path;

use toml::Value;

use super::{
    environment::{Environment, file_text},
    fit,
    mistake::Mistakes,
    origin::Origin,
    redact,
    schema::{Found, Schema},
    tree::Tree,
};

/// One setting as some layer gives it: a typed value, or text to be read as the default's type.
pub(super) struct Given {
    pub(super) path: String,
    pub(super) value: Result<Value, String>,
    pub(super) origin: Origin,
}

/// Variables that are ours and not settings: what the CLI, the build and the environment secrets engine read.
const NOT_SETTINGS: &[&str] =
    &["NSL_URL", "NSL_API_KEY", "NSL_CONFIG", "NSL_TENANT", "NSL_COMMIT", "NSL_BIN", "NSL_VECTORS", "NSL_CRD_SCHEMAS"];
const NOT_SETTINGS_PREFIXES: &[&str] = &["NSL_SECRET_", "NSL_TEST_", "NSL_BENCH_", "NSL_SANDBOX_"];

/// `NSL_<SECTION>__<KEY>` and its `_FILE` form.
pub(super) fn of_environment(environment: &Environment, schema: &Schema, mistakes: &mut Mistakes) -> Vec<Given> {
    let mut all = Vec::new();
    for name in environment.unreadable().iter().filter(|name| name.starts_with("NSL_")) {
        mistakes.push(Origin::Variable(name.clone()), "", "is not UTF-8");
    }
    for (name, text) in environment.iter() {
        let Some(rest) = name.strip_prefix("NSL_") else { continue };
        let ours = NOT_SETTINGS.contains(&name) || NOT_SETTINGS_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if ours || is_service_link(rest) {
            continue;
        }
        let path = rest.to_ascii_lowercase().replace("__", ".");
        if let (Found::Unknown { .. }, Some(target)) = (schema.find(&path), path.strip_suffix("_file"))
            && !matches!(schema.find(target), Found::Unknown { .. })
        {
            if environment.get(&name[..name.len() - "_FILE".len()]).is_some() {
                let twice = format!("set by this and by {} too: choose one", &name[..name.len() - "_FILE".len()]);
                mistakes.push(Origin::Variable(name.to_owned()), target, twice);
                continue;
            }
            all.extend(of_file(name, text, target, mistakes));
            continue;
        }
        all.push(Given { path, value: Err(text.to_owned()), origin: Origin::Variable(name.to_owned()) });
    }
    all
}

/// A value that stands in a file of its own, as orchestrators mount secrets.
pub(super) fn of_file(name: &str, file: &str, path: &str, mistakes: &mut Mistakes) -> Option<Given> {
    match file_text(Path::new(file)) {
        Ok(text) => {
            let origin = Origin::VariableFile { name: name.to_owned(), path: file.into() };
            Some(Given { path: path.to_owned(), value: Err(text), origin })
        }
        Err(message) => {
            mistakes.push(Origin::Variable(name.to_owned()), path, message);
            None
        }
    }
}

/// `--set section.key=value`.
pub(super) fn of_flags(flags: &[String], mistakes: &mut Mistakes) -> Vec<Given> {
    let mut all = Vec::new();
    for flag in flags {
        match flag.split_once('=') {
            Some((path, text)) => {
                let path = path.trim().to_owned();
                all.push(Given { origin: Origin::Flag(path.clone()), path, value: Err(text.to_owned()) });
            }
            None => {
                let shown = flag.split_whitespace().next().unwrap_or_default().to_owned();
                mistakes.push(Origin::Flag(shown), "", "wants section.key=value");
            }
        }
    }
    all
}

/// Lays one layer over the tree; what does not fit is noted and left out.
pub(super) fn lay(tree: &mut Tree, schema: &Schema, layer: Vec<Given>, mistakes: &mut Mistakes) {
    for Given { path, value, origin } in layer {
        let default = match schema.find(&path) {
            Found::Leaf(default) => default,
            Found::Table => {
                let got = value.as_ref().map_or("text", fit::named);
                mistakes.push(origin, &path, format!("wants a table of settings, got {got}"));
                continue;
            }
            Found::Unknown { near } => {
                let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                mistakes.push(origin, &path, format!("no such setting{hint}"));
                continue;
            }
        };
        let fitted = match value {
            Ok(value) => fit::fit(default, value),
            Err(text) => fit::read(default, &text).map_err(|message| match redact::is_secret(&path) {
                true => message,
                false => format!("{message}, not {:?}", redact::without_passwords(&text)),
            }),
        };
        match fitted {
            Ok(value) => tree.set(schema, &path, value, origin),
            Err(message) => mistakes.push(origin, &path, message),
        }
    }
}

/// Kubernetes puts `<NAME>_SERVICE_HOST`, `<NAME>_PORT_8080_TCP` and the like into every pod for each
/// service of the namespace; one of them may well be called `nsl`.
fn is_service_link(rest: &str) -> bool {
    if rest.contains("__") {
        return false;
    }
    let port = rest == "PORT" || rest.starts_with("PORT_") || rest.ends_with("_PORT") || rest.contains("_PORT_");
    port || rest.contains("SERVICE_HOST") || rest.contains("SERVICE_PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_kubernetes_are_no_settings() {
        for link in ["SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP_ADDR", "STORAGE_PORT_9090_TCP"] {
            assert!(is_service_link(link), "{link}");
        }
        assert!(!is_service_link("HTTP__PORT") && !is_service_link("PROFILE"));
    }
}
