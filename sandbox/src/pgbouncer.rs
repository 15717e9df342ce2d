use std::{fs, process::Command};

use anyhow::Result;
use nsl_devnet::free_port;

use crate::{
    database::Database,
    home::{Room, give},
    postgres::answers_as,
    process::{Process, Signal},
};

/// PgBouncer in transaction mode in front of one database: two statements of one session may run in two
/// sessions of the server, so nothing that lives in a session can be relied on.
pub struct PgBouncer {
    process: Option<Process>,
    port: u16,
    name: String,
    room: Room,
}

impl PgBouncer {
    /// In front of `database`, with at most `sessions` on the server's side.
    pub fn start(database: &Database, sessions: u32) -> Result<Self> {
        let room = Room::new("pgbouncer")?;
        let port = free_port()?;
        let name = database.name().to_owned();
        let settings = format!(
            "[databases]\n{name} = host=127.0.0.1 port={} dbname={name}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 500\nserver_tls_sslmode = disable\nserver_login_retry = 1\nignore_startup_parameters = extra_float_digits\n",
            database.port(),
            room.path().join("users").display(),
        );
        fs::write(room.path().join("pgbouncer.ini"), settings)?;
        fs::write(room.path().join("users"), "\"nsl\" \"\"\n\"postgres\" \"\"\n")?;
        give(room.path(), "postgres")?;
        let mut pooler = Self { process: None, port, name, room };
        pooler.start_again()?;
        Ok(pooler)
    }

    /// As the owner of the database, through the pooler.
    pub fn url(&self) -> String {
        format!("postgres://nsl@127.0.0.1:{}/{}", self.port, self.name)
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the pooler was stopped by this test")
    }

    /// Ends it and with it every connection.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(process) = self.process.take() {
            process.signal(Signal::Terminate)?;
            process.wait(10)?;
        }
        Ok(())
    }

    /// Starts it on the port it had.
    pub fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new("/usr/sbin/pgbouncer");
        command.arg(self.room.path().join("pgbouncer.ini")).current_dir(self.room.path());
        let process = Process::start("pgbouncer", &command, &self.room.path().join("log"), Some("postgres"))?;
        process.until_ready(10, || answers_as(self.port, "nsl", &self.name))?;
        self.process = Some(process);
        Ok(())
    }
}
