//! Migrations: embedded, numbered, applied under a lock in one transaction, so that two processes may
//! start at once and a failed step leaves nothing behind.

use std::path::Path;

use anyhow::{Context, bail};
use nsl_core::{Clock, Result, Timestamp};

use crate::{
    config::{Config, EngineKind},
    db::{Db, Scope},
    postgres::{Postgres, SCHEMA, Session},
    sqlite::Connection,
    value::{Row, Value},
};

/// The steps of one owner of tables.
pub struct Migrations {
    pub owner: &'static str,
    pub steps: &'static [Step],
}

pub struct Step {
    /// Counted from 1, without gaps.
    pub version: i64,
    pub name: &'static str,
    /// The previous release can't work on the result. Such steps wait for the release after the next.
    pub breaking: bool,
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

/// What this crate itself needs; first in every list.
pub static BASE: Migrations = Migrations {
    owner: "sql",
    steps: &[Step {
        version: 1,
        name: "idempotency",
        breaking: false,
        sqlite: include_str!("../migrations/sqlite/1_idempotency.sql"),
        postgres: include_str!("../migrations/postgres/1_idempotency.sql"),
    }],
};

static TABLE_SQLITE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    owner TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, breaking INTEGER NOT NULL,
    applied_at INTEGER NOT NULL, PRIMARY KEY (owner, version)) STRICT";
static TABLE_POSTGRES: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    owner text NOT NULL, version bigint NOT NULL, name text NOT NULL, breaking boolean NOT NULL,
    applied_at timestamptz NOT NULL, PRIMARY KEY (owner, version))";
static APPLIED: &str = "SELECT owner, version, breaking FROM schema_migrations ORDER BY owner, version";
static RECORD: &str =
    "INSERT INTO schema_migrations (owner, version, name, breaking, applied_at) VALUES ($1, $2, $3, $4, $5)";

impl Config {
    /// Brings the schema up to these migrations and names the steps that it took.
    pub async fn migrate(
        &self,
        data_dir: &Path,
        clock: &dyn Clock,
        all: &[&'static Migrations],
    ) -> anyhow::Result<Vec<String>> {
        match self.engine() {
            EngineKind::Sqlite => {
                let mut connection = Connection::open(&Self::sqlite_file(data_dir), true)?;
                connection.execute("BEGIN IMMEDIATE", &[])?;
                connection.script(TABLE_SQLITE)?;
                let mut taken = Vec::new();
                for (owner, step) in missing(all, connection.query(APPLIED, &[])?)? {
                    connection.script(step.sqlite).with_context(|| label(owner, step))?;
                    connection.execute(RECORD, &record(owner, step, clock.now()))?;
                    taken.push(label(owner, step));
                }
                connection.execute("COMMIT", &[])?;
                Ok(taken)
            }
            EngineKind::Postgres => {
                let session = Postgres::new(self, &self.url)?.begin().await?;
                let done = migrate_postgres(&session, clock, all).await;
                match &done {
                    Ok(_) => session.commit().await?,
                    Err(_) => session.rollback().await?,
                }
                done
            }
        }
    }
}

async fn migrate_postgres(
    session: &Session,
    clock: &dyn Clock,
    all: &[&'static Migrations],
) -> anyhow::Result<Vec<String>> {
    // One at a time, and the lock goes with the transaction, however that ends. "nsl" in ASCII. A step over a
    // large table may take long, and so may the wait for another process that takes it.
    session.script("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(7238508)").await?;
    session.script(&format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}")).await?;
    session.script(TABLE_POSTGRES).await?;
    let mut taken = Vec::new();
    for (owner, step) in missing(all, session.query(APPLIED, &[]).await?)? {
        session.script(step.postgres).await.with_context(|| label(owner, step))?;
        session.execute(RECORD, &record(owner, step, clock.now())).await?;
        taken.push(label(owner, step));
    }
    Ok(taken)
}

fn label(owner: &str, step: &Step) -> String {
    format!("{owner} {} {}", step.version, step.name)
}

fn record(owner: &'static str, step: &Step, now: Timestamp) -> Vec<Value> {
    crate::args![owner, step.version, step.name, step.breaking, now]
}

fn missing(all: &[&'static Migrations], applied: Vec<Row>) -> anyhow::Result<Vec<(&'static str, &'static Step)>> {
    let applied = read(applied)?;
    refuse_unknown(all, &applied)?;
    let known = |owner: &str, version: i64| applied.iter().any(|step| step.0 == owner && step.1 == version);
    Ok(all
        .iter()
        .flat_map(|set| set.steps.iter().map(|step| (set.owner, step)))
        .filter(|(owner, step)| !known(owner, step.version))
        .collect())
}

fn read(rows: Vec<Row>) -> Result<Vec<(String, i64, bool)>> {
    rows.into_iter().map(|mut row| Ok((row.take(0)?, row.take(1)?, row.take(2)?))).collect()
}

fn refuse_unknown(all: &[&'static Migrations], applied: &[(String, i64, bool)]) -> anyhow::Result<()> {
    for (owner, version, breaking) in applied {
        let newest = all.iter().find(|set| set.owner == owner).map(|set| set.steps.len() as i64);
        // Of an owner that is not run here nothing need be known; of one that is, expansions may be ahead.
        if newest.is_some_and(|newest| *version > newest) && *breaking {
            bail!("the schema has step {version} of {owner}, which this version does not know: run the newer release");
        }
    }
    Ok(())
}

impl Db {
    /// Refuses a schema that these migrations have not been applied to, or that is too new.
    pub async fn check_schema(&self, all: &[&'static Migrations]) -> anyhow::Result<()> {
        let missing = match self.query(Scope::Platform, APPLIED, Vec::new()).await {
            Ok(applied) => missing(all, applied)?,
            Err(_) => {
                self.ping().await?;
                bail!("the database has no schema yet: run `nsl migrate`")
            }
        };
        if let Some((owner, step)) = missing.first() {
            bail!("the schema lacks {} step(s), the first is {}: run `nsl migrate`", missing.len(), label(owner, step));
        }
        Ok(())
    }
}
