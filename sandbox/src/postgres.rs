use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    home::{Room, free_port, give, home, run, run_with_input},
    process::{Process, Signal, user_id},
    shared::{Recipe, shared},
};

const BIN: &str = "/usr/lib/postgresql/15/bin";
const OWNER: &str = "nsl";
const SETTINGS: &str = "listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
fsync = on
synchronous_commit = on
password_encryption = 'scram-sha-256'
timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] %q%u@%d '
";

/// What a server of one's own may differ in.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Asks role `nsl` for this password by SCRAM; without it every loopback connection is trusted.
    pub password: Option<String>,
    /// PEM certificate and key: the server then speaks TLS to who asks for it.
    pub tls: Option<(String, String)>,
    /// Lines for postgresql.conf, which win over the sandbox's own.
    pub settings: Vec<(String, String)>,
    /// The parent of the data directory, for a server on a disk of its own.
    pub within: Option<PathBuf>,
}

/// A PostgreSQL 15 server of one's own: it may be stopped, killed, paused and started again on the same
/// port with the same data.
pub struct Postgres {
    process: Option<Process>,
    port: u16,
    options: PostgresOptions,
    data: PathBuf,
    log: PathBuf,
    _room: Room,
}

impl Postgres {
    pub fn start() -> Result<Self> {
        Self::start_with(PostgresOptions::default())
    }

    pub fn start_with(options: PostgresOptions) -> Result<Self> {
        let room = Room::new("postgres")?;
        let data = options.within.clone().unwrap_or_else(|| room.path().to_owned()).join("data");
        let port = free_port()?;
        prepare(&data, port, &options)?;
        let log = room.path().join("log");
        let mut server = Self { process: None, port, options, data, log, _room: room };
        server.start_again()?;
        create_owner(port, server.options.password.as_deref())?;
        Ok(server)
    }

    /// A new empty database on this server, owned by the role `nsl`, which is no superuser.
    pub fn database(&self) -> Result<Database> {
        Database::create(self.port, self.options.password.clone())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server process.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server was stopped by this test")
    }

    /// Stops it in order: open transactions are rolled back, connections closed.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.signal(Signal::Interrupt)?;
            process.wait(30)?;
        }
        Ok(())
    }

    /// kill -9 of the server and all its backends: what was not on disk is lost.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.signal_tree(Signal::Kill)?;
            process.kill();
        }
        Ok(())
    }

    /// Starts it on the port and data it had, after `stop` or `kill`, and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new(format!("{BIN}/postgres"));
        command.arg("-D").arg(&self.data).arg("-p").arg(self.port.to_string()).current_dir(&self.data);
        let process = Process::start("postgres", &command, &self.log, Some("postgres"))?;
        process.until_ready(30, || answers(self.port))?;
        self.process = Some(process);
        Ok(())
    }

    /// Freezes the server and all its backends: connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.process().signal_tree(Signal::Pause)
    }

    pub fn resume(&self) -> Result<()> {
        self.process().signal_tree(Signal::Resume)
    }
}

/// A database of one test; dropped together with it, sessions and all.
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

    fn create(port: u16, password: Option<String>) -> Result<Self> {
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
        match &self.password {
            Some(password) => format!("postgres://{OWNER}:{password}@127.0.0.1:{}/{}", self.port, self.name),
            None => format!("postgres://{OWNER}@127.0.0.1:{}/{}", self.port, self.name),
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
        let _ = psql(self.port, "postgres", &format!("drop database if exists {} with (force);", self.name));
    }
}

pub(crate) fn answers(port: u16) -> bool {
    answers_as(port, "postgres", "postgres")
}

pub(crate) fn answers_as(port: u16, user: &str, database: &str) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() && psql_as(port, user, database, "select 1;").is_ok()
}

fn psql(port: u16, database: &str, sql: &str) -> Result<String> {
    psql_as(port, "postgres", database, sql)
}

fn psql_as(port: u16, user: &str, database: &str, sql: &str) -> Result<String> {
    let mut command = Command::new("psql");
    command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", user, "-d", database]);
    command
        .arg("-p")
        .arg(port.to_string())
        .env("PGOPTIONS", "")
        .env("PGSSLMODE", "disable")
        .env("PGCONNECT_TIMEOUT", "5");
    Ok(run_with_input(&mut command, sql)?.trim_end().to_owned())
}

// Two tests may both be first to ask.
fn create_owner(port: u16, password: Option<&str>) -> Result<()> {
    let mut sql = format!(
        "select pg_advisory_lock(1);
         do $$ begin
           if not exists (select from pg_roles where rolname = '{OWNER}') then create role {OWNER} login; end if;
         end $$;"
    );
    if let Some(password) = password {
        sql.push_str(&format!("alter role {OWNER} password '{}';", password.replace('\'', "''")));
    }
    psql(port, "postgres", &sql).map(|_| ())
}

// Lays a new data directory from a template that one initdb made, as initdb takes a second and a copy does not.
fn prepare(data: &Path, port: u16, options: &PostgresOptions) -> Result<()> {
    let template = template()?;
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(&template).arg(data))?;
    let mut settings = format!("{SETTINGS}port = {port}\n");
    if let Some((certificate, key)) = &options.tls {
        fs::write(data.join("server.crt"), certificate)?;
        fs::write(data.join("server.key"), key)?;
        run(Command::new("chmod").arg("600").arg(data.join("server.key")))?;
        settings.push_str("ssl = on\n");
    }
    for (name, value) in &options.settings {
        settings.push_str(&format!("{name} = '{value}'\n"));
    }
    fs::write(data.join("postgresql.conf"), settings)?;
    let method = if options.password.is_some() { "scram-sha-256" } else { "trust" };
    let rules = format!(
        "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 {method}\nhost replication all 127.0.0.1/32 trust\n"
    );
    fs::write(data.join("pg_hba.conf"), rules)?;
    give(data, "postgres")
}

fn template() -> Result<PathBuf> {
    let version = run(Command::new(format!("{BIN}/postgres")).arg("--version"))?;
    let word = version.split_whitespace().nth(2).context("reading the version of postgres")?;
    let template = home()?.join(format!("postgres-{word}"));
    let lock = fs::File::create(home()?.join("postgres.lock"))?;
    lock.lock()?;
    if template.join("PG_VERSION").exists() {
        return Ok(template);
    }
    let fresh = home()?.join("postgres-fresh");
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir(&fresh)?;
    give(&fresh, "postgres")?;
    let mut command = match user_id() {
        0 => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups", "--"]);
            command.arg(format!("{BIN}/initdb"));
            command
        }
        _ => Command::new(format!("{BIN}/initdb")),
    };
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
    run(command.arg(&fresh).current_dir(home()?))?;
    fs::rename(&fresh, &template)?;
    Ok(template)
}
