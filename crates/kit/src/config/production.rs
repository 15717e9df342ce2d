//! What production refuses in any setting, and in the variables that are no settings.

use super::{
    environment::{Environment, file_text},
    mistake::Mistakes,
    origin::Origin,
    tree::Tree,
};

const SHORTEST_PASSWORD: usize = 12;
const SHORTEST_KEY: usize = 32;
/// What images and guides come with.
const DEFAULTS: &[&str] = &["changeme", "change-me", "change_me", "password", "secret", "default", "example"];

pub(super) fn check(tree: &Tree, environment: &Environment, mistakes: &mut Mistakes) {
    for (path, entry) in tree.iter() {
        if let Some(why) = entry.value.as_str().and_then(weakness) {
            mistakes.add(path, format!("production refuses a password that {why}: set a random one of at least {SHORTEST_PASSWORD} characters"));
        }
    }
    let on = |text: &str| !matches!(text, "" | "0" | "false" | "FALSE" | "False");
    if environment.get("SGX_DEBUG").is_some_and(on) {
        let say = "an enclave that can be debugged keeps no secret: production refuses it, unset this variable";
        mistakes.push(Origin::Variable("SGX_DEBUG".to_owned()), "", say);
    }
    for (name, key) in [
        ("JWT_SECRET_KEY", environment.get("JWT_SECRET_KEY").map(|text| Ok(text.to_owned()))),
        ("JWT_SECRET_KEY_FILE", environment.get("JWT_SECRET_KEY_FILE").map(|path| file_text(path.as_ref()))),
    ] {
        let said = match key {
            Some(Ok(key)) if !key.is_empty() && key.len() < SHORTEST_KEY => {
                format!("production refuses a key of fewer than {SHORTEST_KEY} bytes: set a random one")
            }
            Some(Err(unreadable)) => unreadable,
            _ => continue,
        };
        mistakes.push(Origin::Variable(name.to_owned()), "", said);
    }
}

/// What is wrong with the password of a URL, if there is one.
fn weakness(url: &str) -> Option<&'static str> {
    let authority = url.split_once("://")?.1;
    let (credentials, _) = authority.split(['/', '?']).next()?.rsplit_once('@')?;
    let (user, password) = credentials.split_once(':').filter(|(_, password)| !password.is_empty())?;
    let plain = password.to_ascii_lowercase();
    if plain == user.to_ascii_lowercase() || DEFAULTS.iter().any(|default| plain.starts_with(default)) {
        return Some("is a default");
    }
    (password.chars().count() < SHORTEST_PASSWORD).then_some("is short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_default_passwords_are_seen() {
        for (url, said) in [
            ("postgres://nsl:hunter2@db/nsl", Some("is short")),
            ("amqp://guest:guest@mq", Some("is a default")),
            ("postgres://nsl-production:nsl-production@db/nsl", Some("is a default")),
            ("redis://:ChangeMe-please@cache", Some("is a default")),
            ("postgres://nsl:9f2c77aa41d0@db/nsl", None),
            ("postgres://nsl@db/nsl", None),
            ("http://127.0.0.1:4318", None),
            ("plain", None),
        ] {
            assert_eq!(weakness(url), said, "{url}");
        }
    }
}
