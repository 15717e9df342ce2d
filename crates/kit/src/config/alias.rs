//! The names that deployments already use, beside `NSL_...`. Each is accepted as `<NAME>_FILE` too.

use toml::Value;

use super::{
    environment::{Environment, file_text},
    layers::{Given, of_file},
    mistake::Mistakes,
    origin::Origin,
    schema::{Found, Schema},
    tree::Tree,
};

enum Meaning {
    /// Sets these settings, as far as there are such.
    Sets(&'static [&'static str]),
    /// Fills the password that these URLs lack.
    Fills(&'static [&'static str]),
    /// Belongs to a part that reads it from elsewhere or is not in this build.
    Known,
    /// No longer has a meaning: says why.
    Retired(&'static str),
}
use Meaning::{Fills, Known, Retired, Sets};

const RETIRED_IAS: &str = "EPID attestation and the Intel Attestation Service (IAS) are retired: only DCAP is supported, remove this variable";

/// Who names a Redis wants it used: what these variables turn on unless something else was chosen.
const IMPLIED: &[(&str, &[(&str, &str)])] = &[("REDIS_URL", &[("cache.engine", "redis"), ("limits.engine", "redis")])];

const ALIASES: &[(&str, Meaning)] = &[
    ("DATABASE_URL", Sets(&["sql.url"])),
    ("DATABASE_CONNECTION", Sets(&["sql.url"])),
    ("DB_PASSWORD", Fills(&["sql.url", "sql.read_only_url"])),
    ("REDIS_URL", Sets(&["redis.url"])),
    ("REDIS_PASSWORD", Fills(&["redis.url"])),
    ("RABBITMQ_URL", Sets(&["queue.url"])),
    ("RABBITMQ_PASSWORD", Fills(&["queue.url"])),
    ("ALLOWED_ORIGINS", Sets(&["cors.allowed_origins"])),
    ("JWT_SECRET_KEY", Known),
    ("NEO_N3_RPC_URL", Sets(&["chain.neo_n3.endpoints"])),
    ("NEO_X_RPC_URL", Sets(&["chain.neo_x.endpoints"])),
    ("SGX_MODE", Known),
    ("SGX_DEBUG", Known),
    ("ENCLAVE_PATH", Known),
    ("IAS_API_KEY", Retired(RETIRED_IAS)),
];

pub(super) fn of_environment(environment: &Environment, schema: &Schema, mistakes: &mut Mistakes) -> Vec<Given> {
    let mut all = Vec::<Given>::new();
    for (alias, meaning) in ALIASES {
        for name in [(*alias).to_owned(), format!("{alias}_FILE")] {
            let Some(text) = environment.get(&name).filter(|text| !text.is_empty()) else { continue };
            match meaning {
                Retired(why) => mistakes.push(Origin::Variable(name), "", *why),
                Known | Fills(_) => {}
                Sets(paths) => {
                    for path in paths.iter().filter(|path| matches!(schema.find(path), Found::Leaf(_))) {
                        let given = match name.ends_with("_FILE") {
                            true => of_file(&name, text, path, mistakes),
                            false => Some(Given {
                                path: (*path).to_owned(),
                                value: Err(text.to_owned()),
                                origin: Origin::Variable(name.clone()),
                            }),
                        };
                        all.extend(given);
                    }
                }
            }
        }
    }
    refuse_disagreement(&all, mistakes);
    all
}

/// Turns on what goes with a variable, where nobody chose.
pub(super) fn imply(tree: &mut Tree, schema: &Schema, environment: &Environment) {
    for (alias, settings) in IMPLIED {
        for name in [(*alias).to_owned(), format!("{alias}_FILE")] {
            if environment.get(&name).is_none_or(str::is_empty) {
                continue;
            }
            for (path, text) in *settings {
                if tree.get(path).is_some_and(|entry| entry.origin == Origin::Default) {
                    tree.set(schema, path, Value::String((*text).to_owned()), Origin::Variable(name.clone()));
                }
            }
        }
    }
}

