use std::sync::Arc;

use nsl_kit::Tasks;

use super::{Tokens, revoked, store};

/// Makes signing keys in time and removes what has ended.
pub(crate) fn start(tokens: Arc<Tokens>, tasks: &Tasks) {
    tasks.supervise("identity: tokens", move |stop| {
        let tokens = Arc::clone(&tokens);
        async move {
            loop {
                if let Err(error) = tend(&tokens).await {
                    tracing::warn!(%error, "signing keys and sessions could not be looked after, trying again later");
                }
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(tokens.ground.config.tokens.upkeep) => {}
                }
            }
        }
    });
}

async fn tend(tokens: &Tokens) -> nsl_core::Result<()> {
    let (db, now) = (&tokens.ground.db, tokens.ground.clock.now());
    tokens.signer.tend(&tokens.ground).await?;
    store::forget(db, now).await?;
    revoked::forget(db, now).await.map(drop)
}
