use std::sync::Arc;

use nsl_kit::Tasks;

use super::service::Service;

/// Writes "last used" in batches, and once more when the process stops.
pub(crate) fn start(service: Arc<Service>, tasks: &Tasks) {
    tasks.supervise("identity: last used", move |stop| {
        let service = Arc::clone(&service);
        async move {
            loop {
                let stopping = tokio::select! {
                    () = stop.cancelled() => true,
                    () = tokio::time::sleep(service.config().last_used) => false,
                };
                if let Err(error) = service.write_last_used().await {
                    tracing::warn!(%error, "when keys were last used could not be written, trying again later");
                }
                if stopping {
                    return Ok(());
                }
            }
        }
    });
}
