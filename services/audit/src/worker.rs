use nsl_core::Result;
use nsl_engine::blobs::Blobs;
use nsl_kit::Tasks;
use nsl_ledger::Ledger;

use crate::{config::Config, seen};

pub(crate) fn start(config: Config, ledger: Ledger, blobs: Blobs, tasks: &Tasks) {
    let checkpoints = (ledger.clone(), blobs);
    tasks.supervise("audit: checkpoints", move |stop| {
        let (ledger, blobs) = checkpoints.clone();
        async move {
            if let Err(error) = seen::check(&ledger, &blobs).await {
                tracing::warn!(%error, cause = ?error.cause(), "the last checkpoint of the audit trail could not be checked");
            }
            loop {
                let stopping = stop.run_until_cancelled(tokio::time::sleep(config.checkpoint)).await.is_none();
                if let Err(error) = tie(&ledger, &blobs, stopping).await {
                    tracing::warn!(%error, cause = ?error.cause(), "a checkpoint of the audit trail failed, trying again later");
                }
                if stopping {
                    return Ok(());
                }
            }
        }
    });
    tasks.supervise("audit: upkeep", move |stop| {
        let ledger = ledger.clone();
        async move {
            loop {
                if let Err(error) = keep_house(&ledger).await {
                    tracing::warn!(%error, cause = ?error.cause(), "upkeep of the audit trail failed, trying again later");
                }
                if stop.run_until_cancelled(tokio::time::sleep(config.upkeep)).await.is_none() {
                    return Ok(());
                }
            }
        }
    });
}

/// One tick: refusals of past minutes become entries, and a checkpoint covers all that is there.
async fn tie(ledger: &Ledger, blobs: &Blobs, stopping: bool) -> Result<()> {
    ledger.close_refusals(stopping).await?;
    if let Some(checkpoint) = ledger.checkpoint().await? {
        seen::keep(ledger, blobs, &checkpoint).await?;
    }
    Ok(())
}

/// One tick: months ahead get their partitions, what is too old goes.
async fn keep_house(ledger: &Ledger) -> Result<()> {
    ledger.prepare_partitions().await?;
    let gone = ledger.retain().await?;
    if gone > 0 {
        tracing::info!(entries = gone, "audit entries past their time were let go");
    }
    Ok(())
}
