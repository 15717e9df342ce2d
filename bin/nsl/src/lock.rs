//! Who works on a data directory with the embedded SQL engine: one `nsl dev` or one command alone, or processes of
//! `nsl serve` beside each other. A lock ends with its process, however that ends.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use tokio::time::{Instant, sleep};

use crate::{
    engines,
    exit::{Exit, Failure},
    left::Left,
};

const LONGEST_TURN: Duration = Duration::from_secs(300);
/// How long a start waits for the commands before it.
const PATIENCE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(20);

pub(crate) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// Who has a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Nobody,
    /// `nsl dev`, or a command in its place.
    One,
    /// Processes of `nsl serve`.
    Servers,
}

/// The whole directory; none when others have it. From here on nothing tells of a server on it until the new holder
/// says where it answers: what the last one had may be another program's by now.
pub(crate) fn alone(dir: &Path) -> anyhow::Result<Option<Lock>> {
    let file = open(dir, "dev.lock")?;
    if !taken(file.try_lock(), dir)? {
        return Ok(None);
    }
    if let Some(left) = Left::read(dir)?.filter(|left| left.url.is_some()) {
        Left { url: None, ..left }.write(dir)?;
    }
    Ok(Some(Lock(file)))
}

/// The same, waiting a moment for somebody who only looks.
pub(crate) async fn alone_soon(dir: &Path) -> anyhow::Result<Option<Lock>> {
    for _ in 0..10 {
        if let Some(lock) = alone(dir)? {
            return Ok(Some(lock));
        }
        sleep(TICK).await;
    }
    Ok(None)
}

/// The whole directory, or none as soon as the one who has it says where it answers, or has had the time to.
pub(crate) async fn alone_or_answered(dir: &Path) -> anyhow::Result<Option<Lock>> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(lock) = alone(dir)? {
            return Ok(Some(lock));
        }
        let answered = Left::read(dir)?.is_some_and(|left| left.url.is_some());
        if answered || Instant::now() > until || holder(dir)? == Holder::Servers {
            return Ok(None);
        }
        sleep(TICK).await;
    }
}

/// The directory together with other servers, after the commands that work on it.
pub(crate) async fn beside(dir: &Path) -> Result<Lock, Failure> {
    let file = open(dir, "dev.lock")?;
    let until = Instant::now() + PATIENCE;
    while !taken(file.try_lock_shared(), dir)? {
        if Instant::now() > until {
            let message =
                format!("an nsl dev runs on {}: stop it first, or serve another data directory", dir.display());
            return Err(Failure::new(Exit::Unavailable, message));
        }
        sleep(TICK).await;
    }
    Ok(Lock(file))
}

/// The turn of a command that may work on the directory itself: one after the other, since the next one would talk to a
/// server that ends with the command before it.
pub(crate) async fn turn(dir: &Path) -> Result<Lock, Failure> {
    let file = open(dir, "command.lock")?;
    let until = Instant::now() + LONGEST_TURN;
    while !taken(file.try_lock(), dir)? {
        if Instant::now() > until {
            let message = format!("another command works on {} since long: try again later", dir.display());
            return Err(Failure::new(Exit::Unavailable, message));
        }
        sleep(TICK).await;
    }
    Ok(Lock(file))
}

pub(crate) fn holder(dir: &Path) -> anyhow::Result<Holder> {
    if !dir.is_dir() {
        return Ok(Holder::Nobody);
    }
    let file = open(dir, "dev.lock")?;
    match (taken(file.try_lock_shared(), dir)?, taken(file.try_lock(), dir)?) {
        (_, true) => Ok(Holder::Nobody),
        (true, false) => Ok(Holder::Servers),
        (false, false) => Ok(Holder::One),
    }
}

pub(crate) fn refused(dir: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "another nsl dev runs on {}: stop it first, also to see its API key by --show-key; the key is in {} as well, \
         where the command line finds it",
        dir.display(),
        Left::file(dir).display()
    )
}

fn open(dir: &Path, name: &str) -> anyhow::Result<File> {
    engines::prepare(dir)?;
    let path = dir.join(name);
    File::create(&path).with_context(|| format!("opening {}", path.display()))
}

fn taken(outcome: Result<(), TryLockError>, dir: &Path) -> anyhow::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", dir.display())),
    }
}

#[cfg(test)]
mod tests {
    use nsl_api::Revealed;

    use super::*;

    fn left(url: &str) -> Left {
        Left { url: Some(url.to_owned()), tenant: "ten_1".into(), api_key: Revealed("nsl_1".into()) }
    }

    #[tokio::test]
    async fn one_works_alone_and_servers_beside_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(holder(dir).unwrap(), Holder::Nobody);
        let one = alone(dir).unwrap().unwrap();
        assert!(alone(dir).unwrap().is_none());
        assert_eq!(holder(dir).unwrap(), Holder::One);
        drop(one);
        let servers = (beside(dir).await.ok().unwrap(), beside(dir).await.ok().unwrap());
        assert!(alone(dir).unwrap().is_none());
        assert_eq!(holder(dir).unwrap(), Holder::Servers);
        drop(servers);
        assert_eq!(holder(dir).unwrap(), Holder::Nobody);
    }

    #[test]
    fn where_the_last_one_answered_is_forgotten_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        left("http://127.0.0.1:1").write(dir.path()).unwrap();
        let _lock = alone(dir.path()).unwrap().unwrap();
        let kept = Left::read(dir.path()).unwrap().unwrap();
        assert_eq!((kept.url, kept.tenant.as_str()), (None, "ten_1"));
    }
}
