//! A Neo N3 network of one validator: neo-go.

mod config;
mod keys;
mod money;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    account::Account,
    cache::{Cache, NEO_GO, write_whole},
    process::{Life, Running, Signal},
    rpc,
    start::{self, LOG, Record, Start},
};

use keys::Keys;

const OPTIONS: &str = "options.json";
const CONFIG: &str = "protocol.yml";
const PATIENCE: Duration = Duration::from_secs(20);
/// Nobody is kept waiting for a first block that is further away.
const SOON: Duration = Duration::from_secs(2);

/// Where the chain is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    /// The chain begins anew with each start.
    #[default]
    Memory,
    /// The chain goes on after a stop. After a kill -9 the last second of it may be gone.
    LevelDb,
}

/// How a network is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct N3Options {
    /// 100 ms is reliable, below 20 ms nothing is gained.
    pub block_time: Duration,
    pub magic: u32,
    pub database: Database,
    /// How many accounts get money at genesis, 100,000 GAS and 100,000 NEO each.
    pub accounts: usize,
    /// None takes a free one.
    #[serde(skip)]
    pub port: Option<u16>,
    #[serde(skip)]
    pub life: Life,
    /// None takes the default place and the registries this machine is set to.
    #[serde(skip)]
    pub cache: Option<Cache>,
    /// A program of one's own instead of the pinned one.
    pub program: Option<PathBuf>,
    /// Certificates (PEM) that its oracle service trusts, besides no others.
    pub trusted: Option<PathBuf>,
}

impl Default for N3Options {
    fn default() -> Self {
        Self {
            block_time: Duration::from_millis(100),
            magic: 1230,
            database: Database::Memory,
            accounts: 4,
            port: None,
            life: Life::WithUs,
            cache: None,
            program: None,
            trusted: None,
        }
    }
}

/// A running network.
#[derive(Debug)]
pub struct N3 {
    pub rpc: String,
    pub ws: String,
    pub magic: u32,
    /// Accounts with money, each of a single key.
    pub accounts: Vec<Account>,
    /// The account of committee and validators: one signature of its key, by a script for several.
    pub committee: Account,
    port: u16,
    dir: PathBuf,
    options: N3Options,
    running: Running,
}

impl N3 {
    /// Starts one that keeps its files in `dir`, and returns when it answers and has made a block, if that comes soon.
    pub async fn start(dir: &Path, options: N3Options) -> Result<Self> {
        let dir = &start::private_dir(dir)?;
        let program = start::program(options.program.as_ref(), options.cache.as_ref(), &NEO_GO).await?;
        let keys = Keys::open_or_make(dir, options.accounts)?;
        let before = Self::options(dir).and_then(|earlier| earlier.program);
        start::keep(&dir.join(OPTIONS), &options)?;
        match run(dir, &program, &options, &keys, options.port).await {
            Ok((running, port)) => Ok(Self::of(dir, options, port, &keys, running)),
            Err(error) => {
                // A program that does not start is not the one to try the next time.
                start::keep(&dir.join(OPTIONS), &N3Options { program: before, ..options })?;
                Err(error)
            }
        }
    }

    /// The one that was started in `dir` and still runs. It outlives this handle.
    pub async fn find(dir: &Path) -> Result<Option<Self>> {
        let dir = &std::path::absolute(dir)?;
        let Some(record) = Record::read(dir).filter(|record| record.identity.runs()) else { return Ok(None) };
        let options = Self::options(dir).context("it is not known how the running neo-go was started")?;
        let keys = Keys::open(dir)?;
        Ok(Some(Self::of(dir, options, record.port, &keys, Running::found(record.identity))))
    }

    /// How the last one in `dir` was started.
    pub(crate) fn options(dir: &Path) -> Option<N3Options> {
        serde_json::from_slice(&fs::read(dir.join(OPTIONS)).ok()?).ok()
    }

    /// Whether it answers as it should.
    pub async fn answers(&self) -> Result<()> {
        let keys = Keys::open(&self.dir)?;
        answers(self.port, &self.options, &keys.node.public().to_string()).await
    }

