//! Which settings are secret, and how values are shown.

use toml::Value;

const HIDDEN: &str = "[secret]";

/// By name: the last word is `password`, `secret` or `token` (or their plural), or the name ends in
/// `_key` or `_keys`. A bare `key` is a path to a file, and paths may be seen.
pub(super) fn is_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    let word = name.rsplit('_').next().unwrap_or_default();
    matches!(word, "password" | "passwords" | "secret" | "secrets" | "token" | "tokens")
        || name.ends_with("_key")
        || name.ends_with("_keys")
}

pub(super) fn shown(path: &str, value: &Value) -> Value {
    let empty = match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if is_secret(path) && !empty {
        return Value::String(HIDDEN.to_owned());
    }
    match value {
        Value::String(text) if is_endpoint(path) => Value::String(host_of(text)),
        Value::String(text) => Value::String(without_passwords(text)),
        Value::Array(items) => {
            let path = if is_endpoint(path) { path } else { "" };
            Value::Array(items.iter().map(|item| shown(path, item)).collect())
        }
        other => other.clone(),
    }
}

/// URLs of nodes: providers put a customer's key into the path or the name of the user.
fn is_endpoint(path: &str) -> bool {
    path.rsplit('.').next() == Some("endpoints")
}

/// A URL without what may be secret in it.
fn host_of(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return HIDDEN.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let whole = format!("{scheme}://{host}");
    if text.trim_end_matches('/') == whole { whole } else { format!("{whole}/{HIDDEN}") }
}

/// Hides the password of a URL or of a `key=value` connection text, and whatever a query says of one.
pub fn without_passwords(text: &str) -> String {
    let mut shown = text.to_owned();
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        // A password with an unescaped slash or question mark: everything to the last `@` may be part of it.
        let credentials = match rest.rfind('@') {
            Some(at) if at >= authority.len() => &rest[..at],
            _ => authority.rsplit_once('@').map_or("", |(credentials, _)| credentials),
        };
        if let Some((user, password)) = credentials.split_once(':').filter(|(_, password)| !password.is_empty()) {
            let after = &rest[user.len() + 1 + password.len()..];
            shown = format!("{scheme}://{user}:{HIDDEN}{after}");
        }
    }
    for word in ["password=", "Password=", "pwd=", "Pwd=", "secret=", "token="] {
        let mut from = 0;
        while let Some(at) = shown[from..].find(word) {
            let start = from + at + word.len();
            let length = quoted_length(&shown[start..]);
            shown.replace_range(start..start + length, HIDDEN);
            from = start + HIDDEN.len();
        }
    }
    shown
}

fn quoted_length(rest: &str) -> usize {
    if let Some(inner) = rest.strip_prefix('\'') {
        return inner.find('\'').map_or(rest.len(), |end| end + 2);
    }
    rest.find([' ', '&', ';']).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_hidden() {
        for (given, expected) in [
            (
                "postgres://nsl:hunter2@db:5432/nsl?sslmode=require",
                "postgres://nsl:[secret]@db:5432/nsl?sslmode=require",
            ),
            ("redis://:hunter2@cache", "redis://:[secret]@cache"),
            ("amqp://guest@mq/%2f", "amqp://guest@mq/%2f"),
            ("postgres://nsl:hun/ter2@db/nsl", "postgres://nsl:[secret]@db/nsl"),
            ("host=db user=nsl password='hun ter2' dbname=x", "host=db user=nsl password=[secret] dbname=x"),
            ("postgres://db/nsl?user=a&password=hunter2&x=y", "postgres://db/nsl?user=a&password=[secret]&x=y"),
            ("plain text: no url", "plain text: no url"),
        ] {
            assert_eq!(without_passwords(given), expected);
        }
    }

    #[test]
    fn of_endpoints_only_the_host_is_shown() {
        let given = ["http://127.0.0.1:20332/", "https://u:hunter2@n3.example/v1/hunter3?k=hunter4", "hunter5"];
        let given = Value::Array(given.iter().map(|url| Value::String((*url).to_owned())).collect());
        let expected = ["http://127.0.0.1:20332", "https://n3.example/[secret]", "[secret]"];
        let said = shown("chain.neo_n3.endpoints", &given);
        assert_eq!(said, Value::Array(expected.iter().map(|url| Value::String((*url).to_owned())).collect()));
    }

    #[test]
    fn secret_names_are_known() {
        for secret in ["rpc.peer_keys", "blobs.secret_key", "cache.password", "x.refresh_token"] {
            assert!(is_secret(secret), "{secret}");
        }
        for open in ["public.tls.key", "public.tls.cert", "limits.keys_per_minute", "log.level"] {
            assert!(!is_secret(open), "{open}");
        }
    }
}
