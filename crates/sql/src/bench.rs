//! The writer's place at each engine.

use futures_util::future::BoxFuture;
use nsl_core::Result;

use crate::{
    fault,
    postgres::{Postgres, Session},
    sqlite::Connection,
    tx::{Seat, Tx},
    writer::Bench,
};

/// At SQLite: the one connection that writes.
pub(crate) struct Desk {
    connection: Connection,
}

impl Desk {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
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

/// At PostgreSQL: a connection that it keeps until it breaks.
pub(crate) struct Counter {
    server: Postgres,
    session: Option<Session>,
}

impl Counter {
    pub(crate) fn new(server: Postgres) -> Self {
        Self { server, session: None }
    }

    async fn open(&mut self, tenants: &str) -> Result<&Session> {
        if let Some(kept) = self.session.take()
            && kept.open(tenants).await.is_ok()
        {
            return Ok(self.session.insert(kept));
        }
        // Nothing was done yet, so a connection that broke since the last group costs no caller its write.
        Ok(self.session.insert(self.server.begin(tenants).await?))
    }
}

impl Bench for Counter {
    const WAITS: bool = true;

    fn begin<'a>(&'a mut self, tenants: &'a str) -> BoxFuture<'a, Result<Tx<'a>>> {
        Box::pin(async move { Ok(Tx::on(Seat::Postgres(self.open(tenants).await?))) })
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let Some(session) = &self.session else { return Ok(()) };
            let ended = session.commit().await;
            if ended.is_err() {
                self.session = None;
            }
            ended
        })
    }

    fn undo(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(session) = &self.session
                && session.rollback().await.is_err()
            {
                self.session = None;
            }
        })
    }
}
