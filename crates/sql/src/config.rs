use std::{path::PathBuf, time::Duration};

use nsl_core::Secret;
use serde::Deserialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Sqlite,
    Postgres,
}

/// Section `[sql]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// `postgres://...`, or empty for SQLite in the data directory. Secret, since it may hold a password.
    pub url: Secret,
    /// A replica for reads that say how far behind they may be; empty for none.
    pub read_only_url: Secret,
    /// PgBouncer in transaction mode stands in front: nothing is kept in a session, nothing is prepared.
    pub pgbouncer: bool,
    /// PEM of the authority that signed the server's certificate; empty for the system's.
    pub ca_file: String,
    /// Connections to PostgreSQL, or reading connections to SQLite.
    pub connections: usize,
    /// Connections that commit groups, at PostgreSQL.
    pub writers: usize,
    /// Most writes in one group.
    pub group: usize,
    /// Most writes that wait for a group.
    pub waiting: usize,
    pub connect_timeout_ms: u64,
    pub statement_timeout_ms: u64,
}

impl Config {
    pub fn engine(&self) -> EngineKind {
        if self.url.is_empty() { EngineKind::Sqlite } else { EngineKind::Postgres }
    }

    /// The file of the embedded engine under a data directory.
    pub fn sqlite_file(data_dir: &std::path::Path) -> PathBuf {
        data_dir.join("nsl.db")
    }

    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// For tests and tools: SQLite with the defaults of the product.
    pub fn embedded() -> Self {
        Self {
            url: Secret::new(""),
            read_only_url: Secret::new(""),
            pgbouncer: false,
            ca_file: String::new(),
            connections: 8,
            writers: 2,
            group: 256,
            waiting: 4096,
            connect_timeout_ms: 3_000,
            statement_timeout_ms: 30_000,
        }
    }

    pub fn postgres(url: impl Into<String>) -> Self {
        Self { url: Secret::new(url.into()), ..Self::embedded() }
    }

    /// What is wrong with these settings, a sentence each.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, url) in [("sql.url", &self.url), ("sql.read_only_url", &self.read_only_url)] {
            let scheme = |text: &str| text.starts_with("postgres://") || text.starts_with("postgresql://");
            if !url.is_empty() && !url.expose_str().is_some_and(scheme) {
                wrong.push(format!("{name} must begin with postgres:// (leave it empty for the embedded SQLite)"));
            }
        }
        if self.url.is_empty() && !self.read_only_url.is_empty() {
            wrong.push("sql.read_only_url needs sql.url: the embedded SQLite has no replica".to_owned());
        }
        for (name, value, most) in [
            ("sql.connections", self.connections, 1_000),
            ("sql.writers", self.writers, 64),
            ("sql.group", self.group, 10_000),
            ("sql.waiting", self.waiting, 1_000_000),
        ] {
            if value == 0 || value > most {
                wrong.push(format!("{name} must be 1 to {most}, not {value}"));
            }
        }
        if self.engine() == EngineKind::Postgres && self.writers >= self.connections {
            wrong.push(format!(
                "sql.connections ({}) must be more than sql.writers ({}): readers need some too",
                self.connections, self.writers
            ));
        }
        wrong
    }
}
