use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::{
    home::{Room, run},
    http::{Reply, http},
    process::{Process, Signal},
};

/// Variables that `nsl` reads; a test's own are cleared of them, so that only what it sets counts.
const SETTINGS: [&str; 18] = [
    "DATABASE_URL",
    "DATABASE_CONNECTION",
    "DB_PASSWORD",
    "REDIS_URL",
    "REDIS_PASSWORD",
    "RABBITMQ_URL",
    "RABBITMQ_PASSWORD",
    "NEO_N3_RPC_URL",
    "NEO_X_RPC_URL",
    "SGX_MODE",
    "SGX_DEBUG",
    "ENCLAVE_PATH",
    "ALLOWED_ORIGINS",
    "JWT_SECRET_KEY",
    "IAS_API_KEY",
    "RUST_LOG",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_SERVICE_NAME",
];

/// What a running `nsl` says of itself; URLs have scheme and port.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    pub public: String,
    pub internal: String,
    pub ops: String,
    #[serde(default)]
    pub tenant: Option<String>,
    /// Absent from the second start on, unless asked for.
    #[serde(default)]
    pub api_key: Option<String>,
}

/// How to start an `nsl` process.
pub struct Launch {
    command: Command,
    directory: PathBuf,
    waits_for: Waits,
    room: Option<Room>,
    seconds: u64,
}

enum Waits {
    JsonLine,
    Probe(Ready),
}

/// A running `nsl` process; dropped, it is killed.
pub struct Nsl {
    process: Process,
    ready: Ready,
    launch: Launch,
}

/// The program under test: `NSL_BIN`, or the one in the target directory that this test or program is from.
pub fn nsl_program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("NSL_BIN") {
        return Ok(path.into());
    }
    // Programs lie in the target directory, tests one below.
    let me = std::env::current_exe()?;
    let found = me.ancestors().skip(1).take(2).map(|folder| folder.join("nsl")).find(|program| program.is_file());
    found.with_context(|| format!("finding nsl beside {}: cargo build -p nsl makes it", me.display()))
}

/// A command line of `nsl` with a clean environment, for calls that end by themselves.
pub fn nsl_command<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<Command> {
    let mut command = Command::new(nsl_program()?);
    command.args(args);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("NSL_")) {
            command.env_remove(name);
        }
    }
    for name in SETTINGS {
        command.env_remove(name).env_remove(format!("{name}_FILE"));
    }
    Ok(command)
}

impl Launch {
    /// `nsl dev` on a fresh directory that is gone with the process.
    pub fn dev() -> Result<Self> {
        let room = Room::new("nsl")?;
        let mut launch = Self::dev_in(&room.path().join("data"))?;
        launch.room = Some(room);
        Ok(launch)
    }

    /// `nsl dev` on a directory that stays.
    pub fn dev_in(directory: &Path) -> Result<Self> {
        let mut command = nsl_command(["dev", "--port", "0", "--json", "--data-dir"])?;
        command.arg(directory);
        Ok(Self { command, directory: directory.to_owned(), waits_for: Waits::JsonLine, room: None, seconds: 30 })
    }

