//! Hears of changed files, on any file system.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::mpsc, time::sleep};
use tracing::warn;

/// Editors and orchestrators write in several steps: a change is looked at once they are done.
const SETTLE: Duration = Duration::from_millis(100);
/// Network file systems send no events, so the files are also read now and then.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);

/// Follows the content of some files. Their directories are watched, since a mounted secret is
/// changed by swapping a link beside it.
pub(crate) struct Changes {
    files: Vec<PathBuf>,
    seen: Vec<u64>,
    events: mpsc::Receiver<()>,
    // Kept for its drop, which ends the watch.
    _watcher: Option<RecommendedWatcher>,
}

impl Changes {
    pub(crate) async fn of(files: Vec<PathBuf>) -> Self {
        let (sender, events) = mpsc::channel(1);
        // A full channel already says that something changed.
        let watcher = notify::recommended_watcher(move |_| {
            let _ = sender.try_send(());
        });
        let watcher = watcher.and_then(|mut watcher| {
            let mut folders: Vec<_> = files.iter().map(|file| folder(file)).collect();
            folders.sort();
            folders.dedup();
            folders.into_iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))?;
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            warn!(%error, "cannot watch files, reading them now and then instead");
        }
        let seen = prints(&files).await;
        Self { files, seen, events, _watcher: watcher.ok() }
    }

    /// Resolves once the content of a file is another than before.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.events.recv() => {}
                () = sleep(LOOK_ANYWAY) => {}
            }
            let now = self.settled().await;
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }

    /// What the files hold when it has stayed the same for a while: one that is being written is half of itself.
    async fn settled(&mut self) -> Vec<u64> {
        let mut before = None;
        loop {
            while self.events.try_recv().is_ok() {}
            let now = prints(&self.files).await;
            if before.as_ref() == Some(&now) || (before.is_none() && now == self.seen) {
                return now;
            }
            before = Some(now);
            sleep(SETTLE).await;
        }
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

async fn prints(files: &[PathBuf]) -> Vec<u64> {
    let mut all = Vec::with_capacity(files.len());
    for file in files {
        let mut hasher = DefaultHasher::new();
        tokio::fs::read(file).await.ok().hash(&mut hasher);
        all.push(hasher.finish());
    }
    all
}
