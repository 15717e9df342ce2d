//! Real engines and real `nsl` processes for tests; nothing that ships depends on this crate.
//!
//! Holds: what a test starts ends with the test's process, however that ends. Servers listen on loopback
//! only, keep everything in directories of their own, and never take a port from the range that outgoing
//! connections use, so that a stopped server's port stays free for its restart.
//!
//! Two ways to a server:
//! - one of the test's own (`Postgres::start()`), which it may stop, kill, pause and start again;
//! - a corner of a server that all tests of this machine share ([`Database::fresh`], [`Vhost::fresh`]),
//!   started by the first that asks and ended a minute after the last.
//!
//! Everything here blocks; in an async test that is fine for the moment it takes.

#![allow(clippy::disallowed_methods, reason = "the sandbox waits for other programs, in real time")]

mod chaos;
mod database;
mod disk;
mod home;
mod http;
mod nsl;
mod otlp;
mod pgbouncer;
mod postgres;
mod process;
mod rabbitmq;
mod redis;
mod relayer;
mod s3;
mod shared;

pub use chaos::{Chaos, Outcome};
pub use database::Database;
pub use disk::SmallDisk;
pub use http::{Connection, Reply, http};
pub use nsl::{Launch, Nsl, Ready, nsl_command, nsl_program};
pub use nsl_devnet::free_port;
pub use otlp::{Otlp, Span};
pub use pgbouncer::PgBouncer;
pub use postgres::{Postgres, PostgresOptions};
pub use process::{Process, Signal, eventually};
pub use rabbitmq::{RabbitMq, Vhost};
pub use redis::{Redis, Sentinel};
pub use relayer::{Befallen, Chain, Storm, Tally};
pub use s3::S3;
