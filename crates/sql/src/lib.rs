//! One typed door to SQL, over SQLite (embedded) and PostgreSQL 15+.
//!
//! Promises:
//! - A write is acknowledged after its commit is on disk, on both engines. Writes that arrive together
//!   are committed together (a group), so being safe costs one flush for many.
//! - A write that carries an idempotency key is done at most once: the key and the outcome are rows of
//!   the same transaction.
//! - Every statement runs for named tenants, and PostgreSQL enforces it by row-level security.
//! - What a group notes as evidence is written by the same transaction (see [`Closer`]).
//!
//! Statements are one text for both engines, with `$1` placeholders; the few hot ones that differ stand
//! side by side in a [`Many`].

mod batch;
mod bench;
mod change;
mod config;
mod db;
mod fault;
mod idempotency;
mod migrate;
mod pipeline;
mod postgres;
mod recall;
mod replica;
mod sqlite;
mod tx;
mod value;
mod wal;
mod writer;

pub use change::{Change, Closer, Single, Statement};
pub use config::{Config, EngineKind};
pub use db::{Db, Scope};
pub use migrate::{BASE, Migrations, Step};
pub use tx::{Many, Pending, Tx};
pub use value::{FromValue, Kind, Row, Value};

/// Builds the `Vec<Value>` of a statement: `args![tenant, key, 5]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}
