//! The servers under measurement: release builds of `nsl`, as a user would start them, with limits lifted.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use nsl_sandbox::{Database, Launch, Nsl, nsl_command};

const UNLIMITED: &str = "1000000000";

pub(crate) struct Server {
    nsl: Nsl,
    /// One API key for each tenant.
    pub(crate) keys: Vec<String>,
    data: PathBuf,
    _room: Option<tempfile::TempDir>,
}

impl Server {
    pub(crate) fn embedded(tenants: usize) -> Result<Self> {
        Self::start(None, tenants)
    }

    pub(crate) fn postgres(database: &Database, tenants: usize) -> Result<Self> {
        Self::start(Some(database), tenants)
    }

    /// A second process on the database of the first, with its keys and its secrets.
    pub(crate) fn beside(database: &Database, first: &Self) -> Result<Self> {
        let room = tempfile::tempdir()?;
        let data = room.path().join("data");
        std::fs::create_dir(&data)?;
        let copied = Command::new("cp").arg("-a").arg(first.data.join("secrets")).arg(&data).status()?;
        ensure!(copied.success(), "copying the secrets of the first process");
        let nsl = launch(&data, Some(database))?.start()?;
        Ok(Self { nsl, keys: first.keys.clone(), data, _room: Some(room) })
    }

    fn start(database: Option<&Database>, tenants: usize) -> Result<Self> {
        let room = tempfile::tempdir()?;
        let data = room.path().join("data");
        let nsl = launch(&data, database)?.start()?;
        let mut keys = vec![nsl.ready().api_key.clone().context("the first start shows its key")?];
        for number in 1..tenants {
            keys.push(make_tenant(&data, database, number)?);
        }
        Ok(Self { nsl, keys, data, _room: Some(room) })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.nsl.ready().public)
    }

    pub(crate) fn put_sample(&self) -> Result<()> {
        let body = serde_json::json!({ "key": "sample", "value": { "text": "x".repeat(1_013) }, "encrypted": false });
        let reply = self.nsl.request("POST", "/v1/storage/store/neo-n3", &body.to_string())?;
        ensure!(reply.status == 200, "storing the sample: {}", reply.status);
        Ok(())
    }

    pub(crate) fn resident_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.nsl.process().pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1_024.0)
    }

    /// How long a further process on a directory with data takes until it says that it is ready.
    pub(crate) fn restart_ms(&self) -> Result<u128> {
        let room = tempfile::tempdir()?;
        let data = room.path().join("data");
        drop(launch(&data, None)?.start()?);
        let launch = launch(&data, None)?;
        #[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
        let start = Instant::now();
        let second = launch.start()?;
        let taken = start.elapsed().as_millis();
        drop(second);
        Ok(taken)
    }
}

fn launch(data: &Path, database: Option<&Database>) -> Result<Launch> {
    let mut launch = Launch::dev_in(data)?
        .env("NSL_LIMITS__GENERAL_PER_MINUTE", UNLIMITED)
        .env("NSL_LIMITS__AUTH_PER_15_MINUTES", UNLIMITED)
        .env("NSL_QUOTA__ITEMS", UNLIMITED)
        .env("NSL_QUOTA__BYTES", "1000000000000");
    if let Some(database) = database {
        launch = launch.env("DATABASE_URL", database.url());
    }
    Ok(launch)
}

fn make_tenant(data: &Path, database: Option<&Database>, number: usize) -> Result<String> {
    let mut command = nsl_command(["tenant", "create", "--json", "--set", "profile=development", "--set"])?;
    command.arg(format!("data_dir={}", data.display())).arg(format!("bench-{number}"));
    if let Some(database) = database {
        command.env("DATABASE_URL", database.url());
    }
    let output = command.output()?;
    ensure!(output.status.success(), "making a tenant: {}", String::from_utf8_lossy(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    made["key"]["secret"].as_str().map(str::to_owned).context("a new tenant comes with a key")
}

/// What the numbers were measured on.
pub(crate) fn machine() -> Result<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: unknown");
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let kib: u64 = memory.split_whitespace().nth(1).context("no memory size")?.parse()?;
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{cores} cores ({}), {} GiB of memory", model.trim_start_matches(['\t', ' ', ':']), kib / 1_048_576))
}