    fn of(dir: &Path, options: N3Options, port: u16, keys: &Keys, running: Running) -> Self {
        Self {
            rpc: format!("http://127.0.0.1:{port}"),
            ws: format!("ws://127.0.0.1:{port}/ws"),
            magic: options.magic,
            accounts: keys.accounts(),
            committee: keys.committee(),
            port,
            dir: dir.to_owned(),
            options,
            running,
        }
    }

    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        self.running.runs()
    }

    pub fn pid(&self) -> u32 {
        self.running.identity.pid
    }

    /// A NEP-6 file with all its keys, under the passphrase `development`.
    pub fn wallet(&self) -> PathBuf {
        self.dir.join(keys::WALLET)
    }

    /// What it printed.
    pub fn log(&self) -> PathBuf {
        self.dir.join(LOG)
    }

    /// Ends it in good order: everything is written down.
    pub async fn stop(&self) -> Result<()> {
        self.running.end(Signal::TERM, PATIENCE).await.context("stopping neo-go")
    }

    /// Ends it as kill -9 does.
    pub fn kill(&self) {
        self.running.kill();
    }

    /// Stops it if it runs, and starts it again at the same address.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        let keys = Keys::open(&self.dir)?;
        let program = start::program(self.options.program.as_ref(), self.options.cache.as_ref(), &NEO_GO).await?;
        let (running, _) = run(&self.dir, &program, &self.options, &keys, Some(self.port)).await?;
        self.running = running;
        Ok(())
    }

    /// Sends so many datoshi (1 GAS is 100,000,000) from the committee, waits for the block, and gives the transaction.
    pub async fn fund_gas(&self, address: &str, datoshi: u64) -> Result<String> {
        money::send(self, neo::native::GAS, address, datoshi).await
    }

    /// What an address has, in datoshi.
    pub async fn gas_of(&self, address: &str) -> Result<u128> {
        let account = neo::Hash160::from_text(address).with_context(|| format!("reading the address {address:?}"))?;
        money::balance(self, neo::native::GAS, account).await
    }

    /// Sends so many NEO from the committee, waits for the block, and gives the transaction.
    pub async fn fund_neo(&self, address: &str, amount: u64) -> Result<String> {
        money::send(self, neo::native::NEO, address, amount).await
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value> {
        rpc::call(&self.rpc, method, params).await
    }
}

async fn run(
    dir: &Path,
    program: &Path,
    options: &N3Options,
    keys: &Keys,
    port: Option<u16>,
) -> Result<(Running, u16)> {
    if options.database == Database::Memory {
        let _ = fs::remove_dir_all(dir.join(config::CHAIN));
    }
    let grants = money::genesis(keys)?;
    let public = keys.node.public().to_string();
    let command = |port: u16| {
        let text = config::text(dir, options, &public, &grants, port);
        write_whole(&dir.join(CONFIG), text.as_bytes(), 0o600)?;
        let mut command = Command::new(program);
        command.arg("node").arg("--config-file").arg(dir.join(CONFIG)).env("HOME", dir).current_dir(dir);
        if let Some(trusted) = &options.trusted {
            command.env("SSL_CERT_FILE", trusted);
        }
        Ok(command)
    };
    let start = Start { dir, life: options.life, port };
    start.run(command, |port| answers(port, options, &public)).await.context("starting neo-go")
}

// Whether it is this network, and makes blocks.
async fn answers(port: u16, options: &N3Options, public: &str) -> Result<()> {
    let url = format!("http://127.0.0.1:{port}");
    let version = rpc::call(&url, "getversion", json!([])).await?;
    let protocol = &version["protocol"];
    if protocol["network"] != json!(options.magic) || protocol["standbycommittee"] != json!([public]) {
        bail!("another network answers there");
    }
    let blocks = rpc::call(&url, "getblockcount", json!([])).await?;
    if blocks.as_u64() < Some(2) && options.block_time <= SOON {
        bail!("no block yet");
    }
    Ok(())
}
