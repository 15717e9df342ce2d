//! Writes on their way: each with its caller, its type forgotten while it queues, and found again in a batch.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
};

use futures_util::future::BoxFuture;
use nsl_core::{Error, Result, TenantId, Timestamp};
use tokio::sync::oneshot;

use crate::{
    change::Change,
    fault,
    idempotency::{self, Guard},
    tx::Tx,
};

/// One write on its way.
pub(crate) struct Job {
    /// The platform's own work, across tenants.
    pub(crate) platform: bool,
    pub(crate) weight: usize,
    kind: TypeId,
    fresh: fn() -> Box<dyn Batch>,
    ticket: Box<dyn Any + Send>,
    abandoned: fn(&(dyn Any + Send)) -> bool,
}

struct Ticket<C: Change> {
    tenant: Option<TenantId>,
    change: C,
    guard: Option<Guard>,
    reply: oneshot::Sender<Result<C::Done>>,
    outcome: Option<Result<C::Done>>,
    /// The outcome is that of an earlier one under its idempotency key.
    is_replay: bool,
}

impl Job {
    /// `tenant` is `None` for the platform's own work.
    pub(crate) fn new<C: Change>(
        tenant: Option<TenantId>,
        guard: Option<Guard>,
        change: C,
    ) -> (Self, oneshot::Receiver<Result<C::Done>>) {
        let (reply, outcome) = oneshot::channel();
        let job = Self {
            platform: tenant.is_none(),
            weight: change.weight(),
            kind: TypeId::of::<C>(),
            fresh: || Box::new(Typed::<C> { tickets: Vec::new() }),
            ticket: Box::new(Ticket { tenant, change, guard, reply, outcome: None, is_replay: false }),
            abandoned: |ticket| ticket.downcast_ref::<Ticket<C>>().is_none_or(|ticket| ticket.reply.is_closed()),
        };
        (job, outcome)
    }

    /// Whether its caller went away before it was begun.
    pub(crate) fn is_abandoned(&self) -> bool {
        (self.abandoned)(self.ticket.as_ref())
    }

    /// Puts jobs of one kind together. The order of kinds is the same in each group, as that of tenants within a
    /// kind is: groups that take the same rows take them in the same order, and don't lock each other out.
    pub(crate) fn sort(jobs: Vec<Self>) -> Vec<Box<dyn Batch>> {
        let mut batches: Vec<(TypeId, Box<dyn Batch>)> = Vec::new();
        for job in jobs {
            let place = batches.iter().position(|(kind, _)| *kind == job.kind).unwrap_or_else(|| {
                batches.push((job.kind, (job.fresh)()));
                batches.len() - 1
            });
            batches[place].1.push(job.ticket);
        }
        batches.sort_unstable_by_key(|(kind, _)| *kind);
        batches.into_iter().map(|(_, batch)| batch).collect()
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
    /// Names the tenants whose rows it may touch, `*` for the platform's own work.
    fn name_tenants<'a>(&'a self, into: &mut Vec<&'a str>);
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
            self.tickets.iter_mut().for_each(|ticket| (ticket.outcome, ticket.is_replay) = (None, false));
            self.tickets.sort_by(|one, other| one.tenant.cmp(&other.tenant));
            let echoes = self.echoes();
            self.recall(&echoes, tx).await?;
            let todo: Vec<usize> = (0..self.tickets.len())
                .filter(|&at| echoes[at].is_none() && self.tickets[at].outcome.is_none())
                .collect();
            if !todo.is_empty() {
                let group: Vec<&C> = todo.iter().map(|&at| &self.tickets[at].change).collect();
                let outcomes = C::apply(&group, tx).await?;
                if outcomes.len() != todo.len() {
                    let counts = anyhow::anyhow!("{} changes gave {} outcomes", todo.len(), outcomes.len());
                    return Err(Error::internal(counts));
                }
                for (at, outcome) in todo.iter().zip(outcomes) {
                    self.tickets[*at].outcome = Some(outcome);
                }
                self.remember(&todo, now, tx)?;
            }
            for (at, first) in echoes.iter().enumerate() {
                if let Some(first) = first {
                    let outcome = self.echo(at, *first);
                    self.tickets[at].is_replay = outcome.is_ok();
                    self.tickets[at].outcome = Some(outcome);
                }
            }
            Ok(())
        })
    }

    fn settle(self: Box<Self>) {
        for ticket in self.tickets {
            let lost = || Err(Error::internal(anyhow::anyhow!("a change gave no outcome")));
            if let Some(guard) = &ticket.guard {
                guard.replay.tell(ticket.is_replay);
            }
            // A caller that went away does not want to know.
            let _ = ticket.reply.send(ticket.outcome.unwrap_or_else(lost));
        }
    }

    fn fail(self: Box<Self>, error: &Error) {
        for ticket in self.tickets {
            let _ = ticket.reply.send(Err(fault::copy(error)));
        }
    }

    fn split(self: Box<Self>) -> Vec<Box<dyn Batch>> {
        self.tickets.into_iter().map(|ticket| Box::new(Self { tickets: vec![ticket] }) as Box<dyn Batch>).collect()
    }

    fn name_tenants<'a>(&'a self, into: &mut Vec<&'a str>) {
        into.extend(self.tickets.iter().map(|ticket| ticket.tenant.as_ref().map_or("*", TenantId::as_str)));
    }
}

