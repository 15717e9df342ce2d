//! The pair of nodes that a directory has.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use tokio::time::timeout;

use crate::{
    account::Account,
    cache::{self, Cache, NotDownloaded},
    n3::{Database, N3, N3Options},
    process::{Life, Signal},
    start::{self, Record},
    x::{X, XOptions},
};

const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(5);

/// A node of each chain, which run until they are told to end.
#[derive(Debug)]
pub struct Devnet {
    pub n3: N3,
    pub x: X,
}

/// What was asked for at [`Devnet::up`]; what is none stays as it was at the last start, or takes its default.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub n3_block_time: Option<Duration>,
    pub n3_magic: Option<u32>,
    /// Seconds; zero mines a block for each transaction.
    pub x_block_time: Option<u64>,
    pub x_chain_id: Option<u64>,
    pub neo_go: Option<PathBuf>,
    pub anvil: Option<PathBuf>,
    pub cache: Option<Cache>,
}

/// Nodes that run now, and whether they ran before.
#[derive(Debug)]
pub struct Up {
    pub devnet: Devnet,
    pub n3_ran: bool,
    pub x_ran: bool,
}

/// The processes that were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub n3: Option<u32>,
    pub x: Option<u32>,
}

impl Devnet {
    /// Starts what does not run in `dir` and returns when both nodes answer. They outlive this program.
    pub async fn up(dir: &Path, given: Given) -> Result<Up> {
        let dir = &start::private_dir(dir)?;
        let _lock = cache::lock(&dir.join("lock")).await?;
        let (n3_dir, x_dir) = (dir.join("n3"), dir.join("x"));
        let (n3, x) = tokio::join!(up_n3(&n3_dir, &given), up_x(&x_dir, &given));
        match (n3, x) {
            (Ok((n3, n3_ran)), Ok((x, x_ran))) => Ok(Up { devnet: Self { n3, x }, n3_ran, x_ran }),
            (Err(n3), Err(x)) => {
                // Whoever mends one wants to know of the other.
                let both = format!("{n3:#}\n{x:#}");
                let neither_downloaded = [&n3, &x].iter().all(|error| error.downcast_ref::<NotDownloaded>().is_some());
                Err(if neither_downloaded { NotDownloaded(both).into() } else { anyhow!(both) })
            }
            (Err(error), other) => {
                if let Ok((x, false)) = other {
                    x.stop().await?;
                }
                Err(error)
            }
            (Ok((n3, ran)), Err(error)) => {
                if !ran {
                    n3.stop().await?;
                }
                Err(error)
            }
        }
    }

    /// Each node of `dir` that runs, whether it answers or not.
    pub async fn find(dir: &Path) -> Result<(Option<N3>, Option<X>)> {
        Ok((N3::find(&dir.join("n3")).await?, X::find(&dir.join("x")).await?))
    }

    /// Ends the nodes of `dir`; their chains stay.
    pub async fn down(dir: &Path) -> Result<Ended> {
        if !dir.exists() {
            return Ok(Ended { n3: None, x: None });
        }
        let _lock = cache::lock(&dir.join("lock")).await?;
        let (n3_dir, x_dir) = (dir.join("n3"), dir.join("x"));
        if let Ok(Some(x)) = X::find(&x_dir).await {
            x.rest().await;
        }
        let (n3, x) = tokio::join!(end(&n3_dir, Signal::TERM), end(&x_dir, Signal::INT));
        Ok(Ended { n3: n3?, x: x? })
    }

    /// Ends the nodes of `dir` and deletes their chains and keys.
    pub async fn forget(dir: &Path) -> Result<Ended> {
        let ended = Self::down(dir).await?;
        for part in [dir.join("n3"), dir.join("x")] {
            match fs::remove_dir_all(&part) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("deleting {}", part.display()));
                }
                _ => {}
            }
        }
        Ok(ended)
    }

    /// The funded accounts of both chains.
    pub fn accounts(&self) -> Vec<Account> {
        self.n3.accounts.iter().chain(&self.x.accounts).cloned().collect()
    }
}

// The flag says that it ran already.
async fn up_n3(dir: &Path, given: &Given) -> Result<(N3, bool)> {
    let earlier = N3::options(dir);
    let mut options = earlier.clone().unwrap_or_else(|| N3Options {
        block_time: Duration::from_secs(1),
        database: Database::LevelDb,
        ..N3Options::default()
    });
    options.block_time = given.n3_block_time.unwrap_or(options.block_time);
    options.magic = given.n3_magic.unwrap_or(options.magic);
    if let Some(earlier) = earlier {
        // Both are part of the chain that is kept.
        same(
            dir,
            "block time of neo-n3 in milliseconds",
            earlier.block_time.as_millis(),
            options.block_time.as_millis(),
        )?;
        same(dir, "magic", earlier.magic, options.magic)?;
    }
    if let Some(node) = N3::find(dir).await? {
        if matches!(timeout(ANSWER, node.answers()).await, Ok(Ok(()))) {
            return Ok((node, true));
        }
        node.stop().await.context("ending a node that does not answer")?;
    }
    let options = N3Options {
        life: Life::OnItsOwn,
        cache: given.cache.clone(),
        program: given.neo_go.as_ref().map(std::path::absolute).transpose()?.or(options.program),
        ..options
    };
    Ok((N3::start(dir, options).await?, false))
}

async fn up_x(dir: &Path, given: &Given) -> Result<(X, bool)> {
    let earlier = X::options(dir);
    let mut options = earlier.clone().unwrap_or_else(|| XOptions { keep: true, ..XOptions::default() });
    options.chain_id = given.x_chain_id.unwrap_or(options.chain_id);
    if let Some(earlier) = &earlier {
        same(dir, "chain id", earlier.chain_id, options.chain_id)?;
    }
    if let Some(seconds) = given.x_block_time {
        options.block_time = (seconds > 0).then_some(seconds);
    }
    if let Some(node) = X::find(dir).await? {
        if matches!(timeout(ANSWER, node.answers()).await, Ok(Ok(()))) {
            if let Some(earlier) = earlier.filter(|earlier| earlier.block_time != options.block_time) {
                let runs = earlier.block_time.unwrap_or(0);
                bail!("anvil runs already, with a block time of {runs}: nsl devnet down first");
            }
            return Ok((node, true));
        }
        node.stop().await.context("ending a node that does not answer")?;
    }
    let options = XOptions {
        life: Life::OnItsOwn,
        cache: given.cache.clone(),
        program: given.anvil.as_ref().map(std::path::absolute).transpose()?.or(options.program),
        ..options
    };
    Ok((X::start(dir, options).await?, false))
}

fn same<T: PartialEq + std::fmt::Display>(dir: &Path, what: &str, is: T, wanted: T) -> Result<()> {
    if is != wanted {
        bail!("the chain in {} has {what} {is}, not {wanted}: nsl devnet down --forget deletes it", dir.display());
    }
    Ok(())
}

async fn end(dir: &Path, signal: Signal) -> Result<Option<u32>> {
    let Some(record) = Record::read(dir) else { return Ok(None) };
    let ran = record.identity.runs();
    record.identity.end(signal, PATIENCE).await?;
    Ok(ran.then_some(record.identity.pid))
}
