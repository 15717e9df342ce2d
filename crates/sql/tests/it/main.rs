//! The promises of the SQL door, held by one suite over SQLite, PostgreSQL, and PostgreSQL behind PgBouncer
//! in transaction mode; and what the engines' bad days do to them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

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
