use nsl_core::{Entry, Error, Result};

use crate::{
    config::EngineKind,
    fault,
    postgres::Session,
    sqlite::Connection,
    value::{Kind, Row, Value},
};

/// A statement for many rows at once, in the two texts that make it fast: `one` runs for each row on
/// SQLite, `many` runs once on PostgreSQL over arrays, by `unnest($1::text[], ...)`.
pub struct Many {
    pub one: &'static str,
    pub many: &'static str,
    /// The kinds of `$1`, `$2`, ... in order.
    pub kinds: &'static [Kind],
}

pub(crate) enum Seat<'a> {
    Sqlite(&'a mut Connection),
    Postgres(&'a Session),
}

/// An open transaction of a group. Nothing is visible to others until the group commits.
pub struct Tx<'a> {
    seat: Seat<'a>,
    pub(crate) notes: Vec<Entry>,
    // A statement that failed fails its group, even when the change goes on: PostgreSQL has undone the
    // transaction by then, and would answer its COMMIT with a quiet rollback.
    failed: Option<Error>,
}

impl<'a> Tx<'a> {
    pub(crate) fn on(seat: Seat<'a>) -> Self {
        Self { seat, notes: Vec::new(), failed: None }
    }

    /// The first error of a statement in this transaction.
    pub(crate) fn failed(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    pub fn engine(&self) -> EngineKind {
        match self.seat {
            Seat::Sqlite(_) => EngineKind::Sqlite,
            Seat::Postgres(_) => EngineKind::Postgres,
        }
    }

    pub async fn query(&mut self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>> {
        let found = match &mut self.seat {
            Seat::Sqlite(connection) => connection.query(sql, &args),
            Seat::Postgres(session) => session.query(sql, &args).await,
        };
        self.heed(found)
    }

    /// Gives the number of rows that changed.
    pub async fn execute(&mut self, sql: &'static str, args: Vec<Value>) -> Result<u64> {
        let done = match &mut self.seat {
            Seat::Sqlite(connection) => connection.execute(sql, &args),
            Seat::Postgres(session) => session.execute(sql, &args).await,
        };
        self.heed(done)
    }

    /// Runs a [`Many`] over all rows and gives what its RETURNING or SELECT gave.
    pub async fn many(&mut self, sql: &'static Many, rows: Vec<Vec<Value>>) -> Result<Vec<Row>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let found = match &mut self.seat {
            Seat::Sqlite(connection) => each(connection, sql.one, &rows),
            Seat::Postgres(session) => session.many(sql, rows).await,
        };
        self.heed(found)
    }

    /// Puts a line of evidence into this transaction. Only for what is going to be done: a change that
    /// is refused notes nothing.
    pub fn note(&mut self, entry: Entry) {
        self.notes.push(entry);
    }

    fn heed<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.failed.get_or_insert_with(|| fault::copy(error));
        }
        outcome
    }
}

fn each(connection: &mut Connection, sql: &'static str, rows: &[Vec<Value>]) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    for row in rows {
        all.append(&mut connection.query(sql, row)?);
    }
    Ok(all)
}
