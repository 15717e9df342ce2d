//! The writer's place at each engine.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::BoxFuture;
use nsl_core::Result;

use crate::{
    fault,
    pipeline::Pipeline,
    sqlite::Connection,
    tx::{Seat, Tx},
    writer::Bench,
};

/// At SQLite: the one connection that writes.
pub(crate) struct Desk {
    connection: Connection,
    /// Set after each commit.
    written: Arc<AtomicBool>,
}

impl Desk {
    pub(crate) fn new(connection: Connection, written: Arc<AtomicBool>) -> Self {
        Self { connection, written }
    }
}

impl Bench for Desk {
    const WAITS: bool = false;

    fn begin<'a>(&'a mut self, _tenants: &'a str) -> BoxFuture<'a, Result<Tx<'a>>> {
        Box::pin(async {
            // Another process that holds the file this long is not a collision that a further try mends.
            self.connection.execute("BEGIN IMMEDIATE", &[]).map_err(|error| match error.slug == fault::COLLISION {
                true => fault::down(error),
                false => error,
            })?;
            Ok(Tx::on(Seat::Sqlite(&mut self.connection)))
        })
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let ended = self.connection.execute("COMMIT", &[]);
            self.close();
            self.written.store(true, Ordering::Relaxed);
            ended.map(drop).map_err(fault::sqlite_commit)
        })
    }

    fn undo(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.close() })
    }
}

impl Desk {
    // A commit that failed for want of room leaves the transaction open.
    fn close(&mut self) {
        if !self.connection.is_idle() {
            let _ = self.connection.execute("ROLLBACK", &[]);
        }
    }
}

impl Bench for Pipeline {
    const WAITS: bool = true;

    fn begin<'a>(&'a mut self, tenants: &'a str) -> BoxFuture<'a, Result<Tx<'a>>> {
        Box::pin(async move {
            Pipeline::begin(self, tenants).await?;
            Ok(Tx::on(Seat::Postgres(self)))
        })
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(Pipeline::commit(self))
    }

    fn undo(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(Pipeline::undo(self))
    }
}
