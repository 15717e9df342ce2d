use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use nsl_devnet::free_port;

use crate::{
    database::Database,
    home::{Room, give, home, run, run_with_input},
    process::{Process, Signal, user_id},
};

pub(crate) const BIN: &str = "/usr/lib/postgresql/15/bin";
pub(crate) const OWNER: &str = "nsl";
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

    /// A new server that follows this one: it holds the same databases, replays what is written here, and
    /// answers reads alone.
    pub fn standby(&self) -> Result<Self> {
        let room = Room::new("standby")?;
        let data = room.path().join("data");
        fs::DirBuilder::new().mode(0o700).create(&data)?;
        give(&data, "postgres")?;
        let mut copy = as_postgres(&format!("{BIN}/pg_basebackup"));
        copy.args(["-h", "127.0.0.1", "-U", "postgres", "--checkpoint=fast", "--no-sync", "-R", "-p"]);
        run(copy.arg(self.port.to_string()).arg("-D").arg(&data).current_dir(room.path()))?;
        let port = free_port()?;
        // The last line of the same name wins.
        let settings = fs::read_to_string(data.join("postgresql.conf"))? + &format!("port = {port}\n");
        fs::write(data.join("postgresql.conf"), settings)?;
        let log = room.path().join("log");
        let mut server = Self { process: None, port, options: self.options.clone(), data, log, _room: room };
        server.start_again()?;
        Ok(server)
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

pub(crate) fn answers(port: u16) -> bool {
    answers_as(port, "postgres", "postgres")
}

pub(crate) fn answers_as(port: u16, user: &str, database: &str) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() && psql_as(port, user, database, "select 1;").is_ok()
}

pub(crate) fn psql(port: u16, database: &str, sql: &str) -> Result<String> {
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
pub(crate) fn create_owner(port: u16, password: Option<&str>) -> Result<()> {
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
pub(crate) fn prepare(data: &Path, port: u16, options: &PostgresOptions) -> Result<()> {
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
    let mut command = as_postgres(&format!("{BIN}/initdb"));
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
    run(command.arg(&fresh).current_dir(home()?))?;
    fs::rename(&fresh, &template)?;
    Ok(template)
}

// PostgreSQL refuses to run as root.
fn as_postgres(program: &str) -> Command {
    if user_id() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups", "--", program]);
    command
}
