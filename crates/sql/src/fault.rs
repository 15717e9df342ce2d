//! What went wrong in an engine, in the words of the boundary error. The writer acts on the slugs.

use std::time::Duration;

use nsl_core::{Code, Error};
use rusqlite::ErrorCode as Lite;
use tokio_postgres::error::SqlState as Pg;

/// Two writers met; the group may be tried again as it is.
pub(crate) const COLLISION: &str = "sql.collision";
/// The connection broke while a commit was on its way.
pub(crate) const OUTCOME_UNKNOWN: &str = "sql.outcome_unknown";
const DOWN: &str = "sql.unavailable";

pub(crate) fn down(source: impl Into<anyhow::Error>) -> Error {
    Error::new(Code::Unavailable, DOWN, "the database does not answer")
        .retry_after(Duration::from_secs(1))
        .because(source)
}

fn full(source: impl Into<anyhow::Error>) -> Error {
    Error::new(Code::Unavailable, "sql.disk_full", "the database has no room to write")
        .retry_after(Duration::from_secs(30))
        .because(source)
}

pub(crate) fn collision(source: impl Into<anyhow::Error>) -> Error {
    Error::new(Code::Unavailable, COLLISION, "another write was in the way")
        .retry_after(Duration::from_millis(100))
        .because(source)
}

pub(crate) fn outcome_unknown(source: impl Into<anyhow::Error>) -> Error {
    Error::new(
        Code::Unavailable,
        OUTCOME_UNKNOWN,
        "the database broke off during the commit: whether it was done is unknown",
    )
    .retry_after(Duration::from_secs(1))
    .because(source)
}

pub(crate) fn postgres(error: tokio_postgres::Error) -> Error {
    let Some(state) = error.code().cloned() else {
        // Neither a server's answer nor a lost connection: a value did not fit its column.
        let local = error.to_string().contains("serializing") || error.to_string().contains("deserializing");
        return if local { Error::internal(error) } else { down(error) };
    };
    match state {
        Pg::T_R_SERIALIZATION_FAILURE | Pg::T_R_DEADLOCK_DETECTED | Pg::UNIQUE_VIOLATION | Pg::EXCLUSION_VIOLATION => {
            collision(error)
        }
        Pg::DISK_FULL => full(error),
        Pg::ADMIN_SHUTDOWN
        | Pg::CRASH_SHUTDOWN
        | Pg::CANNOT_CONNECT_NOW
        | Pg::TOO_MANY_CONNECTIONS
        | Pg::CONNECTION_EXCEPTION
        | Pg::CONNECTION_FAILURE
        | Pg::QUERY_CANCELED
        | Pg::READ_ONLY_SQL_TRANSACTION
        | Pg::PROTOCOL_VIOLATION
        | Pg::IO_ERROR => down(error),
        _ => Error::internal(error),
    }
}

pub(crate) fn pool(error: deadpool_postgres::PoolError) -> Error {
    match error {
        deadpool_postgres::PoolError::Backend(inner) if inner.code().is_some() => postgres(inner),
        other => down(other),
    }
}

pub(crate) fn sqlite(error: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(inner, _) = &error else { return Error::internal(error) };
    match inner.code {
        Lite::DiskFull => full(error),
        Lite::DatabaseBusy | Lite::DatabaseLocked | Lite::ConstraintViolation => collision(error),
        Lite::CannotOpen | Lite::SystemIoFailure | Lite::ReadOnly | Lite::OutOfMemory => down(error),
        _ => Error::internal(error),
    }
}
