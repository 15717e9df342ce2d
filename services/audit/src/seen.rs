use nsl_core::{Error, Result};
use nsl_engine::blobs::Blobs;
use nsl_ledger::Checkpoint;

/// Where the newest checkpoint is kept outside the database.
const PLACE: &str = "audit/checkpoint.json";

/// The newest checkpoint that was kept outside the database.
pub async fn last_seen(blobs: &Blobs) -> Result<Option<Checkpoint>> {
    let Some(bytes) = blobs.get(PLACE).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(Error::internal)
}

/// Keeps a checkpoint, unless a later one was kept: after a rollback numbers come again, and the one that
/// gives the rollback away must stay.
pub(crate) async fn keep(blobs: &Blobs, checkpoint: &Checkpoint) -> Result<()> {
    if last_seen(blobs).await?.is_some_and(|seen| seen.number >= checkpoint.number) {
        return Ok(());
    }
    let text = serde_json::to_vec(checkpoint).map_err(Error::internal)?;
    blobs.put(PLACE, text.into()).await
}
