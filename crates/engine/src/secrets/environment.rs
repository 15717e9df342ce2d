use std::{collections::BTreeMap, path::Path};

use async_trait::async_trait;
use nsl_core::{Code, Error, Result, Secret};
use zeroize::Zeroizing;

use super::{Name, Vault, coding, files};

/// `NSL_SECRET_<NAME>` or `NSL_SECRET_<NAME>_FILE` is version 1; `NSL_SECRET_<NAME>__<N>` (also with `_FILE`) is
/// version N, for a rotation. Read once; files are read at each use.
pub(super) struct Environment {
    variables: BTreeMap<String, Secret>,
}

const PREFIX: &str = "NSL_SECRET_";

enum Place<'a> {
    Value(&'a Secret),
    File(&'a Secret),
}

impl Environment {
    pub(super) fn new(environment: &BTreeMap<String, String>) -> Result<Self> {
        let ours = environment.iter().filter(|(key, _)| key.starts_with(PREFIX));
        let variables = ours.map(|(key, value)| (key.clone(), Secret::new(value.as_bytes()))).collect();
        let all = Self { variables };
        for key in all.variables.keys().filter(|key| !key.ends_with("_FILE")) {
            if all.variables.contains_key(&format!("{key}_FILE")) {
                return Err(Error::invalid("secrets.twice", format!("both {key} and {key}_FILE are set")));
            }
            if key.strip_suffix("__1").is_some_and(|bare| all.place(bare).is_some()) {
                return Err(Error::invalid("secrets.twice", format!("{key} is set with and without its version")));
            }
        }
        Ok(all)
    }

    fn place(&self, key: &str) -> Option<Place<'_>> {
        let value = self.variables.get(key).map(Place::Value);
        value.or_else(|| self.variables.get(&format!("{key}_FILE")).map(Place::File))
    }
}

fn variable(name: &Name) -> String {
    format!("{PREFIX}{}", name.0.to_ascii_uppercase().replace(['-', '.'], "_"))
}

#[async_trait]
impl Vault for Environment {
    async fn versions(&self, name: &Name) -> Result<Vec<u32>> {
        let bare = variable(name);
        let mut found: Vec<u32> = self.place(&bare).map(|_| 1).into_iter().collect();
        for key in self.variables.keys() {
            let version = key.strip_prefix(&bare).and_then(|rest| rest.strip_prefix("__"));
            let digits = version.map(|version| version.strip_suffix("_FILE").unwrap_or(version));
            found.extend(digits.and_then(|digits| digits.parse::<u32>().ok()).filter(|version| *version > 0));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    async fn read(&self, name: &Name, version: u32) -> Result<Option<Secret>> {
        let bare = variable(name);
        let plain = if version == 1 { self.place(&bare) } else { None };
        let unusable =
            || Error::new(Code::Unavailable, "secrets.unusable", format!("secret {} cannot be used", name.0));
        match plain.or_else(|| self.place(&format!("{bare}__{version}"))) {
            None => Ok(None),
            Some(Place::Value(value)) => {
                let raw = Zeroizing::new(value.expose().to_vec());
                coding::decode(&raw)
                    .map(Some)
                    .ok_or_else(|| unusable().because(anyhow::anyhow!("{bare} is empty or badly encoded")))
            }
            Some(Place::File(path)) => {
                let path = path.expose_str().unwrap_or_default().to_owned();
                let read = move || files::read(Path::new(&path))?.ok_or_else(|| anyhow::anyhow!("no file at {path}"));
                let found = tokio::task::spawn_blocking(read).await.map_err(Error::internal)?;
                found.map(Some).map_err(|cause| unusable().because(cause))
            }
        }
    }

    async fn write(&self, name: &Name, _: u32, _: &Secret) -> Result<bool> {
        Err(Error::new(
            Code::Unavailable,
            "secrets.read_only",
            format!("secret {} comes from the environment: set {} to change it", name.0, variable(name)),
        ))
    }
}
