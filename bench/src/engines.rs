//! What the engines do by themselves: one row, one transaction, flushed to disk.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nsl_sandbox::Database;

const VALUE: usize = 1_024;

/// Rows a second by 64 clients of pgbench, each with a row of 1 KiB and a flush of its own.
pub(crate) fn postgres(database: &Database) -> Result<f64> {
    let room = tempfile::tempdir()?;
    let table = room.path().join("table.sql");
    std::fs::write(&table, "CREATE TABLE bench (id bigserial PRIMARY KEY, tenant text, key text, value json);")?;
    let insert = room.path().join("insert.sql");
    let value = format!("{{\"text\":\"{}\"}}", "x".repeat(VALUE - 11));
    std::fs::write(&insert, format!("INSERT INTO bench (tenant, key, value) VALUES ('ten', 'key', '{value}');"))?;
    let made = Command::new("psql").arg(database.url()).arg("-q").arg("-f").arg(&table).status()?;
    ensure!(made.success(), "making the table for pgbench");
    let output = Command::new("/usr/lib/postgresql/15/bin/pgbench")
        .args(["-n", "-M", "prepared", "-c", "64", "-j", "1", "-T", "8", "-f"])
        .arg(&insert)
        .arg(database.url())
        .output()
        .context("starting pgbench")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
        .with_context(|| format!("pgbench printed no rate: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

/// Rows a second of one SQLite connection in WAL mode at full sync, each row its own transaction. SQLite takes
/// one writer at a time, so more clients only wait for each other.
pub(crate) fn sqlite(directory: &Path) -> Result<f64> {
    let connection = rusqlite::Connection::open(directory.join("bench.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("CREATE TABLE bench (id INTEGER PRIMARY KEY, tenant TEXT, key TEXT, value TEXT)")?;
    let mut insert = connection.prepare("INSERT INTO bench (tenant, key, value) VALUES ('ten', ?1, ?2)")?;
    let value = "x".repeat(VALUE);
    #[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
    let start = Instant::now();
    let mut rows = 0u32;
    while start.elapsed() < Duration::from_secs(5) {
        insert.execute(rusqlite::params![rows, value])?;
        rows += 1;
    }
    Ok(f64::from(rows) / start.elapsed().as_secs_f64())
}
