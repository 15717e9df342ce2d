//! Where all writes go: they queue, and a writer takes what has gathered and commits it as one group.

use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use nsl_core::{Clock, Error, Result, TenantId, Timestamp};
use tokio::sync::oneshot;

use crate::{
    change::{Change, Closer},
    fault,
    idempotency::{self, Guard},
    tx::Tx,
};

/// One write on its way, its type forgotten.
pub(crate) struct Job {
    /// `None` for the platform's own work across tenants.
    pub(crate) tenant: Option<TenantId>,
    weight: usize,
    kind: TypeId,
    fresh: fn() -> Box<dyn Batch>,
    ticket: Box<dyn Any + Send>,
    abandoned: fn(&(dyn Any + Send)) -> bool,
}

struct Ticket<C: Change> {
    change: C,
    guard: Option<Guard>,
    reply: oneshot::Sender<Result<C::Done>>,
    outcome: Option<Result<C::Done>>,
}

impl Job {
    pub(crate) fn new<C: Change>(
        tenant: Option<TenantId>,
        guard: Option<Guard>,
        change: C,
    ) -> (Self, oneshot::Receiver<Result<C::Done>>) {
        let (reply, outcome) = oneshot::channel();
        let job = Self {
            tenant,
            weight: change.weight(),
            kind: TypeId::of::<C>(),
            fresh: || Box::new(Typed::<C> { tickets: Vec::new() }),
            ticket: Box::new(Ticket { change, guard, reply, outcome: None }),
            abandoned: |ticket| ticket.downcast_ref::<Ticket<C>>().is_none_or(|ticket| ticket.reply.is_closed()),
        };
        (job, outcome)
    }
}

/// All changes of one kind in a group.
pub(crate) trait Batch: Send {
    fn push(&mut self, ticket: Box<dyn Any + Send>);
    fn apply<'a>(&'a mut self, now: Timestamp, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<()>>;
    /// Tells each caller its outcome.
    fn settle(self: Box<Self>);
    fn fail(self: Box<Self>, error: &Error);
    fn split(self: Box<Self>) -> Vec<Box<dyn Batch>>;
    fn len(&self) -> usize;
}

struct Typed<C: Change> {
    tickets: Vec<Ticket<C>>,
}

impl<C: Change> Batch for Typed<C> {
    fn push(&mut self, ticket: Box<dyn Any + Send>) {
        self.tickets.extend(ticket.downcast::<Ticket<C>>().ok().map(|ticket| *ticket));
    }

    fn apply<'a>(&'a mut self, now: Timestamp, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // A guarded change may have been done before, or stand in this very group twice.
            let mut todo = Vec::with_capacity(self.tickets.len());
            let mut echoes = Vec::new();
            for at in 0..self.tickets.len() {
                self.tickets[at].outcome = None;
                let Some(guard) = self.tickets[at].guard.clone() else {
                    todo.push(at);
                    continue;
                };
                let twin = self.tickets[..at].iter().position(|t| t.guard.as_ref().is_some_and(|g| g.same_key(&guard)));
                if let Some(twin) = twin {
                    echoes.push((at, twin));
                } else if let Some(earlier) = guard.recall(tx).await? {
                    self.tickets[at].outcome = Some(earlier.and_then(|text| reread::<C>(&text)));
                } else {
                    todo.push(at);
                }
            }
            let group: Vec<&C> = todo.iter().map(|&at| &self.tickets[at].change).collect();
            if !group.is_empty() {
                let outcomes = C::apply(&group, tx).await?;
                debug_assert_eq!(outcomes.len(), todo.len());
                for (at, outcome) in todo.iter().zip(outcomes) {
                    self.tickets[*at].outcome = Some(outcome);
                }
            }
            self.remember(&todo, now, tx).await?;
            for (at, twin) in echoes {
                self.tickets[at].outcome = Some(self.echo(at, twin));
            }
            Ok(())
        })
    }

    fn settle(self: Box<Self>) {
        for ticket in self.tickets {
            let lost = || Err(Error::internal(anyhow::anyhow!("a change gave no outcome")));
            // A caller that went away does not want to know.
            let _ = ticket.reply.send(ticket.outcome.unwrap_or_else(lost));
        }
    }

    fn fail(self: Box<Self>, error: &Error) {
        for ticket in self.tickets {
            let mut copy = Error::new(error.code, "internal", error.message.clone());
            copy.slug = error.slug.clone();
            copy.retry_after_ms = error.retry_after_ms;
            let _ = ticket.reply.send(Err(copy));
        }
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Batch>> {
        self.tickets.into_iter().map(|ticket| Box::new(Self { tickets: vec![ticket] }) as Box<dyn Batch>).collect()
    }

    fn len(&self) -> usize {
        self.tickets.len()
    }
}

fn reread<C: Change>(text: &str) -> Result<C::Done> {
    serde_json::from_str(text).map_err(Error::internal)
}

impl<C: Change> Typed<C> {
    async fn remember(&self, todo: &[usize], now: Timestamp, tx: &mut Tx<'_>) -> Result<()> {
        let mut rows = Vec::new();
        for ticket in todo.iter().map(|&at| &self.tickets[at]) {
            if let (Some(guard), Some(Ok(done))) = (&ticket.guard, &ticket.outcome) {
                rows.push(guard.row(serde_json::to_string(done).map_err(Error::internal)?, now));
            }
        }
        tx.many(&idempotency::REMEMBER, rows).await.map(drop)
    }

