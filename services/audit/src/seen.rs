use nsl_core::{Error, Result};
use nsl_engine::blobs::Blobs;
use nsl_ledger::{Checkpoint, Ledger};

/// Where the newest checkpoint is kept outside the database.
const PLACE: &str = "audit/checkpoint.json";

/// The newest checkpoint that was kept outside the database.
pub async fn last_seen(blobs: &Blobs) -> Result<Option<Checkpoint>> {
    let Some(bytes) = blobs.get(PLACE).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(Error::internal)
}

/// Checks the checkpoint that was kept against the database, and says whether it is there. One that is missing
/// gives a rollback away: it is logged and shown by `audit_rolled_back`, each time, until somebody decides.
pub(crate) async fn check(ledger: &Ledger, blobs: &Blobs) -> Result<bool> {
    let Some(seen) = last_seen(blobs).await? else { return Ok(true) };
    let holds = ledger.holds(&seen).await?;
    metrics::gauge!("audit_rolled_back").set(f64::from(u8::from(!holds)));
    if !holds {
        tracing::error!(
            checkpoint = seen.number,
            taken_at = %seen.created_at,
            "a checkpoint of the audit trail was seen before and is not in the database: it was rolled back"
        );
    }
    Ok(holds)
}

/// Keeps a checkpoint in the place of one that the database still has. After a rollback numbers come again and
/// grow past it, and the one that gives the rollback away must stay.
pub(crate) async fn keep(ledger: &Ledger, blobs: &Blobs, checkpoint: &Checkpoint) -> Result<()> {
    if !check(ledger, blobs).await? || last_seen(blobs).await?.is_some_and(|seen| seen.number >= checkpoint.number) {
        return Ok(());
    }
    let text = serde_json::to_vec(checkpoint).map_err(Error::internal)?;
    blobs.put(PLACE, text.into()).await
}
