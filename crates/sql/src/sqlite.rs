//! The embedded engine: SQLite in WAL mode with full sync. One connection writes, on a thread of its own;
//! others read, on the thread that asks, since a read of a few rows takes microseconds.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use nsl_core::Result;
use parking_lot::Mutex;
use rusqlite::{
    OpenFlags, ToSql,
    types::{Null, ToSqlOutput, ValueRef},
};

use crate::{
    fault,
    value::{Kind, Row, Value},
};

/// One connection, and the texts that it knows with `?1` in the place of `$1`: SQLite would number `$1`
/// by appearance. Texts are static, so their address and length name them.
pub(crate) struct Connection {
    inner: rusqlite::Connection,
    texts: HashMap<(usize, usize), Box<str>>,
}

impl Connection {
    pub(crate) fn open(file: &Path, writes: bool) -> Result<Self> {
        Self::try_open(file, writes).map_err(fault::sqlite)
    }

    fn try_open(file: &Path, writes: bool) -> rusqlite::Result<Self> {
        let create = if writes { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE | create;
        let inner = rusqlite::Connection::open_with_flags(file, flags)?;
        inner.busy_timeout(Duration::from_secs(10))?;
        inner.pragma_update(None, "journal_mode", "wal")?;
        inner.pragma_update(None, "synchronous", "full")?;
        inner.pragma_update(None, "foreign_keys", true)?;
        inner.pragma_update(None, "trusted_schema", false)?;
        inner.pragma_update(None, "cache_size", if writes { -32_768 } else { -2_048 })?;
        // [`crate::wal`] moves what the log holds to its place; past this much the writer moves the rest, so that
        // the log can begin anew.
        inner.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        // The log shrinks again after a burst.
        inner.pragma_update(None, "journal_size_limit", 64 << 20)?;
        inner.pragma_update(None, "query_only", !writes)?;
        inner.set_prepared_statement_cache_capacity(128);
        Ok(Self { inner, texts: HashMap::new() })
    }

    pub(crate) fn query(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let text = self.texts.entry((sql.as_ptr() as usize, sql.len())).or_insert_with(|| numbered(sql));
        let run = || -> rusqlite::Result<Vec<Row>> {
            let mut statement = self.inner.prepare_cached(text)?;
            let width = statement.column_count();
            let mut rows = statement.query(rusqlite::params_from_iter(args))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(Row((0..width).map(|at| row.get_ref(at).map(owned)).collect::<Result<_, _>>()?));
            }
            Ok(found)
        };
        run().map_err(fault::sqlite)
    }

    pub(crate) fn execute(&mut self, sql: &'static str, args: &[Value]) -> Result<u64> {
        self.query(sql, args)?;
        Ok(self.inner.changes())
    }

    /// Moves what the log holds to its place. Waits for nobody: what readers still need is left for the next time.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.inner.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(fault::sqlite)
    }

    /// Runs a text of several statements, as migrations are.
    pub(crate) fn script(&mut self, sql: &str) -> Result<()> {
        self.inner.execute_batch(sql).map_err(fault::sqlite)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.inner.is_autocommit()
    }
}

fn numbered(sql: &str) -> Box<str> {
    let mut text = String::with_capacity(sql.len());
    let mut rest = sql.chars().peekable();
    while let Some(c) = rest.next() {
        let placeholder = c == '$' && rest.peek().is_some_and(char::is_ascii_digit);
        text.push(if placeholder { '?' } else { c });
    }
    text.into()
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null(Kind::Text),
        ValueRef::Integer(x) => Value::Int(x),
        // No column of ours is a float; one that appears all the same is shown as text, not cut.
        ValueRef::Real(x) => Value::Text(x.to_string().into()),
        ValueRef::Text(x) => Value::Text(String::from_utf8_lossy(x).into_owned().into()),
        ValueRef::Blob(x) => Value::Bytes(x.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null(_) => ToSqlOutput::from(Null),
            Self::Bool(x) => ToSqlOutput::from(*x),
            Self::Int(x) => ToSqlOutput::from(*x),
            Self::Time(x) => ToSqlOutput::from(x.0),
            Self::Bytes(x) => ToSqlOutput::from(x.as_slice()),
            Self::Text(_) | Self::Shared(_) | Self::Json(_) => {
                let text = self.as_text().unwrap_or_default();
                // PostgreSQL keeps no such text, and SQLite's own functions would cut it there.
                if text.as_bytes().contains(&0) {
                    return Err(rusqlite::Error::ToSqlConversionFailure("a text with a zero byte".into()));
                }
                ToSqlOutput::from(text)
            }
        })
    }
}

/// Connections for reading, opened as they are needed and kept up to a bound.
pub(crate) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    keep: usize,
}

impl Readers {
    pub(crate) fn new(file: PathBuf, keep: usize) -> Self {
        Self { file, idle: Mutex::new(Vec::new()), keep }
    }

    pub(crate) fn query(&self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(&self.file, false)?,
        };
        let found = connection.query(sql, args)?;
        let mut idle = self.idle.lock();
        if idle.len() < self.keep {
            idle.push(connection);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_and_other_dollars_stay() {
        assert_eq!(&*numbered("a = $1 and b = $12 and c = '$.x'"), "a = ?1 and b = ?12 and c = '$.x'");
    }
}
