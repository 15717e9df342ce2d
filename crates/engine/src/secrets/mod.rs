//! Named, versioned secrets.
//!
//! Promises: a version once written never changes; the current version is the highest; a file that other users
//! of the machine could read or replace is refused; nothing here prints a secret.

mod coding;
mod environment;
mod files;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use nsl_core::{Code, Error, Result, Secret};
use serde::Deserialize;

use crate::Mistake;

/// Where secrets come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsConfig {
    pub engine: SecretsEngine,
    /// Directory of the engine `files`; empty means `secrets` in the data directory.
    pub dir: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretsEngine {
    Files,
    Environment,
}

impl SecretsConfig {
    pub fn check(&self) -> Vec<Mistake> {
        let misplaced = self.engine == SecretsEngine::Environment && !self.dir.is_empty();
        misplaced
            .then(|| Mistake::new("secrets.dir", "has no meaning with secrets.engine = \"environment\""))
            .into_iter()
            .collect()
    }
}

/// The versions of one secret that can be read, ascending; the last one is the current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    pub current: u32,
    pub all: Vec<u32>,
}

/// What an engine must be able to do.
#[async_trait]
trait Vault: Send + Sync {
    /// Ascending, empty when there is no such secret.
    async fn versions(&self, name: &Name) -> Result<Vec<u32>>;
    async fn read(&self, name: &Name, version: u32) -> Result<Option<Secret>>;
    /// Writes exactly this version; `false` when it is there already.
    async fn write(&self, name: &Name, version: u32, secret: &Secret) -> Result<bool>;
}

/// The secrets of this process. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    vault: Arc<dyn Vault>,
    generate: bool,
}

impl Secrets {
    /// `generate` (development only) lets [`Secrets::ensure`] make what is missing; `environment` is read by the
    /// engine of that name alone.
    pub fn build(
        config: &SecretsConfig,
        data_dir: &Path,
        generate: bool,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let vault: Arc<dyn Vault> = match config.engine {
            SecretsEngine::Files if config.dir.is_empty() => Arc::new(files::Files::new(data_dir.join("secrets"))),
            SecretsEngine::Files => Arc::new(files::Files::new(config.dir.clone().into())),
            SecretsEngine::Environment => Arc::new(environment::Environment::new(environment)?),
        };
        Ok(Self { vault, generate })
    }

    /// The current version. `secrets.missing` when there is none.
    pub async fn get(&self, name: &str) -> Result<Secret> {
        let name = Name::parse(name)?;
        let current = self.vault.versions(&name).await?.last().copied().ok_or_else(|| missing(&name))?;
        self.vault.read(&name, current).await?.ok_or_else(|| missing(&name))
    }

    /// The current version, once every version could be read: an old one opens what was sealed under it, so that
    /// one which others may read or replace is refused as well.
    pub async fn get_and_check_all(&self, name: &str) -> Result<Secret> {
        let Versions { current, all } = self.versions(name).await?;
        for version in all.into_iter().filter(|version| *version != current) {
            self.get_version(name, version).await?;
        }
        self.get_version(name, current).await
    }

    /// One version, which may be an old one that still opens what was sealed under it.
    pub async fn get_version(&self, name: &str, version: u32) -> Result<Secret> {
        let name = Name::parse(name)?;
        self.vault.read(&name, version).await?.ok_or_else(|| {
            Error::new(Code::NotFound, "secrets.missing", format!("secret {} has no version {version}", name.0))
        })
    }

    /// Which versions there are. `secrets.missing` when there is none.
    pub async fn versions(&self, name: &str) -> Result<Versions> {
        let name = Name::parse(name)?;
        let all = self.vault.versions(&name).await?;
        let current = all.last().copied().ok_or_else(|| missing(&name))?;
        Ok(Versions { current, all })
    }

    /// Writes the next version and says which it is. It is on disk when this returns; `secrets.read_only` from an
    /// engine that cannot write.
    pub async fn put_new_version(&self, name: &str, secret: &Secret) -> Result<u32> {
        let name = Name::parse(name)?;
        if secret.is_empty() {
            return Err(Error::invalid("secrets.empty", format!("the new version of secret {} is empty", name.0)));
        }
        loop {
            let next = self.vault.versions(&name).await?.last().map_or(1, |last| last + 1);
            if self.vault.write(&name, next, secret).await? {
                return Ok(next);
            }
        }
    }

    /// The current version; when there is none and this is development, a random one of `length` bytes, made once
    /// even when several processes ask at the same time.
    pub async fn ensure(&self, name: &str, length: usize) -> Result<Secret> {
        match self.get(name).await {
            Err(error) if error.slug == "secrets.missing" && self.generate => {}
            found => return found,
        }
        let mut fresh = zeroize::Zeroizing::new(vec![0; length]);
        aws_lc_rs::rand::fill(&mut fresh).map_err(|_| Error::internal(anyhow::anyhow!("no randomness")))?;
        self.vault.write(&Name::parse(name)?, 1, &Secret::new(fresh.to_vec())).await?;
        self.get(name).await
    }
}

fn missing(name: &Name) -> Error {
    Error::new(Code::NotFound, "secrets.missing", format!("secret {} does not exist", name.0))
}

/// Lower case letters, digits, `-`, `_` and `.`, not first a `.`; at most 64: safe as a file name and as the name
/// of an environment variable.
struct Name(String);

impl Name {
    fn parse(text: &str) -> Result<Self> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if text.is_empty() || text.len() > 64 || text.starts_with('.') || !text.chars().all(fits) {
            return Err(Error::invalid("secrets.name", format!("{text:?} is not a name for a secret")));
        }
        Ok(Self(text.to_owned()))
    }
}
