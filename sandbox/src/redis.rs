use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use nsl_devnet::free_port;

use crate::{
    home::{Room, run},
    process::{Process, Signal, eventually},
};

/// A Redis 7 server that evicts nothing and keeps nothing on disk; it starts in some 30 ms, so each test
/// may have its own.
pub struct Redis {
    process: Option<Process>,
    port: u16,
    password: Option<String>,
    replica_of: Option<u16>,
    room: Room,
}

impl Redis {
    pub fn start() -> Result<Self> {
        Self::launch(None, None)
    }

    pub fn with_password(password: &str) -> Result<Self> {
        Self::launch(Some(password.to_owned()), None)
    }

    fn launch(password: Option<String>, replica_of: Option<u16>) -> Result<Self> {
        let room = Room::new("redis")?;
        let mut server = Self { process: None, port: free_port()?, password, replica_of, room };
        server.start_again()?;
        Ok(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, with the password if it has one.
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}/0", self.port),
            None => format!("redis://127.0.0.1:{}/0", self.port),
        }
    }

    /// The server process.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server was stopped by this test")
    }

    /// Runs one command, as `redis-cli` does, and returns what it printed.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        command(self.port, self.password.as_deref(), words)
    }

    /// Ends it; what it held is lost, as nothing is kept on disk.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it on the port it had, empty, and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        let file = self.room.path().join("redis.conf");
        let mut text = format!(
            "bind 127.0.0.1\nport {}\nsave \"\"\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy noeviction\nrepl-diskless-sync-delay 0\n",
            self.port
        );
        // In the file, not on the command line, where every user of the machine could read it.
        if let Some(password) = &self.password {
            text.push_str(&format!("requirepass \"{password}\"\nmasterauth \"{password}\"\n"));
        }
        if let Some(master) = self.replica_of {
            text.push_str(&format!("replicaof 127.0.0.1 {master}\n"));
        }
        fs::write(&file, text)?;
        let process = launch("redis-server", &file, self.room.path(), &[])?;
        process.until_ready(10, || pings(self.port, self.password.as_deref()))?;
        self.process = Some(process);
        Ok(())
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.process().signal(Signal::Pause)
    }

    pub fn resume(&self) -> Result<()> {
        self.process().signal(Signal::Resume)
    }
}

/// A master with one replica under three sentinels, any two of which promote the replica about a second
/// after the master has gone.
pub struct Sentinel {
    nodes: Vec<Redis>,
    watchers: Vec<(Process, u16)>,
    _room: Room,
}

impl Sentinel {
    /// The name under which the sentinels know the master.
    pub const MASTER: &'static str = "nsl";

    pub fn start() -> Result<Self> {
        let master = Redis::start()?;
        let replica = Redis::launch(None, Some(master.port))?;
        eventually("the replica follows", 20, || {
            Ok(replica.command(&["info", "replication"])?.contains("master_link_status:up"))
        })?;
        let room = Room::new("sentinel")?;
        let mut watchers = Vec::new();
        for number in 0..3 {
            let port = free_port()?;
            let file = room.path().join(format!("{number}.conf"));
            let name = Self::MASTER;
            let text = format!(
                "bind 127.0.0.1\nport {port}\nsentinel monitor {name} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {name} 800\nsentinel failover-timeout {name} 3000\nsentinel parallel-syncs {name} 1\n",
                master.port
            );
            fs::write(&file, text)?;
            let process = launch("redis-server", &file, room.path(), &["--sentinel"])?;
            process.until_ready(10, || pings(port, None))?;
            watchers.push((process, port));
        }
        let cluster = Self { nodes: vec![master, replica], watchers, _room: room };
        for (_, port) in &cluster.watchers {
            eventually("each sentinel knows the replica and the others", 20, || {
                let seen = command(*port, None, &["sentinel", "master", Self::MASTER])?;
                let value = |key: &str| {
                    let mut lines = seen.lines().skip_while(|line| *line != key);
                    lines.nth(1).map(str::to_owned)
                };
                Ok(value("num-slaves").as_deref() == Some("1") && value("num-other-sentinels").as_deref() == Some("2"))
            })?;
        }
        Ok(cluster)
    }

    /// `host:port` of each sentinel.
    pub fn addresses(&self) -> Vec<String> {
        self.watchers.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect()
    }

    /// The port of the node that the sentinels call the master.
    pub fn master_port(&self) -> Result<u16> {
        let (_, port) = &self.watchers[0];
        let said = command(*port, None, &["sentinel", "get-master-addr-by-name", Self::MASTER])?;
        said.lines().nth(1).context("asking a sentinel for the master")?.parse().context("reading a port")
    }

    /// Kills the master and waits until the sentinels have promoted the other node.
    pub fn fail_over(&mut self) -> Result<()> {
        let old = self.master_port()?;
        for node in &mut self.nodes {
            if node.port == old {
                node.stop();
            }
        }
        eventually("the sentinels name another master", 30, || {
            let now = self.master_port()?;
            Ok(now != old && command(now, None, &["role"])?.starts_with("master"))
        })
    }
}

fn launch(program: &str, file: &Path, directory: &Path, more: &[&str]) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg(file).args(more).current_dir(directory);
    Process::start(program, &command, &file.with_extension("log"), None)
}

fn pings(port: u16, password: Option<&str>) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        && command(port, password, &["ping"]).is_ok_and(|said| said.trim() == "PONG")
}

fn command(port: u16, password: Option<&str>, words: &[&str]) -> Result<String> {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-e"]).args(words);
    if let Some(password) = password {
        command.env("REDISCLI_AUTH", password);
    }
    Ok(run(&mut command)?.trim_end().to_owned())
}
