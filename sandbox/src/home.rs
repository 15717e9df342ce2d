use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail, ensure};

use crate::process::user_id;

/// Where the sandbox keeps its files: outside the checkout, since servers that refuse to run as root must be
/// able to reach it as another user.
pub(crate) fn home() -> Result<&'static Path> {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    if let Some(home) = HOME.get() {
        return Ok(home);
    }
    let me = user_id();
    let home = std::env::temp_dir().join(format!("nsl-sandbox-{me}"));
    match fs::DirBuilder::new().mode(0o711).create(&home) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("making {}", home.display()));
        }
        _ => {}
    }
    let found = fs::symlink_metadata(&home)?;
    ensure!(found.is_dir() && found.uid() == me, "{} is not a directory of ours", home.display());
    fs::set_permissions(&home, fs::Permissions::from_mode(0o711))?;
    for part in ["shared", "own"] {
        fs::create_dir_all(home.join(part))?;
    }
    let home = HOME.get_or_init(|| home);
    sweep(&home.join("own"));
    Ok(home)
}

/// A directory of this process for one server; it is gone when dropped, or swept by a later test when this
/// process was killed.
pub(crate) struct Room {
    path: PathBuf,
}

impl Room {
    pub(crate) fn new(what: &str) -> Result<Self> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = home()?.join("own").join(format!("{}-{what}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

// Removes what test processes left that could not clean up.
fn sweep(own: &Path) {
    let Ok(entries) = fs::read_dir(own) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_string_lossy().split('-').next().and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Hands `path` and all in it to `user`; does nothing when this process is not root.
pub(crate) fn give(path: &Path, user: &str) -> Result<()> {
    if user_id() != 0 {
        return Ok(());
    }
    run(Command::new("chown").arg("-R").arg(format!("{user}:")).arg(path))?;
    Ok(())
}

/// Runs a program to its end and returns what it printed; an error holds what it said.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("running {name}; scripts/setup.sh test installs it"))?;
    if !output.status.success() {
        bail!("running {name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As [`run`], with `input` on its standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    use std::process::Stdio;
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {name}; scripts/setup.sh test installs it"))?;
    child.stdin.take().context("its input is piped")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("running {name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A tool that scripts/setup.sh keeps beside the sources, not on the system.
pub(crate) fn tool(path: &str) -> Result<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sandbox").join(path);
    ensure!(found.exists(), "finding {}; scripts/setup.sh test installs it", found.display());
    Ok(found.canonicalize()?)
}
