use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use nsl_api::Revealed;
use serde::{Deserialize, Serialize};

/// What `nsl dev` leaves in its data directory for the command line: where it answers, and the first key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Left {
    /// None while nothing answers yet.
    #[serde(default)]
    pub(crate) url: Option<String>,
    pub(crate) tenant: String,
    pub(crate) api_key: Revealed,
}

impl Left {
    pub(crate) fn file(data_dir: &Path) -> PathBuf {
        data_dir.join("client.json")
    }

    /// `None` when nothing was left; refuses a file that other users of the machine can read.
    pub(crate) fn read(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let file = Self::file(data_dir);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        let mode = fs::metadata(&file)?.mode();
        ensure!(mode & 0o077 == 0, "{0} can be read by other users: chmod 600 {0}", file.display());
        serde_json::from_str(&text).map(Some).with_context(|| format!("reading {}", file.display()))
    }

    /// Replaces the file as a whole, and has it on disk when this returns.
    pub(crate) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let file = Self::file(data_dir);
        let fresh = file.with_extension("json.new");
        let write = || -> std::io::Result<()> {
            match fs::remove_file(&fresh) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            out.write_all(serde_json::to_string(self)?.as_bytes())?;
            out.sync_all()?;
            fs::rename(&fresh, &file)?;
            fs::File::open(data_dir)?.sync_all()
        };
        write().with_context(|| format!("writing {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_private_and_an_opened_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Left::read(dir.path()).unwrap().is_none());
        let left = Left { url: Some("http://h".into()), tenant: "ten_1".into(), api_key: Revealed("nsl_1".into()) };
        left.write(dir.path()).unwrap();
        left.write(dir.path()).unwrap();
        assert_eq!(Left::read(dir.path()).unwrap().unwrap().api_key.0, "nsl_1");
        let file = Left::file(dir.path());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let Err(error) = Left::read(dir.path()) else { panic!("an open file was read") };
        assert!(error.to_string().contains("chmod 600"));
    }
}
