//! An anvil that stands in for Neo X.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    account::Account,
    cache::{ANVIL, Cache},
    process::{Life, Running, Signal},
    rpc,
    start::{self, LOG, Record, Start},
};

const OPTIONS: &str = "options.json";
const ACCOUNTS: &str = "accounts.json";
const STATE: &str = "state.json";
/// The test network of Neo X.
const TESTNET: u64 = 12_227_332;
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the last block may take that is under way.
const LAST_BLOCK: Duration = Duration::from_millis(300);
// What every wallet and tool for development knows.
const MNEMONIC: &str = "test test test test test test test test test test test junk";

/// How an anvil is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct XOptions {
    pub chain_id: u64,
    /// A block each so many seconds; none mines a block for each transaction at once.
    pub block_time: Option<u64>,
    /// None takes a free one.
    #[serde(skip)]
    pub port: Option<u16>,
    /// Whether the chain goes on after [`X::stop`] and another start, or begins anew.
    pub keep: bool,
    #[serde(skip)]
    pub life: Life,
    /// None takes the default place and the registries this machine is set to.
    #[serde(skip)]
    pub cache: Option<Cache>,
    /// A program of one's own instead of the pinned one.
    pub program: Option<PathBuf>,
    /// More arguments for anvil.
    pub args: Vec<String>,
}

impl Default for XOptions {
    fn default() -> Self {
        Self {
            chain_id: TESTNET,
            block_time: None,
            port: None,
            keep: false,
            life: Life::WithUs,
            cache: None,
            program: None,
            args: Vec::new(),
        }
    }
}

/// A running anvil.
#[derive(Debug)]
pub struct X {
    pub rpc: String,
    pub ws: String,
    pub chain_id: u64,
    /// Ten accounts with 10,000 GAS each.
    pub accounts: Vec<Account>,
    port: u16,
    dir: PathBuf,
    options: XOptions,
    running: Running,
}

impl X {
    /// Starts one that keeps its files in `dir`, and returns when it answers.
    pub async fn start(dir: &Path, options: XOptions) -> Result<Self> {
        let dir = &start::private_dir(dir)?;
        let program = start::program(options.program.as_ref(), options.cache.as_ref(), &ANVIL).await?;
        if !options.keep {
            let _ = fs::remove_file(dir.join(STATE));
        }
        set_aside_what_is_damaged(&dir.join(STATE))?;
        let before = Self::options(dir).and_then(|earlier| earlier.program);
        start::keep(&dir.join(OPTIONS), &options)?;
        match run(dir, &program, &options, options.port).await {
            Ok((running, port)) => Self::of(dir, options, port, running),
            Err(error) => {
                // A program that does not start is not the one to try the next time.
                start::keep(&dir.join(OPTIONS), &XOptions { program: before, ..options })?;
                Err(error)
            }
        }
    }

    /// The one that was started in `dir` and still runs. It outlives this handle.
    pub async fn find(dir: &Path) -> Result<Option<Self>> {
        let dir = &std::path::absolute(dir)?;
        let Some(record) = Record::read(dir).filter(|record| record.identity.runs()) else { return Ok(None) };
        let options = Self::options(dir).context("it is not known how the running anvil was started")?;
        Self::of(dir, options, record.port, Running::found(record.identity)).map(Some)
    }

    /// How the last one in `dir` was started.
    pub(crate) fn options(dir: &Path) -> Option<XOptions> {
        serde_json::from_slice(&fs::read(dir.join(OPTIONS)).ok()?).ok()
    }

    /// Whether it answers as it should.
    pub async fn answers(&self) -> Result<()> {
        answers(self.port, self.chain_id).await
    }

