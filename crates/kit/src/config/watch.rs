use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{files::Changes, tasks::Tasks};

use super::{
    load::{Check, Loaded, Loader},
    mistake::Mistakes,
};

/// Settings that follow their sources while the process runs. Only paths that were named live change;
/// the others are said to need a restart.
pub struct Watch<T>(Arc<Inner<T>>);

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<T> {
    loader: Loader,
    live: Vec<String>,
    current: ArcSwap<Loaded<T>>,
    changed: watch::Sender<u64>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Paths that have their new value.
    pub taken: Vec<String>,
    /// Paths that keep their old value until the process starts again.
    pub need_restart: Vec<String>,
}

impl<T: DeserializeOwned + Check + Send + Sync + 'static> Watch<T> {
    /// `live` names what may change while running: a path, or a whole section as `cors` or `limits.*`.
    pub fn new(loader: Loader, loaded: Loaded<T>, live: &[&str]) -> Self {
        let live = live.iter().map(|path| (*path).to_owned()).collect();
        Self(Arc::new(Inner { loader, live, current: ArcSwap::from_pointee(loaded), changed: watch::Sender::new(0) }))
    }

    /// The settings as they stand.
    pub fn current(&self) -> Arc<Loaded<T>> {
        self.0.current.load_full()
    }

    /// Hears of every change; the number counts them.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Reads all sources again. With any mistake in them everything stays as it was.
    pub fn reload(&self) -> Result<Reloaded, Mistakes> {
        let newer = self.0.loader.load::<T>()?;
        let current = self.0.current.load_full();
        let mut done = Reloaded::default();
        let mut tree = current.tree.clone();
        for path in current.tree.changes(&newer.tree) {
            if self.is_live(&path) {
                tree.adopt(&newer.tree, &path);
                done.taken.push(path);
            } else {
                done.need_restart.push(path);
            }
        }
        if !done.taken.is_empty() {
            let mixed = self.0.loader.reread(tree)?;
            self.0.current.store(Arc::new(mixed));
            self.0.changed.send_modify(|count| *count += 1);
        }
        Ok(done)
    }

    /// Follows the file, and SIGHUP, until the stop.
    pub fn follow(&self, tasks: &Tasks) {
        let watch = self.clone();
        tasks.supervise("configuration", move |stop| watch.clone().run(stop));
    }

    async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup())?;
        let mut changes = Changes::of(self.0.loader.file_path().map(Into::into).into_iter().collect()).await;
        loop {
            // Also at first: it may have changed between the start and now, which nobody watched.
            match self.reload() {
                Ok(done) => {
                    if !done.taken.is_empty() {
                        info!(settings = done.taken.join(", "), "settings changed");
                    }
                    if !done.need_restart.is_empty() {
                        warn!(
                            settings = done.need_restart.join(", "),
                            "settings changed that need a restart to take effect"
                        );
                    }
                }
                Err(mistakes) => error!(%mistakes, "the configuration stays as it was"),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hangup.recv() => info!("reading the configuration again, as SIGHUP asks for"),
                () = changes.next() => {}
            }
        }
    }

    fn is_live(&self, path: &str) -> bool {
        self.0.live.iter().any(|live| {
            let rest = path.strip_prefix(live.strip_suffix(".*").unwrap_or(live));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}