    /// Any other call that keeps running, ready when `<ops>/health/ready` answers 200; `ready` says where the
    /// test has told it to listen.
    pub fn serve<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, ready: Ready) -> Result<Self> {
        let room = Room::new("nsl")?;
        let command = nsl_command(args)?;
        let directory = room.path().to_owned();
        Ok(Self { command, directory, waits_for: Waits::Probe(ready), room: Some(room), seconds: 30 })
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Lets [`Nsl::move_clock`] move the wall clock that the process sees; the time it measures spans with
    /// goes on as ever.
    pub fn with_movable_clock(mut self) -> Result<Self> {
        let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
        ensure!(Path::new(library).exists(), "finding {library}; scripts/setup.sh test installs it");
        let file = self.beside("clock")?;
        std::fs::write(&file, "+0")?;
        self.command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &file);
        self.command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        Ok(self)
    }

    /// How long the start may take; 30 s unless said.
    pub fn within(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    /// Starts it and waits until it is ready.
    pub fn start(self) -> Result<Nsl> {
        let (process, ready) = self.run()?;
        Ok(Nsl { process, ready, launch: self })
    }

    /// Starts it expecting that it ends by itself; returns how, and all that it said.
    pub fn ends(self) -> Result<(ExitStatus, String)> {
        let process = Process::start("nsl", &self.command, &self.log()?, None)?;
        let status = process.wait(self.seconds)?;
        Ok((status, process.output()))
    }

    fn log(&self) -> Result<PathBuf> {
        self.beside("log")
    }

    // Beside the data, not in it: the directory is the program's.
    fn beside(&self, what: &str) -> Result<PathBuf> {
        let name = self.directory.file_name().context("naming a file beside the data")?.to_string_lossy().into_owned();
        Ok(self.directory.with_file_name(format!("{name}.{what}")))
    }

    fn run(&self) -> Result<(Process, Ready)> {
        let log = self.log()?;
        let before = std::fs::metadata(&log).map(|found| found.len()).unwrap_or(0) as usize;
        let process = Process::start("nsl", &self.command, &log, None)?;
        let mut ready = None;
        process.until_ready(self.seconds, || {
            ready = match &self.waits_for {
                Waits::JsonLine => ready_line(process.output().get(before..).unwrap_or_default()),
                Waits::Probe(ready) => {
                    let reply = http("GET", &ready.ops, "/health/ready", &[], "");
                    reply.is_ok_and(|reply| reply.status == 200).then(|| ready.clone())
                }
            };
            ready.is_some()
        })?;
        Ok((process, ready.context("it said that it is ready")?))
    }
}

// Log lines go to the same file and are JSON too.
fn ready_line(output: &str) -> Option<Ready> {
    let whole = output.rsplit_once('\n')?.0;
    whole.lines().find_map(|line| serde_json::from_str(line).ok())
}

impl Nsl {
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn public(&self) -> &str {
        &self.ready.public
    }

    pub fn internal(&self) -> &str {
        &self.ready.internal
    }

    pub fn ops(&self) -> &str {
        &self.ready.ops
    }

    /// The key printed at the first start.
    pub fn api_key(&self) -> &str {
        self.ready.api_key.as_deref().expect("the first start shows the key")
    }

    pub fn directory(&self) -> &Path {
        &self.launch.directory
    }

    /// One request to the public listener with the API key.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Result<Reply> {
        let mut headers = vec!["Content-Type: application/json".to_owned()];
        if let Some(key) = &self.ready.api_key {
            headers.push(format!("X-API-Key: {key}"));
        }
        http(method, self.public(), path, &headers, body)
    }

    /// Asks it to end and waits; it has 10 s to drain, then this fails.
    pub fn terminate(&self) -> Result<ExitStatus> {
        self.process.signal(Signal::Terminate)?;
        self.process.wait(10)
    }

    /// Sets the wall clock that the process sees to the real one plus `seconds`, which may be negative.
    pub fn move_clock(&self, seconds: i64) -> Result<()> {
        let file = self.launch.beside("clock")?;
        ensure!(file.exists(), "moving a clock that was not started movable");
        let next = file.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}"))?;
        Ok(std::fs::rename(next, file)?)
    }

    /// kill -9: nothing is drained, flushed or said.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts it with the same arguments and environment, after it has ended; the key that it knew is kept.
    pub fn start_again(&mut self) -> Result<()> {
        if self.process.ended().is_none() {
            bail!("starting nsl again while it runs");
        }
        let (process, mut ready) = self.launch.run()?;
        ready.api_key = ready.api_key.or_else(|| self.ready.api_key.take());
        self.process = process;
        self.ready = ready;
        Ok(())
    }

    /// Everything it has printed, logs included.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Runs another `nsl` command against this process, its directory and its engines; fails when that exits other than 0.
    pub fn cli(&self, args: &[&str]) -> Result<String> {
        let mut command = nsl_command(args)?;
        // What the process was told of its engines, less what makes it run under a moved clock.
        for (name, value) in self.launch.command.get_envs().filter(|(name, _)| *name != "LD_PRELOAD") {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.env("NSL_DATA_DIR", self.directory()).env("NSL_URL", self.public());
        if let Some(key) = &self.ready.api_key {
            command.env("NSL_API_KEY", key);
        }
        run(&mut command)
    }
}

impl Drop for Nsl {
    fn drop(&mut self) {
        // Only a process that ends by itself writes down which lines it ran.
        if std::env::var_os("LLVM_PROFILE_FILE").is_some() && self.process.ended().is_none() {
            let _ = self.process.signal(Signal::Resume);
            let _ = self.terminate();
        }
    }
}