    fn of(dir: &Path, options: XOptions, port: u16, running: Running) -> Result<Self> {
        Ok(Self {
            rpc: format!("http://127.0.0.1:{port}"),
            ws: format!("ws://127.0.0.1:{port}"),
            chain_id: options.chain_id,
            accounts: accounts(&dir.join(ACCOUNTS))?,
            port,
            dir: dir.to_owned(),
            options,
            running,
        })
    }

    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        self.running.runs()
    }

    pub fn pid(&self) -> u32 {
        self.running.identity.pid
    }

    /// What it printed.
    pub fn log(&self) -> PathBuf {
        self.dir.join(LOG)
    }

    /// Ends it in good order: with `keep`, the next start goes on where it was.
    pub async fn stop(&self) -> Result<()> {
        self.rest().await;
        // Anvil writes its state down at an interrupt only.
        self.running.end(Signal::INT, PATIENCE).await.context("stopping anvil")
    }

    /// Has it make no more blocks: interrupted over one, it writes down what the transactions did, and not the block that
    /// has them.
    pub(crate) async fn rest(&self) {
        for (method, params) in [("evm_setAutomine", json!([false])), ("evm_setIntervalMining", json!([0]))] {
            // One that does not answer is ended all the same.
            let _ = rpc::call(&self.rpc, method, params).await;
        }
        if self.runs() {
            sleep(LAST_BLOCK).await;
        }
    }

    /// Ends it as kill -9 does.
    pub fn kill(&self) {
        self.running.kill();
    }

    /// Stops it if it runs, and starts it again at the same address.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        if !self.options.keep {
            let _ = fs::remove_file(self.dir.join(STATE));
        }
        let program = start::program(self.options.program.as_ref(), self.options.cache.as_ref(), &ANVIL).await?;
        let (running, _) = run(&self.dir, &program, &self.options, Some(self.port)).await?;
        self.running = running;
        Ok(())
    }

    /// Raises the balance of an address by so many wei (1 GAS is 10^18), at once and without a transaction.
    pub async fn fund(&self, address: &str, wei: u128) -> Result<()> {
        let digits = address.strip_prefix("0x").unwrap_or_default();
        if digits.len() != 40 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            bail!("{address:?} is no address of Neo X");
        }
        rpc::call(&self.rpc, "anvil_addBalance", json!([address, format!("{wei:#x}")])).await?;
        Ok(())
    }
}

async fn run(dir: &Path, program: &Path, options: &XOptions, port: Option<u16>) -> Result<(Running, u16)> {
    let command = |port: u16| {
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--hardfork", "osaka", "--base-fee", "20000000000"]);
        command.args(["--mnemonic", MNEMONIC]).arg("--config-out").arg(dir.join(ACCOUNTS));
        command.arg("--port").arg(port.to_string()).arg("--chain-id").arg(options.chain_id.to_string());
        if let Some(seconds) = options.block_time {
            command.arg("--block-time").arg(seconds.to_string());
        }
        if options.keep {
            // The whole chain is written each time, and with a block time it grows by itself: 150 MB a day at 1 s.
            let seconds = if options.block_time.is_none() { "5" } else { "60" };
            command.arg("--state").arg(dir.join(STATE)).args(["--state-interval", seconds]);
        }
        command.args(&options.args).env("HOME", dir).current_dir(dir);
        // It refuses to write over the file.
        let _ = fs::remove_file(dir.join(ACCOUNTS));
        Ok(command)
    };
    let start = Start { dir, life: options.life, port };
    // It answers before its list of accounts is on disk.
    let ready = async |port| {
        answers(port, options.chain_id).await?;
        accounts(&dir.join(ACCOUNTS)).map(drop)
    };
    start.run(command, ready).await.context("starting anvil")
}

// Anvil ends at once over a state that it was writing when it was killed; the chain then begins anew.
fn set_aside_what_is_damaged(state: &Path) -> Result<()> {
    let Ok(bytes) = fs::read(state) else { return Ok(()) };
    if serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok() {
        return Ok(());
    }
    let aside = state.with_extension("damaged");
    fs::rename(state, &aside).with_context(|| format!("setting {} aside", state.display()))?;
    eprintln!(
        "the chain of neo-x was written down in part only and begins anew; what is left of it: {}",
        aside.display()
    );
    Ok(())
}

async fn answers(port: u16, chain_id: u64) -> Result<()> {
    let answer = rpc::call(&format!("http://127.0.0.1:{port}"), "eth_chainId", json!([])).await?;
    let expected = format!("{chain_id:#x}");
    if answer != json!(expected) {
        bail!("it says chain {answer} instead of {expected}");
    }
    Ok(())
}

fn accounts(file: &Path) -> Result<Vec<Account>> {
    #[derive(Deserialize)]
    struct Written {
        available_accounts: Vec<String>,
        private_keys: Vec<String>,
    }
    let read = || -> Result<Written> { Ok(serde_json::from_slice(&fs::read(file)?)?) };
    let written = read().with_context(|| format!("reading {}", file.display()))?;
    Ok(written
        .available_accounts
        .into_iter()
        .zip(written.private_keys)
        .enumerate()
        .map(|(number, (address, key))| Account { chain: "neo-x".to_owned(), name: format!("x{number}"), address, key })
        .collect())
}
