use std::time::Duration;

use nsl_core::Result;
use nsl_kit::Tasks;
use nsl_sql::{Statement, args};

use super::gate;
use crate::ground::Ground;

const EVERY: Duration = Duration::from_secs(60);

static OVER: [&str; 3] =
    [gate::EXPIRED, "DELETE FROM mfa_tokens WHERE expires_at <= $1", "DELETE FROM reset_tokens WHERE expires_at <= $1"];

/// Lets go of what is over. Each wrong try costs a hash, so the hashes that can be made within the life of a count
/// bound how many there ever are.
pub(super) fn start(ground: Ground, tasks: &Tasks) {
    tasks.supervise("identity: what is over of sign-ins", move |stop| {
        let ground = ground.clone();
        async move {
            while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
                if let Err(error) = let_go(&ground).await {
                    tracing::warn!(%error, "what is over of sign-ins could not be let go, trying again later");
                }
            }
            Ok(())
        }
    });
}

async fn let_go(ground: &Ground) -> Result<()> {
    for sql in OVER {
        ground.db.write_platform(Statement { sql, args: args![ground.clock.now()] }).await?;
    }
    Ok(())
}
