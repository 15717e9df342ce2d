//! What starting a node of either kind has in common: a free port, and waiting until it answers.

use std::{fs, net::TcpListener, os::unix::fs::DirBuilderExt, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use crate::process::{Life, Running, tail};

const TRIES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(20);

/// Starts a node on `port`, or on a free one, tried again when another program takes that port first.
pub(crate) async fn start<Ready>(
    port: Option<u16>,
    log: &Path,
    life: Life,
    command: impl Fn(u16) -> Result<Command>,
    ready: impl Fn(u16) -> Ready,
) -> Result<(Running, u16)>
where
    Ready: Future<Output = Result<()>>,
{
    for _ in 0..TRIES {
        let chosen = match port {
            Some(port) => port,
            None => free_port()?,
        };
        let running = Running::start(command(chosen)?, log, life).await?;
        let until = Instant::now() + PATIENCE;
        let failed = loop {
            if !running.runs() {
                break anyhow::anyhow!("it ended while starting: {}", tail(log));
            }
            match ready(chosen).await {
                // Another program may be the one that answers.
                Ok(()) if running.runs() => return Ok((running, chosen)),
                Ok(()) => {}
                Err(error) if Instant::now() > until => {
                    running.kill();
                    break error.context(format!("not ready after {} s: {}", PATIENCE.as_secs(), tail(log)));
                }
                Err(_) => sleep(TICK).await,
            }
        };
        let taken = fs::read_to_string(log).is_ok_and(|log| log.to_lowercase().contains("address already in use"));
        if !taken || port.is_some() {
            return Err(failed);
        }
    }
    bail!("no free port after {TRIES} tries")
}

/// Whether nothing listens on this port of loopback.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// A directory for this user alone.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| format!("making {}", path.display()))
}
