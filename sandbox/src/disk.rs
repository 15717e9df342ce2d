use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::home::{Room, run};

/// A disk of its own in memory, so small that a test can fill it. Mounting one takes root.
pub struct SmallDisk {
    at: PathBuf,
    _room: Room,
}

impl SmallDisk {
    pub fn mount(bytes: u64) -> Result<Self> {
        let room = Room::new("disk")?;
        let at = room.path().join("disk");
        fs::create_dir(&at)?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=755"), "nsl-sandbox"])
            .arg(&at))
        .context("mounting a small disk, which takes root")?;
        Ok(Self { at, _room: room })
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Writes a file that takes all the room that is left.
    pub fn fill(&self) -> Result<()> {
        let mut file = fs::File::create(self.at.join("filler"))?;
        match std::io::copy(&mut std::io::repeat(0), &mut file) {
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => Ok(()),
            Err(error) => Err(error).context("filling the disk"),
            Ok(_) => anyhow::bail!("filling the disk: it has no end"),
        }
    }

    /// Takes away what `fill` wrote.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.at.join("filler")).context("freeing the disk")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: who still has files open there keeps them until it ends.
        let _ = run(Command::new("umount").arg("-l").arg(&self.at));
    }
}
