use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Result;
use nsl_devnet::free_port;
use serde::{Deserialize, Serialize};

use crate::{
    postgres::{BIN, OWNER, Postgres, PostgresOptions, answers, create_owner, prepare, psql},
    process::user_id,
    shared::{Recipe, shared},
};

/// A database of one test; its sessions end with it.
pub struct Database {
    port: u16,
    name: String,
    password: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SharedState {
    port: u16,
}

impl Database {
    /// A new empty database on the server that all tests share, owned by the role `nsl`.
    pub fn fresh() -> Result<Self> {
        Self::create(Self::shared_port()?, None)
    }

    fn shared_port() -> Result<u16> {
        let state = shared(
            "postgres",
            60,
            |directory| {
                let port = free_port()?;
                let data = directory.join("data");
                let options = PostgresOptions {
                    settings: vec![("max_connections".into(), "400".into())],
                    ..PostgresOptions::default()
                };
                prepare(&data, port, &options)?;
                let user = match user_id() {
                    0 => "setpriv --reuid postgres --regid postgres --init-groups -- ",
                    _ => "",
                };
                Ok(Recipe {
                    state: SharedState { port },
                    script: format!("exec {user}{BIN}/postgres -D '{}' -p {port}", data.display()),
                    env: Vec::new(),
                })
            },
            |state| answers(state.port),
        )?;
        create_owner(state.port, None)?;
        Ok(state.port)
    }

    pub(crate) fn create(port: u16, password: Option<String>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let started = fs::metadata(format!("/proc/{}", std::process::id()))?.modified()?;
        let started = started.duration_since(std::time::UNIX_EPOCH)?.as_millis();
        // The start time keeps apart two processes that had the same id on a server that outlived the first.
        let name = format!("t{}_{started}_{number}", std::process::id());
        psql(port, "postgres", &format!("create database {name} owner {OWNER} template template0;"))?;
        Ok(Self { port, name, password })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// As the owner, who is no superuser: row-level security holds.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// As [`Database::url`], on a standby of its server.
    pub fn url_on(&self, standby: &Postgres) -> String {
        self.url_at(standby.port())
    }

    fn url_at(&self, port: u16) -> String {
        match &self.password {
            Some(password) => format!("postgres://{OWNER}:{password}@127.0.0.1:{port}/{}", self.name),
            None => format!("postgres://{OWNER}@127.0.0.1:{port}/{}", self.name),
        }
    }

    /// As [`Database::url`], in sessions that refuse to write.
    pub fn read_only_url(&self) -> String {
        format!("{}?options=-c%20default_transaction_read_only%3Don", self.url())
    }

    /// As a superuser, for whom no policy holds.
    pub fn superuser_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// Runs SQL as the superuser and returns what came back: rows by line, columns by `|`.
    pub fn query(&self, sql: &str) -> Result<String> {
        psql(self.port, &self.name, sql)
    }

    /// Ends every session of this database from the server's side.
    pub fn cut_sessions(&self) -> Result<()> {
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid();";
        self.query(sql).map(|_| ())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It is not dropped in SQL: that waits for a checkpoint of the whole server, a second or more, and the
        // server with all its databases is thrown away soon.
        let _ = self.cut_sessions();
    }
}
