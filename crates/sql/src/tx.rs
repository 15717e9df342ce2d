use nsl_core::{Entry, Error, Result};

use crate::{
    config::EngineKind,
    fault,
    pipeline::{Asked, Pipeline},
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
    Postgres(&'a mut Pipeline),
}

/// An answer that was not waited for yet.
pub struct Pending(Promise);

enum Promise {
    Kept(Vec<Row>),
    Asked(u32),
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
            Seat::Postgres(server) => server.now(Asked::One(sql, args)).await.map(|(rows, _)| rows),
        };
        self.heed(found)
    }

    /// Gives the number of rows that changed.
    pub async fn execute(&mut self, sql: &'static str, args: Vec<Value>) -> Result<u64> {
        let done = match &mut self.seat {
            Seat::Sqlite(connection) => connection.execute(sql, &args),
            Seat::Postgres(server) => server.now(Asked::One(sql, args)).await.map(|(_, changed)| changed),
        };
        self.heed(done)
    }

    /// Runs a [`Many`] over all rows and gives what its RETURNING or SELECT gave.
    pub async fn many(&mut self, sql: &'static Many, rows: Vec<Vec<Value>>) -> Result<Vec<Row>> {
        let asked = self.ask(sql, rows)?;
        self.answer(asked).await
    }

    /// As `many`, without waiting: what is asked in a row costs one round trip, when the first answer is wanted.
    /// In the database all happens in the order in which it was asked. Needs no answer to be done.
    pub fn ask(&mut self, sql: &'static Many, rows: Vec<Vec<Value>>) -> Result<Pending> {
        if rows.is_empty() {
            return Ok(Pending(Promise::Kept(Vec::new())));
        }
        let asked = match &mut self.seat {
            Seat::Sqlite(connection) => each(connection, sql.one, &rows).map(Promise::Kept),
            Seat::Postgres(server) => columns(sql, rows).map(|asked| Promise::Asked(server.ask(asked))),
        };
        self.heed(asked).map(Pending)
    }

    /// What was asked for.
    pub async fn answer(&mut self, pending: Pending) -> Result<Vec<Row>> {
        let found = match (pending.0, &mut self.seat) {
            (Promise::Kept(rows), _) => Ok(rows),
            (Promise::Asked(number), Seat::Postgres(server)) => server.answer(number).await.map(|(rows, _)| rows),
            (Promise::Asked(_), Seat::Sqlite(_)) => unreachable!("the embedded engine answers at once"),
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

fn columns(sql: &'static Many, rows: Vec<Vec<Value>>) -> Result<Asked> {
    let mut columns: Vec<Vec<Value>> = sql.kinds.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for values in rows {
        if values.len() != columns.len() {
            let counts = anyhow::anyhow!("{} values for {} columns of {}", values.len(), columns.len(), sql.many);
            return Err(Error::internal(counts));
        }
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value);
        }
    }
    Ok(Asked::Many(sql, columns))
}
