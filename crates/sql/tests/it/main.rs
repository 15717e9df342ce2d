//! The promises of the SQL door, held by one suite over SQLite, PostgreSQL, and PostgreSQL behind PgBouncer
//! in transaction mode; and what the engines' bad days do to them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bed;
mod deeds;
mod groups;
mod heavy_disk;
mod heavy_faults;
mod kinds;
mod migrations;
mod once;
mod replica;
mod tenants;
