use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use async_trait::async_trait;
use nsl_core::{Code, Error, Result, Secret};
use zeroize::Zeroizing;

use super::{Name, Vault, coding};

/// `<dir>/<name>/<version>`, one file each, mode 0600 in directories of mode 0700.
pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }
}

#[async_trait]
impl Vault for Files {
    async fn versions(&self, name: &Name) -> Result<Vec<u32>> {
        let home = self.dir.join(&name.0);
        run(name, move || versions(&home)).await
    }

    async fn read(&self, name: &Name, version: u32) -> Result<Option<Secret>> {
        let home = self.dir.join(&name.0);
        run(name, move || {
            if !home.exists() {
                return Ok(None);
            }
            refuse_replaceable(&home)?;
            read(&home.join(version.to_string()))
        })
        .await
    }

    async fn write(&self, name: &Name, version: u32, secret: &Secret) -> Result<bool> {
        let (dir, home, secret) = (self.dir.clone(), self.dir.join(&name.0), secret.clone());
        run(name, move || {
            for part in [&dir, &home] {
                make_private(part)?;
                refuse_replaceable(part)?;
            }
            write(&home, version, &coding::encode(&secret))
        })
        .await
    }
}

/// The message names only the secret; paths and modes go into the cause, which stays in this process.
async fn run<T: Send + 'static>(name: &Name, work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    done.map_err(|cause| {
        Error::new(Code::Unavailable, "secrets.unusable", format!("secret {} cannot be used", name.0)).because(cause)
    })
}

fn versions(home: &Path) -> anyhow::Result<Vec<u32>> {
    let entries = match fs::read_dir(home) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("listing {}", home.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(text) = name.to_str() else { continue };
        // Only the plain form counts: "01" and temporary files are no versions.
        found.extend(text.parse::<u32>().ok().filter(|version| *version > 0 && version.to_string() == text));
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads a secret from a file that nobody else may read. `None` when there is no such file.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Secret>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_context(|| format!("opening {}", path.display()))?,
    };
    let about = file.metadata()?;
    // A file of another owner (a mounted secret of root) is reached through its group; our own needs none.
    let forbidden = if about.uid() == own_uid() { 0o077 } else { 0o037 };
    if about.mode() & forbidden != 0 {
        bail!(
            "{} has mode {:03o} and other users could reach it: run `chmod 600 {}`",
            path.display(),
            about.mode() & 0o777,
            path.display()
        );
    }
    let mut raw = Zeroizing::new(Vec::with_capacity(about.len() as usize + 1));
    file.read_to_end(&mut raw).with_context(|| format!("reading {}", path.display()))?;
    coding::decode(&raw).with_context(|| format!("{} is empty or badly encoded", path.display())).map(Some)
}

/// A directory that others may write would let them put their own secret into our place.
fn refuse_replaceable(dir: &Path) -> anyhow::Result<()> {
    let mode = fs::metadata(dir)?.mode();
    if mode & 0o022 != 0 {
        bail!(
            "{} has mode {:03o} and other users could replace its files: run `chmod 700 {}`",
            dir.display(),
            mode & 0o777,
            dir.display()
        );
    }
    Ok(())
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| format!("creating {}", dir.display()))?;
    sync_parent(dir)
}

/// The file appears under its name whole and durable, or not at all: linking, unlike renaming, never replaces.
fn write(home: &Path, version: u32, bytes: &[u8]) -> anyhow::Result<bool> {
    let draft = home.join(format!(".{}", nsl_core::fresh("draft")));
    let whole = home.join(version.to_string());
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match fs::hard_link(&draft, &whole) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    })();
    let removed = fs::remove_file(&draft);
    let written = written.with_context(|| format!("writing {}", whole.display()))?;
    removed?;
    sync_parent(&whole)?;
    Ok(written)
}

fn sync_parent(path: &Path) -> anyhow::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).with_context(|| format!("syncing {}", parent.display()))
}

/// Without `/proc` we cannot know; root then stands in, whose files are held to the strict rule.
fn own_uid() -> u32 {
    fs::metadata("/proc/self").map_or(0, |about| about.uid())
}
