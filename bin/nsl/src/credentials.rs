//! Who is signed in where: one file for this user alone, one credential for each server.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use nsl_api::Revealed;
use nsl_core::Timestamp;
use nsl_kit::Environment;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::exit::{Exit, Failure};

const LONGEST_TURN: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(20);

/// What a server takes from this user.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Credential {
    Key { api_key: Revealed },
    Session(Session),
}

/// The tokens of a sign-in. The refresh token is good once: each use gives the next.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) access_token: Revealed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<Revealed>,
    /// When the access token ends.
    pub(crate) expires_at: Timestamp,
    pub(crate) tenant: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    servers: BTreeMap<String, Credential>,
}

/// The file, which need not be there.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    file: PathBuf,
}

/// The right to change the file, and to use a refresh token: one command at a time.
pub(crate) struct Turn<'a> {
    credentials: &'a Credentials,
    _lock: File,
}

impl Credentials {
    /// `$XDG_CONFIG_HOME/nsl/credentials.json`, else below `~/.config`; none where there is no home.
    pub(crate) fn of(environment: &Environment) -> Option<Self> {
        let named = |name: &str| environment.get(name).filter(|dir| dir.starts_with('/')).map(PathBuf::from);
        let config = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")))?;
        Some(Self { file: config.join("nsl").join("credentials.json") })
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// What is kept for this server.
    pub(crate) fn get(&self, server: &Url) -> anyhow::Result<Option<Credential>> {
        Ok(self.read()?.servers.remove(&name(server)))
    }

    /// The servers that something is kept for.
    pub(crate) fn servers(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.read()?.servers.into_keys().collect())
    }

    fn read(&self) -> anyhow::Result<Content> {
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", self.file.display())),
        };
        let mode = fs::metadata(&self.file)?.mode();
        ensure!(mode & 0o077 == 0, "{0} can be read by other users: chmod 600 {0}", self.file.display());
        serde_json::from_str(&text).map_err(|_| {
            // Not what is wrong with it: that would quote it.
            anyhow::anyhow!("{} is not what nsl wrote: remove it and sign in again by nsl login", self.file.display())
        })
    }

    /// Waits for commands that change the file at this moment.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Failure> {
        let lock = self.lock_file().with_context(|| format!("opening the lock of {}", self.file.display()))?;
        let until = Instant::now() + LONGEST_TURN;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Turn { credentials: self, _lock: lock }),
                Err(fs::TryLockError::Error(error)) => return Err(anyhow::Error::from(error).into()),
                Err(fs::TryLockError::WouldBlock) if Instant::now() > until => {
                    let message = format!("another command holds {} since long: try again later", self.file.display());
                    return Err(Failure::new(Exit::Unavailable, message));
                }
                Err(fs::TryLockError::WouldBlock) => sleep(TICK).await,
            }
        }
    }

    fn lock_file(&self) -> io::Result<File> {
        let dir = self.file.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let file = self.file.with_extension("lock");
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file)
    }
}

impl Turn<'_> {
    pub(crate) fn set(&self, server: &Url, credential: Credential) -> anyhow::Result<()> {
        let mut content = self.credentials.read()?;
        content.servers.insert(name(server), credential);
        self.write(&content)
    }

    /// What was kept for the server until now.
    pub(crate) fn remove(&self, server: &Url) -> anyhow::Result<Option<Credential>> {
        let mut content = self.credentials.read()?;
        let removed = content.servers.remove(&name(server));
        if removed.is_some() {
            self.write(&content)?;
        }
        Ok(removed)
    }

    /// Replaces the file as a whole, and has it on disk when this returns: a refresh token that was spent is worth
    /// nothing, so the next one must not be lost.
    fn write(&self, content: &Content) -> anyhow::Result<()> {
        let file = &self.credentials.file;
        let fresh = file.with_extension("json.new");
        let write = || -> io::Result<()> {
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            out.write_all(serde_json::to_string_pretty(content)?.as_bytes())?;
            out.sync_all()?;
            fs::rename(&fresh, file)?;
            File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        write().with_context(|| format!("writing {}", file.display()))
    }
}

/// A server as the file names it: without the slash that all base URLs here end with.
fn name(server: &Url) -> String {
    server.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn at(dir: &Path) -> Credentials {
        let environment = Environment::from_iter([("XDG_CONFIG_HOME", dir.to_str().unwrap())]);
        Credentials::of(&environment).unwrap()
    }

    fn key(text: &str) -> Credential {
        Credential::Key { api_key: Revealed(text.to_owned()) }
    }

    #[tokio::test]
    async fn each_server_has_one_credential_in_a_file_of_this_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = at(dir.path());
        let (one, other) = (Url::parse("https://one.example/").unwrap(), Url::parse("https://two.example/x/").unwrap());
        assert!(credentials.get(&one).unwrap().is_none() && credentials.servers().unwrap().is_empty());
        let turn = credentials.turn().await.unwrap();
        turn.set(&one, key("nsl_1")).unwrap();
        turn.set(&other, key("nsl_2")).unwrap();
        turn.set(&one, key("nsl_3")).unwrap();
        drop(turn);
        assert_eq!(credentials.servers().unwrap(), ["https://one.example", "https://two.example/x"]);
        let Some(Credential::Key { api_key }) = credentials.get(&one).unwrap() else { panic!("none is kept") };
        assert_eq!(api_key.0, "nsl_3");
        for (path, mode) in [(credentials.file(), 0o600), (credentials.file().parent().unwrap(), 0o700)] {
            assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, mode, "{}", path.display());
        }
        let turn = credentials.turn().await.unwrap();
        assert!(turn.remove(&one).unwrap().is_some() && turn.remove(&one).unwrap().is_none());
        assert!(credentials.get(&one).unwrap().is_none() && credentials.get(&other).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_refused_and_a_broken_one_is_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = at(dir.path());
        let server = Url::parse("https://one.example/").unwrap();
        credentials.turn().await.unwrap().set(&server, key("nsl_secret")).unwrap();
        fs::set_permissions(credentials.file(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(credentials.get(&server).err().unwrap().to_string().contains("chmod 600"));
        fs::set_permissions(credentials.file(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(credentials.file(), r#"{"servers":{"https://one.example":{"kind":"nsl_secret"}}}"#).unwrap();
        let error = format!("{:#}", credentials.get(&server).err().unwrap());
        assert!(error.contains("nsl login") && !error.contains("nsl_secret"), "{error}");
    }
}
