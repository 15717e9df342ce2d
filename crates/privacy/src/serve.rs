//! Takes tasks from the queue, does them by a [`Holder`], and confirms.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nsl_api::privacy::{DataDone, DataKind, DataOutcome, DataTask};
use nsl_core::{Error, Result};
use nsl_engine::{
    blobs::Blobs,
    queue::{Delivery, Message, Queue, Topic},
};
use nsl_keyring::Keyring;
use nsl_kit::Tasks;

use crate::{
    copy::Copy,
    erasures::{self, Line},
};

/// Where services confirm.
pub const DONE: Topic = Topic::new("privacy.done");

const TOPICS: &[(&str, Topic)] = &[
    ("identity", Topic::new("privacy.identity")),
    ("storage", Topic::new("privacy.storage")),
    ("audit", Topic::new("privacy.audit")),
    ("relay", Topic::new("privacy.relay")),
    ("contracts", Topic::new("privacy.contracts")),
];

/// Work that takes longer says so this often.
const EXTEND: Duration = Duration::from_secs(10);

/// Under what the service of this name gets its tasks; none for one that holds nothing personal.
pub fn topic(service: &str) -> Option<Topic> {
    TOPICS.iter().find(|(name, _)| *name == service).map(|(_, topic)| *topic)
}

/// A service that holds what is personal.
#[async_trait]
pub trait Holder: Send + Sync + 'static {
    /// Puts all that is held of the task's subject in its tenant into the copy.
    async fn export(&self, task: &DataTask, copy: &mut Copy<'_>) -> Result<()>;

    /// Lets go of what is held of the subject, or of all that the tenant has when there is none. Done twice, it is as
    /// if done once. An error is tried again; `refused` ends the task.
    async fn erase(&self, task: &DataTask) -> Result<DataOutcome>;

    /// Erases again whom a restored backup brought back, by a line of the ledger. At each start; a service that sees to
    /// it in another way does nothing here.
    async fn restored(&self, _: &Line) -> Result<()> {
        Ok(())
    }
}

/// What a holder is served on.
#[derive(Clone)]
pub struct Parts {
    pub queue: Queue,
    pub blobs: Blobs,
    pub keyring: Keyring,
}

/// Starts to take tasks for the service of this name.
pub fn serve(service: &'static str, holder: Arc<dyn Holder>, parts: Parts, tasks: &Tasks) {
    let Some(topic) = topic(service) else { return };
    tasks.supervise("privacy: tasks", move |stop| {
        let (holder, parts) = (Arc::clone(&holder), parts.clone());
        async move {
            for line in erasures::lines(&parts.blobs).await? {
                holder.restored(&line).await?;
            }
            let mut consumer = parts.queue.consume(topic);
            loop {
                let delivery = tokio::select! {
                    () = stop.cancelled() => break,
                    delivery = consumer.next() => delivery,
                };
                if let Err(error) = settle(&*holder, &parts, delivery).await {
                    tracing::warn!(service, %error, "a task about a person's data could not be settled, it comes again");
                }
            }
            consumer.close().await;
            Ok(())
        }
    });
}

async fn settle(holder: &dyn Holder, parts: &Parts, mut delivery: Delivery) -> Result<()> {
    let task: DataTask = match serde_json::from_slice(delivery.payload()) {
        Ok(task) => task,
        Err(error) => return delivery.dead(format!("not a task: {error}")).await,
    };
    let attempt = format!("{}-{}", delivery.fence(), delivery.attempt());
    let outcome = {
        let mut work = std::pin::pin!(perform(holder, parts, &task, attempt));
        loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = tokio::time::sleep(EXTEND) => delivery.extend().await?,
            }
        }
    };
    match outcome {
        Ok(outcome) => {
            let (tenant, key) = (task.home.clone(), task.request.clone());
            let done = serde_json::to_vec(&DataDone { task, outcome }).map_err(Error::internal)?;
            parts.queue.publish(vec![Message::new(tenant, DONE, key, done)]).await?;
            delivery.done().await
        }
        Err(error) => {
            let cause = error.cause().map(|cause| format!("{cause:#}"));
            tracing::warn!(request = task.request, service = task.service, cause, "not done yet: {error}");
            let pause = delivery.backoff();
            delivery.retry(pause).await
        }
    }
}

async fn perform(holder: &dyn Holder, parts: &Parts, task: &DataTask, attempt: String) -> Result<DataOutcome> {
    match task.kind {
        DataKind::Erasure | DataKind::Closing => holder.erase(task).await,
        DataKind::Export => {
            let mut copy = Copy::new(task, attempt, &parts.blobs, &parts.keyring);
            holder.export(task, &mut copy).await?;
            let (items, pieces) = copy.finish().await?;
            Ok(DataOutcome { items, pieces, refused: None })
        }
    }
}
