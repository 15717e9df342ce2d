//! What runs beside requests: hears confirmations, reminds who is silent, closes and drops what is due.

use std::{sync::Arc, time::Duration};

use nsl_api::privacy::DataDone;
use nsl_core::{Cx, Entry, Result, TenantId};
use nsl_engine::queue::Delivery;
use nsl_kit::Tasks;
use nsl_privacy::{DONE, folder};
use nsl_sql::{Scope, Statement, args};

use super::{
    super::{service::Service, store::platform},
    erase::CloseDue,
    service::PATIENCE,
    store::{AskAgain, Confirm},
};

const ROUND: Duration = Duration::from_secs(5);
const BUDGET: Duration = Duration::from_secs(30);

static OVER: &str =
    "SELECT tenant_id, id FROM privacy_requests WHERE kept_until IS NOT NULL AND kept_until <= $1 LIMIT 100";
static FORGET_INVITED: &str = "UPDATE invites SET email = NULL
    WHERE email IS NOT NULL AND (expires_at <= $1 OR ended_at IS NOT NULL)";
static DROPPED: &str = "UPDATE privacy_requests SET kept_until = NULL WHERE tenant_id = $1 AND id = $2";

pub(crate) fn start(service: &Arc<Service>, tasks: &Tasks) {
    let parts = nsl_privacy::Parts {
        queue: service.ground.queue.clone(),
        blobs: service.ground.blobs.clone(),
        keyring: service.ground.keyring.clone(),
    };
    nsl_privacy::serve("identity", Arc::clone(service) as _, parts, tasks);
    let hearing = Arc::clone(service);
    tasks.supervise("identity: confirmations about persons' data", move |stop| {
        let service = Arc::clone(&hearing);
        async move {
            let mut consumer = service.ground.queue.consume(DONE);
            loop {
                let delivery = tokio::select! {
                    () = stop.cancelled() => break,
                    delivery = consumer.next() => delivery,
                };
                if let Err(error) = service.hear(delivery).await {
                    tracing::warn!(%error, "a confirmation could not be noted, it comes again");
                }
            }
            consumer.close().await;
            Ok(())
        }
    });
    let service = Arc::clone(service);
    tasks.supervise("identity: requests about persons' data", move |stop| {
        let service = Arc::clone(&service);
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(ROUND) => {}
                }
                if let Err(error) = service.tend().await {
                    let cause = error.cause().map(|cause| format!("{cause:#}"));
                    tracing::warn!(cause, "requests about persons' data are looked at again later: {error}");
                }
            }
        }
    });
}

impl Service {
    async fn hear(&self, delivery: Delivery) -> Result<()> {
        let done: DataDone = match serde_json::from_slice(delivery.payload()) {
            Ok(done) => done,
            Err(error) => return delivery.dead(format!("not a confirmation: {error}")).await,
        };
        let now = self.ground.clock.now();
        let cx = Cx::system(done.task.home.clone(), BUDGET);
        let entry = Entry::new(&cx, "identity.data_request_done", "identity", "privacy", now)
            .request("request", done.task.request.as_str());
        let kept_until = now.plus(self.config().export);
        self.ground.db.write_platform(Confirm { done, now, kept_until, entry }).await?;
        delivery.done().await
    }

    /// One round: also what tests call.
    pub(crate) async fn tend(&self) -> Result<()> {
        let now = self.ground.clock.now();
        let cx = Cx::system(platform(), BUDGET);
        let entry = Entry::new(&cx, "identity.tenant_erased", "identity", "privacy", now);
        let closed = self.ground.db.write_platform(CloseDue { now, entry }).await?;
        let asked = self.ground.db.write_platform(AskAgain { now, patience: PATIENCE }).await?;
        if closed + asked > 0 {
            self.ground.queue.nudge();
        }
        // Of people who never came, no address is kept.
        let forget = Statement { sql: FORGET_INVITED, args: args![now] };
        self.ground.db.write_platform(forget).await?;
        self.drop_old_copies().await
    }

    async fn drop_old_copies(&self) -> Result<()> {
        let now = self.ground.clock.now();
        for mut row in self.ground.db.query(Scope::Platform, OVER, args![now]).await? {
            let (home, id): (TenantId, String) = (row.take(0)?, row.take(1)?);
            for path in self.ground.blobs.list(&folder(&id)).await? {
                self.ground.blobs.delete(&path).await?;
            }
            let dropped = Statement { sql: DROPPED, args: args![&home, id] };
            self.ground.db.write_platform(dropped).await?;
        }
        Ok(())
    }
}
