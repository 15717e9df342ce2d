//! The write-ahead log of the embedded engine, emptied beside the writer and not in its way.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use crate::sqlite::Connection;

/// How often. A page that several groups wrote in between is moved once.
const PAUSE: Duration = Duration::from_millis(100);

/// Moves what was committed from the log to its place in the file.
pub(crate) struct Checkpoints {
    thread: thread::JoinHandle<()>,
    end: mpsc::Sender<()>,
}

impl Checkpoints {
    /// `written` is set by the writer after each commit.
    pub(crate) fn start(file: &Path, written: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let mut connection = Connection::open(file, true)?;
        let (end, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("nsl-sql-log".into()).spawn(move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(PAUSE) {
                if written.swap(false, Ordering::Relaxed)
                    && let Err(error) = connection.checkpoint()
                {
                    tracing::warn!("moving the write-ahead log into the database failed: {error}");
                }
            }
        })?;
        Ok(Self { thread, end })
    }

    pub(crate) fn finish(self) {
        drop(self.end);
        let _ = self.thread.join();
    }
}