    // What the later of two requests with one key learns: the outcome of the first.
    fn echo(&self, at: usize, twin: usize) -> Result<C::Done> {
        let (this, first) = (&self.tickets[at], &self.tickets[twin]);
        let fingerprint = |ticket: &Ticket<C>| ticket.guard.as_ref().map(|guard| guard.once.fingerprint.clone());
        if fingerprint(this) != fingerprint(first) {
            return Err(idempotency::reused());
        }
        match &first.outcome {
            Some(Ok(done)) => reread::<C>(&serde_json::to_string(done).map_err(Error::internal)?),
            _ => Err(fault::collision(anyhow::anyhow!("the first request with this key was refused"))),
        }
    }
}

/// Opens, commits and undoes transactions of one engine, for a writer.
pub(crate) trait Bench: Send {
    fn begin<'a>(&'a mut self, tenants: &'a str) -> BoxFuture<'a, Result<Tx<'a>>>;
    fn commit(&mut self) -> BoxFuture<'_, Result<()>>;
    /// Undoes what is open; never fails: a connection that can't is thrown away.
    fn undo(&mut self) -> BoxFuture<'_, ()>;
}

pub(crate) struct Writer<B: Bench> {
    pub(crate) bench: B,
    pub(crate) closer: Option<Box<dyn Closer>>,
    pub(crate) clock: Arc<dyn Clock>,
}

const MOST_BYTES: usize = 8 << 20;
const TRIES: u32 = 5;

impl<B: Bench> Writer<B> {
    /// Commits these jobs in as few transactions as they allow, and answers each.
    pub(crate) async fn serve(&mut self, jobs: &mut Vec<Job>) {
        jobs.retain(|job| !(job.abandoned)(job.ticket.as_ref()));
        let mut group: Vec<Job> = Vec::with_capacity(jobs.len());
        let mut bytes = 0;
        for job in jobs.drain(..) {
            // The platform's own work sees all tenants, so it never shares a transaction with theirs.
            let apart = group.first().is_some_and(|first| first.tenant.is_none() || job.tenant.is_none());
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
    }

    async fn commit(&mut self, jobs: Vec<Job>) {
        metrics::histogram!("sql_group_size").record(jobs.len() as f64);
        let tenants = tenants(&jobs);
        let mut batches: Vec<(TypeId, Box<dyn Batch>)> = Vec::new();
        for job in jobs {
            let place = batches.iter().position(|(kind, _)| *kind == job.kind).unwrap_or_else(|| {
                batches.push((job.kind, (job.fresh)()));
                batches.len() - 1
            });
            batches[place].1.push(job.ticket);
        }
        let batches: Vec<Box<dyn Batch>> = batches.into_iter().map(|(_, batch)| batch).collect();
        let alone = batches.iter().map(|batch| batch.len()).sum::<usize>() == 1;
        let Err((batches, error)) = self.persist(&tenants, batches).await else { return };
        if alone
            || error.slug == fault::OUTCOME_UNKNOWN
            || error.code == nsl_core::Code::Unavailable && error.slug != fault::COLLISION
        {
            return refuse(batches, &error);
        }
        for single in batches.into_iter().flat_map(Batch::split) {
            if let Err((batches, error)) = self.persist(&tenants, vec![single]).await {
                refuse(batches, &error);
            }
        }
    }

    /// Tries until it is done, or fails for a reason that trying again does not mend.
    async fn persist(
        &mut self,
        tenants: &str,
        mut batches: Vec<Box<dyn Batch>>,
    ) -> Result<(), (Vec<Box<dyn Batch>>, Error)> {
        for attempt in 1.. {
            match self.attempt(tenants, &mut batches).await {
                Ok(()) => {
                    batches.into_iter().for_each(Batch::settle);
                    return Ok(());
                }
                Err(error) if error.slug == fault::COLLISION && attempt < TRIES => {
                    metrics::counter!("sql_collisions_total").increment(1);
                }
                Err(error) => return Err((batches, error)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    async fn attempt(&mut self, tenants: &str, batches: &mut [Box<dyn Batch>]) -> Result<()> {
        let now = self.clock.now();
        let applied = {
            let mut tx = self.bench.begin(tenants).await?;
            apply(batches, now, self.closer.as_deref_mut(), &mut tx).await
        };
        let ended = match applied {
            Ok(()) => self.bench.commit().await,
            Err(error) => {
                self.bench.undo().await;
                Err(error)
            }
        };
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
    match closer {
        Some(closer) if !notes.is_empty() => closer.close(notes, tx).await,
        _ => Ok(()),
    }
}

fn refuse(batches: Vec<Box<dyn Batch>>, error: &Error) {
    tracing::warn!(error.code = %error.slug, cause = error.cause().map(|c| format!("{c:#}")), "a group of writes failed: {error}");
    for batch in batches {
        batch.fail(error);
    }
}

// The tenants of a group as row-level security reads them: a list, or `*` for the platform's own work.
fn tenants(jobs: &[Job]) -> String {
    let mut named: Vec<&str> = jobs.iter().map(|job| job.tenant.as_ref().map_or("*", TenantId::as_str)).collect();
    named.sort_unstable();
    named.dedup();
    named.join(",")
}