impl<C: Change> Typed<C> {
    /// For each ticket the earlier one of this batch that carries the same idempotency key.
    fn echoes(&self) -> Vec<Option<usize>> {
        let mut first = HashMap::new();
        let mut found = Vec::with_capacity(self.tickets.len());
        for (at, ticket) in self.tickets.iter().enumerate() {
            let earlier = ticket.guard.as_ref().map(|guard| *first.entry(guard.identity()).or_insert(at));
            found.push(earlier.filter(|earlier| *earlier != at));
        }
        found
    }

    /// Gives those that were done before the outcome of then.
    async fn recall(&mut self, echoes: &[Option<usize>], tx: &mut Tx<'_>) -> Result<()> {
        let guards: Vec<(usize, &Guard)> = self
            .tickets
            .iter()
            .enumerate()
            .filter(|(at, _)| echoes[*at].is_none())
            .filter_map(|(at, ticket)| ticket.guard.as_ref().map(|guard| (at, guard)))
            .collect();
        for (at, fingerprint, outcome) in idempotency::recall(tx, &guards).await? {
            if let Some(Ticket { guard: Some(guard), outcome: known, is_replay, .. }) = self.tickets.get_mut(at) {
                let told = guard.answer(&fingerprint, outcome).and_then(|text| reread::<C>(&text));
                *is_replay = told.is_ok();
                *known = Some(told);
            }
        }
        Ok(())
    }

    fn remember(&self, todo: &[usize], now: Timestamp, tx: &mut Tx<'_>) -> Result<()> {
        let mut rows = Vec::new();
        for ticket in todo.iter().map(|&at| &self.tickets[at]) {
            if let (Some(guard), Some(Ok(done))) = (&ticket.guard, &ticket.outcome) {
                rows.push(guard.row(serde_json::to_string(done).map_err(Error::internal)?, now));
            }
        }
        tx.ask(&idempotency::REMEMBER, rows).map(drop)
    }

    // What the later of two requests with one key learns: what the first did.
    fn echo(&self, at: usize, first: usize) -> Result<C::Done> {
        let (this, first) = (&self.tickets[at], &self.tickets[first]);
        let fingerprint = |ticket: &Ticket<C>| ticket.guard.as_ref().map(|guard| guard.once.fingerprint.clone());
        if fingerprint(this) != fingerprint(first) {
            return Err(idempotency::reused());
        }
        match &first.outcome {
            Some(Ok(done)) => reread::<C>(&serde_json::to_string(done).map_err(Error::internal)?),
            Some(Err(error)) => Err(fault::copy(error)),
            None => Err(Error::internal(anyhow::anyhow!("a change gave no outcome"))),
        }
    }
}

fn reread<C: Change>(text: &str) -> Result<C::Done> {
    serde_json::from_str(text).map_err(Error::internal)
}
