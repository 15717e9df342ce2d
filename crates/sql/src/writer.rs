//! Where all writes go: they queue, and a writer takes what has gathered and commits it as one group.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::{FutureExt, future::BoxFuture};
use nsl_core::{Clock, Code, Error, Result, Timestamp};
use tokio::sync::{OwnedMutexGuard, mpsc};

use crate::{
    batch::{Batch, Job},
    change::Closer,
    fault,
    tx::Tx,
};

/// Opens, commits and undoes transactions of one engine, for a writer.
pub(crate) trait Bench: Send {
    /// Whether statements wait for an answer. The embedded engine's don't, so nothing in a change may.
    const WAITS: bool;

    fn begin<'a>(&'a mut self, tenants: &'a str) -> BoxFuture<'a, Result<Tx<'a>>>;
    fn commit(&mut self) -> BoxFuture<'_, Result<()>>;
    /// Undoes what is open; never fails: a connection that can't is thrown away.
    fn undo(&mut self) -> BoxFuture<'_, ()>;
}

pub(crate) struct Writer<B: Bench> {
    pub(crate) bench: B,
    pub(crate) closer: Option<Box<dyn Closer>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Held while a group is made, where several writers share a queue, and given up before its commit: one
    /// group's flush to disk runs beside the making of the next, and what arrives meanwhile gathers in one
    /// large group instead of several small ones.
    pub(crate) turn: Option<OwnedMutexGuard<mpsc::Receiver<Job>>>,
}

const MOST_BYTES: usize = 8 << 20;
const TRIES: u32 = 5;

impl<B: Bench> Writer<B> {
    /// Commits these jobs in as few transactions as they allow, and answers each.
    pub(crate) async fn serve(&mut self, jobs: &mut Vec<Job>) {
        jobs.retain(|job| !job.is_abandoned());
        let mut group: Vec<Job> = Vec::with_capacity(jobs.len());
        let mut bytes = 0;
        for job in jobs.drain(..) {
            // The platform's own work sees all tenants, so it never shares a transaction with theirs.
            let apart = group.first().is_some_and(|first| first.platform || job.platform);
            if apart || bytes > MOST_BYTES {
                self.commit(std::mem::take(&mut group)).await;
                bytes = 0;
            }
            bytes += job.weight;
            group.push(job);
        }
        if !group.is_empty() {
            self.commit(group).await;
        }
        self.turn = None;
    }

    async fn commit(&mut self, jobs: Vec<Job>) {
        metrics::histogram!("sql_group_size").record(jobs.len() as f64);
        let alone = jobs.len() == 1;
        // Groups may each wait for what the other holds, and tried again together they may once more.
        let tries = if alone { TRIES } else { 1 };
        let Err((batches, error)) = self.persist(Job::sort(jobs), tries).await else { return };
        if alone || ends_all(&error) {
            return refuse(batches, &error);
        }
        let mut singles = batches.into_iter().flat_map(Batch::split);
        for single in singles.by_ref() {
            let Err((batches, error)) = self.persist(vec![single], TRIES).await else { continue };
            let over = ends_all(&error);
            refuse(batches, &error);
            if over {
                // The engine went away in between: the others need not wait for it one by one.
                return refuse(singles.collect(), &error);
            }
        }
    }

    /// Tries until it is done, or fails for a reason that trying again does not mend.
    async fn persist(
        &mut self,
        mut batches: Vec<Box<dyn Batch>>,
        tries: u32,
    ) -> std::result::Result<(), (Vec<Box<dyn Batch>>, Error)> {
        let tenants = tenants(&batches);
        for attempt in 1.. {
            match self.attempt(&tenants, &mut batches).await {
                Ok(()) => {
                    batches.into_iter().for_each(Batch::settle);
                    return Ok(());
                }
                Err(error) if error.slug == fault::COLLISION => {
                    metrics::counter!("sql_collisions_total").increment(1);
                    if attempt == tries {
                        return Err((batches, error));
                    }
                }
                Err(error) => return Err((batches, error)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn attempt(&mut self, tenants: &str, batches: &mut [Box<dyn Batch>]) -> Result<()> {
        let (now, started) = (self.clock.now(), Instant::now());
        let applied = {
            let mut tx = self.bench.begin(tenants).await?;
            // A change that panics fails like any other, and the writer lives on.
            let work = AssertUnwindSafe(apply(batches, now, self.closer.as_deref_mut(), &mut tx)).catch_unwind();
            let ended = if B::WAITS { Some(work.await) } else { work.now_or_never() };
            let waited = || Ok(Err(Error::internal(anyhow::anyhow!("a change waited for more than its transaction"))));
            ended.unwrap_or_else(waited).unwrap_or_else(|panic| Err(Error::internal(told(panic.as_ref()))))
        };
        let ended = match applied {
            Ok(()) => {
                self.turn = None;
                self.bench.commit().await
            }
            Err(error) => {
                self.bench.undo().await;
                Err(error)
            }
        };
        metrics::histogram!("transaction_duration_seconds").record(started.elapsed().as_secs_f64());
        let outcome = if ended.is_ok() { "committed" } else { "undone" };
        metrics::counter!("transactions_total", "outcome" => outcome).increment(1);
        if let Some(closer) = &mut self.closer {
            match &ended {
                Ok(()) => closer.committed(),
                Err(error) if error.slug == fault::OUTCOME_UNKNOWN => closer.unknown(),
                Err(_) => closer.undone(),
            }
        }
        ended
    }
}

async fn apply(
    batches: &mut [Box<dyn Batch>],
    now: Timestamp,
    closer: Option<&mut (dyn Closer + 'static)>,
    tx: &mut Tx<'_>,
) -> Result<()> {
    for batch in batches {
        batch.apply(now, tx).await?;
    }
    let notes = std::mem::take(&mut tx.notes);
    if let Some(closer) = closer
        && !notes.is_empty()
    {
        closer.close(notes, tx).await?;
    }
    tx.failed()
}

// The engine's state and not one change is the reason: trying each change by itself would not help.
fn ends_all(error: &Error) -> bool {
    error.code == Code::Unavailable && error.slug != fault::COLLISION
}

fn refuse(batches: Vec<Box<dyn Batch>>, error: &Error) {
    let cause = error.cause().map(|cause| format!("{cause:#}"));
    tracing::warn!(error.code = %error.slug, cause, "a group of writes failed: {error}");
    for batch in batches {
        batch.fail(error);
    }
}

fn told(panic: &(dyn std::any::Any + Send)) -> anyhow::Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    anyhow::anyhow!("a change panicked: {}", text.unwrap_or("without words"))
}

// The tenants of a group as row-level security reads them: a list, or `*` for the platform's own work.
fn tenants(batches: &[Box<dyn Batch>]) -> String {
    let mut named = Vec::new();
    batches.iter().for_each(|batch| batch.name_tenants(&mut named));
    named.sort_unstable();
    named.dedup();
    named.join(",")
}
