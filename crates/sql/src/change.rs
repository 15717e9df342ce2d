use std::future::Future;

use futures_util::future::BoxFuture;
use nsl_core::{Entry, Result};
use serde::{Serialize, de::DeserializeOwned};

use crate::{tx::Tx, value::Value};

/// A write. Many of one kind, from many callers, are applied at once, in one transaction.
///
/// Changes come in the order of their tenants, and for one tenant in that of their arrival. `apply` gives one
/// outcome for each change, in order. An inner error refuses that change alone: it must
/// not have touched a row. An outer error undoes the whole group, after which each change is tried again
/// by itself, so that one bad change never fails its neighbours. `apply` may thus run several times.
pub trait Change: Send + Sync + 'static {
    /// What the caller learns. Kept as JSON under the caller's idempotency key, when there is one.
    type Done: Serialize + DeserializeOwned + Send + Sync + 'static;

    fn apply<'a>(
        group: &'a [&'a Self],
        tx: &'a mut Tx<'_>,
    ) -> impl Future<Output = Result<Vec<Result<Self::Done>>>> + Send + 'a;

    /// About how many bytes it carries; bounds a group.
    fn weight(&self) -> usize {
        1_024
    }
}

/// A change that gains nothing from being applied together with its like: one after the other, each by itself.
pub trait Single: Send + Sync + 'static {
    /// As in [`Change`].
    type Done: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// An inner error refuses it: then it must not have touched a row.
    fn one<'a>(&'a self, tx: &'a mut Tx<'_>) -> impl Future<Output = Result<Result<Self::Done>>> + Send + 'a;

    /// About how many bytes it carries; bounds a group.
    fn weight(&self) -> usize {
        1_024
    }
}

impl<C: Single> Change for C {
    type Done = C::Done;

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<C::Done>>> {
        let mut done = Vec::with_capacity(group.len());
        for change in group {
            done.push(change.one(tx).await?);
        }
        Ok(done)
    }

    fn weight(&self) -> usize {
        Single::weight(self)
    }
}

/// Writes the evidence of a group as the last thing before its commit. Each writer has one of its own.
pub trait Closer: Send {
    fn close<'a>(&'a mut self, notes: Vec<Entry>, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<()>>;
    /// The group is on disk.
    fn committed(&mut self);
    /// The group is undone.
    fn undone(&mut self);
    /// Nobody knows.
    fn unknown(&mut self);
}

/// A plain statement as a change, for workers: gives the number of rows that changed.
pub struct Statement {
    pub sql: &'static str,
    pub args: Vec<Value>,
}

impl Single for Statement {
    type Done = u64;

    async fn one(&self, tx: &mut Tx<'_>) -> Result<Result<u64>> {
        tx.execute(self.sql, self.args.clone()).await.map(Ok)
    }
}
