use nsl_core::{Entry, Result};

use crate::{
    config::EngineKind,
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
    pub(crate) seat: Seat<'a>,
    pub(crate) notes: Vec<Entry>,
}

impl<'a> Tx<'a> {
    pub(crate) fn on(seat: Seat<'a>) -> Self {
        Self { seat, notes: Vec::new() }
    }

    pub fn engine(&self) -> EngineKind {
        match self.seat {
            Seat::Sqlite(_) => EngineKind::Sqlite,
            Seat::Postgres(_) => EngineKind::Postgres,
        }
    }

    pub async fn query(&mut self, sql: &'static str, args: Vec<Value>) -> Result<Vec<Row>> {
        match &mut self.seat {
            Seat::Sqlite(connection) => connection.query(sql, &args),
            Seat::Postgres(session) => session.query(sql, &args).await,
        }
    }

    /// Gives the number of rows that changed.
    pub async fn execute(&mut self, sql: &'static str, args: Vec<Value>) -> Result<u64> {
        match &mut self.seat {
            Seat::Sqlite(connection) => connection.execute(sql, &args),
            Seat::Postgres(session) => session.execute(sql, &args).await,
        }
    }

    /// Runs a [`Many`] over all rows and gives what its RETURNING or SELECT gave.
    pub async fn many(&mut self, sql: &'static Many, rows: Vec<Vec<Value>>) -> Result<Vec<Row>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        match &mut self.seat {
            Seat::Sqlite(connection) => {
                let mut all = Vec::new();
                for row in &rows {
                    all.append(&mut connection.query(sql.one, row)?);
                }
                Ok(all)
            }
            Seat::Postgres(session) => session.many(sql, rows).await,
        }
    }

    /// Puts a line of evidence into this transaction. Only for what is going to be done: a change that
    /// is refused notes nothing.
    pub fn note(&mut self, entry: Entry) {
        self.notes.push(entry);
    }
}