/// Two names for one setting may both be there as long as they say the same.
fn refuse_disagreement(all: &[Given], mistakes: &mut Mistakes) {
    for (at, given) in all.iter().enumerate() {
        if let Some(other) = all[..at].iter().find(|other| other.path == given.path && other.value != given.value) {
            let message = format!("says something else than {}: set only one", other.origin);
            mistakes.push(given.origin.clone(), &given.path, message);
        }
    }
}

/// Puts the passwords that came by themselves into the URLs that lack one.
pub(super) fn fill_passwords(tree: &mut Tree, schema: &Schema, environment: &Environment, mistakes: &mut Mistakes) {
    for (alias, meaning) in ALIASES {
        let Fills(paths) = meaning else { continue };
        let file = format!("{alias}_FILE");
        let text = |name: &str| environment.get(name).filter(|text| !text.is_empty());
        let password = match (text(alias), text(&file)) {
            (Some(_), Some(_)) => {
                mistakes.push(
                    Origin::Variable(file.clone()),
                    "",
                    format!("set by this and by {alias} too: choose one"),
                );
                continue;
            }
            (Some(password), None) => password.to_owned(),
            (None, Some(path)) => match file_text(path.as_ref()) {
                Ok(password) => password,
                Err(message) => {
                    mistakes.push(Origin::Variable(file.clone()), "", message);
                    continue;
                }
            },
            (None, None) => continue,
        };
        for path in *paths {
            let filled = tree.get(path).and_then(|entry| {
                with_password(entry.value.as_str()?, &password).map(|url| (url, entry.origin.clone()))
            });
            if let Some((url, origin)) = filled {
                tree.set(schema, path, Value::String(url), origin);
            }
        }
    }
}

/// The URL or `key=value` text with the password, unless it has one or takes none.
fn with_password(url: &str, password: &str) -> Option<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        let takes = url.contains("host=") && !url.contains("password=");
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        return takes.then(|| format!("{url} password='{quoted}'"));
    };
    if matches!(scheme, "sqlite" | "file" | "memory") {
        return None;
    }
    let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let password = escaped(password);
    match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') && !user.ends_with(':') => None,
        Some((user, host)) => {
            let after = &rest[authority.len()..];
            Some(format!("{scheme}://{}:{password}@{host}{after}", user.trim_end_matches(':')))
        }
        None => Some(format!("{scheme}://:{password}@{rest}")),
    }
}

/// Percent-encoded, all but the unreserved characters of RFC 3986.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_a_setting_of_the_reference() {
        let schema = Schema::parse(super::super::DEFAULTS).unwrap();
        let implied = IMPLIED.iter().flat_map(|(_, settings)| settings.iter().map(|(path, _)| *path));
        let named = ALIASES.iter().flat_map(|(_, meaning)| match meaning {
            Sets(paths) | Fills(paths) => *paths,
            Known | Retired(_) => &[],
        });
        for path in named.copied().chain(implied) {
            assert!(matches!(schema.find(path), Found::Leaf(Value::String(_) | Value::Array(_))), "{path}");
        }
    }

    #[test]
    fn a_password_fills_only_the_gap() {
        for (url, filled) in [
            ("postgres://nsl@db/nsl?a=b", Some("postgres://nsl:p%40%2Fw@db/nsl?a=b")),
            ("postgres://nsl:@db/nsl", Some("postgres://nsl:p%40%2Fw@db/nsl")),
            ("redis://cache:6379", Some("redis://:p%40%2Fw@cache:6379")),
            ("postgres://nsl:known@db/nsl", None),
            ("sqlite:///var/lib/nsl.db", None),
            ("host=db user=nsl", Some("host=db user=nsl password='p@/w'")),
            ("host=db password=x", None),
            ("", None),
        ] {
            assert_eq!(with_password(url, "p@/w").as_deref(), filled, "{url}");
        }
    }
}
