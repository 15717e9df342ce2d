//! What starting a node of either kind has in common: a free port, and waiting until it answers.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{
    cache::{Cache, Program, write_whole},
    port::{claim, free_port},
    process::{Identity, Life, Running, tail},
};

pub(crate) const LOG: &str = "node.log";
const RECORD: &str = "process.json";

const TRIES: u32 = 5;
const MOST_BUSY: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(20);

/// Which process a directory's node is, and where it listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) identity: Identity,
    pub(crate) port: u16,
}

impl Record {
    /// What was written at the last start in this directory.
    pub(crate) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()
    }

    fn write(&self, dir: &Path) -> Result<()> {
        write_whole(&dir.join(RECORD), &serde_json::to_vec(self)?, 0o600)
    }
}

/// How a node of either kind is started.
pub(crate) struct Start<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) life: Life,
    /// This port and no other; none takes the last one again if it is free, or any free one.
    pub(crate) port: Option<u16>,
}

impl Start<'_> {
    /// Starts it, tried again on another port when a program takes the chosen one first, and waits until it is ready.
    pub(crate) async fn run<Ready>(
        &self,
        command: impl Fn(u16) -> Result<Command>,
        ready: impl Fn(u16) -> Ready,
    ) -> Result<(Running, u16)>
    where
        Ready: Future<Output = Result<()>>,
    {
        let log = self.dir.join(LOG);
        let mut last = match Record::read(self.dir).map(|record| record.port) {
            Some(port) if claim(port)? => Some(port),
            _ => None,
        };
        let (mut ports_left, mut busy_left) = (TRIES, MOST_BUSY);
        while ports_left > 0 {
            let port = match self.port.or(last) {
                Some(port) if !claim(port)? => bail!("port {port} is taken by another program"),
                Some(port) => port,
                None => free_port()?,
            };
            let noted = |identity: &Identity| Record { identity: identity.clone(), port }.write(self.dir);
            let running = Running::start(command(port)?, &log, self.life, noted).await?;
            let Err(failed) = wait(&running, &log, || ready(port)).await else { return Ok((running, port)) };
            running.kill();
            let told = fs::read_to_string(&log).unwrap_or_default().to_lowercase();
            if told.contains("text file busy") && busy_left > 0 {
                // A program that was written a moment ago counts as busy while a child forked meanwhile still has its
                // file open.
                busy_left -= 1;
                sleep(TICK).await;
            } else if told.contains("address already in use") && self.port.is_none() {
                last = None;
                ports_left -= 1;
            } else {
                return Err(failed);
            }
        }
        bail!("other programs took each of {TRIES} ports")
    }
}

async fn wait<Ready: Future<Output = Result<()>>>(
    running: &Running,
    log: &Path,
    ready: impl Fn() -> Ready,
) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        if !running.runs() {
            bail!("it ended while starting: {}", tail(log));
        }
        match ready().await {
            // Another program may be the one that answers.
            Ok(()) if running.runs() => return Ok(()),
            Ok(()) => {}
            Err(error) if Instant::now() > until => {
                return Err(error.context(format!("not ready after {} s: {}", PATIENCE.as_secs(), tail(log))));
            }
            Err(_) => sleep(TICK).await,
        }
    }
}

/// The program to run: the one that was named, or the pinned one.
pub(crate) async fn program(named: Option<&PathBuf>, cache: Option<&Cache>, pinned: &Program) -> Result<PathBuf> {
    match (named, cache) {
        (Some(named), _) if !named.is_file() => bail!("there is no program {}", named.display()),
        (Some(named), _) => Ok(std::path::absolute(named)?),
        (None, Some(cache)) => cache.program(pinned).await,
        (None, None) => Cache::of_user()?.program(pinned).await,
    }
}

/// Writes down how a node was started.
pub(crate) fn keep(file: &Path, options: &impl Serialize) -> Result<()> {
    write_whole(file, &serde_json::to_vec_pretty(options)?, 0o600)
}

/// Makes a directory for this user alone, and gives its whole path: a node outlives the place where it was started.
pub(crate) fn private_dir(path: &Path) -> Result<PathBuf> {
    let make = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        std::path::absolute(path)
    };
    make().with_context(|| format!("making {}", path.display()))
}
