use std::{sync::Arc, time::Duration};

use nsl_kit::Tasks;

use super::{Oauth, devices};

/// Removes codes of devices whose time is long over.
pub(crate) fn start(oauth: Arc<Oauth>, tasks: &Tasks) {
    tasks.supervise("identity: device codes", move |stop| {
        let oauth = Arc::clone(&oauth);
        async move {
            loop {
                let ground = &oauth.tokens.ground;
                if let Err(error) = devices::forget(&ground.db, ground.clock.now()).await {
                    tracing::warn!(%error, "old device codes could not be removed, trying again later");
                }
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(Duration::from_secs(60)) => {}
                }
            }
        }
    });
}
