//! What went wrong in an engine, in the words of the boundary error. The writer acts on the slugs.

use std::{error::Error as _, time::Duration};

use nsl_core::{Code, Error};
use rusqlite::{ErrorCode as Lite, ffi};
use tokio_postgres::error::{Severity, SqlState as Pg};

/// Two writers met; the group may be tried again as it is.
pub(crate) const COLLISION: &str = "sql.collision";
/// The connection broke while a commit was on its way.
pub(crate) const OUTCOME_UNKNOWN: &str = "sql.outcome_unknown";
pub(crate) const DOWN: &str = "sql.unavailable";

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

/// The caller's deadline passed while its write waited or was under way.
pub(crate) fn too_late() -> Error {
    Error::new(Code::Timeout, "sql.too_late", "the database did not answer in time: whether it was done is unknown")
        .retry_after(Duration::from_secs(1))
}

/// A text that no engine can be relied on to keep.
pub(crate) fn text_refused(source: impl Into<anyhow::Error>) -> Error {
    Error::invalid("sql.text_refused", "a text holds a character that can't be stored").because(source)
}

/// The same error for a further caller; the private cause stays with the first.
pub(crate) fn copy(error: &Error) -> Error {
    let mut copy = Error::new(error.code, "internal", error.message.clone());
    copy.slug = error.slug.clone();
    copy.retry_after_ms = error.retry_after_ms;
    copy.details = error.details.clone();
    copy
}

/// Whether a prepared statement no longer fits: the schema moved under it, or a pooler took it away.
pub(crate) fn stale(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| {
        *said.code() == Pg::INVALID_SQL_STATEMENT_NAME
            || *said.code() == Pg::FEATURE_NOT_SUPPORTED && said.message().contains("cached plan")
    })
}

pub(crate) fn postgres(error: tokio_postgres::Error) -> Error {
    let lost = ended(&error);
    let Some(state) = error.code().cloned() else {
        // What is neither a server's answer nor a lost connection is a statement of ours that does not fit.
        return if lost { down(error) } else { Error::internal(error) };
    };
    match state {
        Pg::T_R_SERIALIZATION_FAILURE | Pg::T_R_DEADLOCK_DETECTED | Pg::UNIQUE_VIOLATION | Pg::EXCLUSION_VIOLATION => {
            collision(error)
        }
        _ if stale(&error) => collision(error),
        Pg::DISK_FULL => full(error),
        Pg::CHARACTER_NOT_IN_REPERTOIRE | Pg::UNTRANSLATABLE_CHARACTER => text_refused(error),
        Pg::ADMIN_SHUTDOWN
        | Pg::CRASH_SHUTDOWN
        | Pg::CANNOT_CONNECT_NOW
        | Pg::TOO_MANY_CONNECTIONS
        | Pg::INSUFFICIENT_RESOURCES
        | Pg::OUT_OF_MEMORY
        | Pg::CONNECTION_EXCEPTION
        | Pg::CONNECTION_FAILURE
        | Pg::QUERY_CANCELED
        | Pg::LOCK_NOT_AVAILABLE
        | Pg::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | Pg::READ_ONLY_SQL_TRANSACTION
        | Pg::IO_ERROR => down(error),
        _ if lost => down(error),
        _ => Error::internal(error),
    }
}

// The connection broke, or the server, or a pooler before it, ended the session.
fn ended(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(said) => said.parsed_severity() != Some(Severity::Error),
        None => error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()),
    }
}

/// Whether a session ended under what was asked, so that another session may well answer.
pub(crate) fn lost(error: &Error) -> bool {
    error.cause().and_then(|cause| cause.downcast_ref()).is_some_and(ended)
}

/// Whether a server merely said no, and its session goes on.
pub(crate) fn said_no(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| said.parsed_severity() == Some(Severity::Error))
}

/// An error of COMMIT, or of what was sent together with it. A server that said no has rolled back; one that
/// ends the session, or is gone, leaves both possible.
pub(crate) fn postgres_commit(error: tokio_postgres::Error) -> Error {
    if said_no(&error) { postgres(error) } else { outcome_unknown(error) }
}

/// Whatever the reason that no connection is to be had (a password that was changed too), it may pass. `server` is
/// host and port.
pub(crate) fn pool(error: deadpool_postgres::PoolError, server: &str) -> Error {
    // As text: a connection that never was is none that was lost.
    let why = match error {
        deadpool_postgres::PoolError::Backend(error) => format!("{:#}", anyhow::Error::from(error)),
        deadpool_postgres::PoolError::Timeout(_) => "no connection in time".to_owned(),
        other => other.to_string(),
    };
    down(anyhow::anyhow!("connecting to {server}: {why}"))
}

pub(crate) fn sqlite(error: rusqlite::Error) -> Error {
    let inner = match &error {
        rusqlite::Error::SqliteFailure(inner, _) => inner,
        rusqlite::Error::ToSqlConversionFailure(_) => return text_refused(error),
        _ => return Error::internal(error),
    };
    match inner.code {
        Lite::DiskFull => full(error),
        Lite::DatabaseBusy | Lite::DatabaseLocked => collision(error),
        Lite::ConstraintViolation => match inner.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
                collision(error)
            }
            _ => Error::internal(error),
        },
        Lite::CannotOpen | Lite::SystemIoFailure | Lite::ReadOnly | Lite::OutOfMemory | Lite::OperationInterrupted => {
            down(error)
        }
        _ => Error::internal(error),
    }
}

/// An error of COMMIT. After a flush that failed nobody can say what a crash would leave.
pub(crate) fn sqlite_commit(error: Error) -> Error {
    let flush = error.cause().and_then(|cause| cause.downcast_ref::<rusqlite::Error>()).is_some_and(
        |cause| matches!(cause, rusqlite::Error::SqliteFailure(inner, _) if inner.code == Lite::SystemIoFailure),
    );
    if flush { outcome_unknown(error) } else { error }
}
