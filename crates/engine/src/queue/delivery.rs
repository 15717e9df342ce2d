use std::{sync::Arc, time::Duration};

use lapin::{
    Acker, Channel,
    options::{BasicAckOptions, BasicNackOptions},
};
use nsl_core::{Result, TenantId, Timestamp};
use parking_lot::Mutex;

use super::{
    Queue,
    broker::WATCH_EVERY,
    changes::{Fate, Finish, Receipt, Settle},
    table::Taken,
};

/// A message on loan to this consumer. Settle it before the lease ends; one that is dropped comes again after that.
pub struct Delivery {
    pub(super) message: Taken,
    pub(super) queue: Queue,
    pub(super) until: Timestamp,
    pub(super) broker: Option<Ack>,
}

/// How the broker is told.
pub(super) struct Ack {
    pub(super) acker: Acker,
    pub(super) shared: Arc<Subscription>,
}

/// Where messages came from: open as long as one of them is unsettled.
pub(super) struct Subscription {
    pub(super) channel: Channel,
    /// What was dropped without being settled.
    pub(super) dropped: Mutex<Vec<Acker>>,
}

impl Subscription {
    /// Lets the broker deliver again what was dropped.
    pub(super) async fn give_back(&self) {
        if !self.channel.status().connected() {
            return;
        }
        let ackers = std::mem::take(&mut *self.dropped.lock());
        for acker in ackers {
            self.tell(acker.nack(BasicNackOptions { requeue: true, multiple: false })).await;
        }
    }

    /// Waits until the broker is told, or nothing can be told here any more: what is said just as a connection ends
    /// can be lost inside the library, and would be waited for without end. What the broker did not hear comes again.
    pub(super) async fn tell(&self, telling: impl Future<Output = lapin::Result<bool>>) {
        tokio::select! {
            _ = telling => {}
            () = self.ended() => {}
        }
    }

    /// Waits until the connection is gone.
    pub(super) async fn ended(&self) {
        while self.channel.status().connected() {
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }
}

impl Delivery {
    /// Stays the same however often the message comes: what a consumer makes its work idempotent by.
    pub fn id(&self) -> &str {
        &self.message.id
    }

    pub fn tenant(&self) -> &TenantId {
        &self.message.tenant
    }

    /// What the message is about, in the publisher's words.
    pub fn key(&self) -> &str {
        &self.message.key
    }

    pub fn payload(&self) -> &[u8] {
        &self.message.payload
    }

    /// Counted from 1.
    pub fn attempt(&self) -> u32 {
        self.message.attempt.try_into().unwrap_or(u32::MAX)
    }

    /// Higher with each lease of this message: whatever is changed outside should refuse a lower one.
    pub fn fence(&self) -> i64 {
        self.message.fence
    }

    pub fn created_at(&self) -> Timestamp {
        self.message.created_at
    }

    /// A pause before the next try: a second, doubled with each attempt, at most a quarter of an hour.
    pub fn backoff(&self) -> Duration {
        Duration::from_secs(1 << self.attempt().saturating_sub(1).min(10)).min(Duration::from_secs(900))
    }

    /// For [`Receipt::confirm`] in the transaction of the effect.
    pub fn receipt(&self) -> Receipt {
        Receipt { id: self.message.id.clone(), fence: self.message.fence, claim: self.broker.is_some() }
    }

    /// The work is done. `queue.lease_lost` when someone else took the message over in the meantime.
    pub async fn done(self) -> Result<()> {
        let finish = Finish { receipt: self.receipt(), now: self.queue.now() };
        self.queue.db().write_platform(finish).await?;
        self.confirmed().await;
        Ok(())
    }

    /// After a transaction with [`Receipt::confirm`] has committed. A broker that does not hear of it delivers the
    /// message once more, which is then recognised.
    pub async fn confirmed(mut self) {
        if let Some(Ack { acker, shared }) = self.broker.take() {
            shared.tell(acker.ack(BasicAckOptions::default())).await;
        }
    }

    /// Comes again after this long.
    pub async fn retry(self, after: Duration) -> Result<()> {
        let due = self.queue.now().plus(after);
        self.settle(Fate::Retry(due)).await
    }

    pub(super) async fn release(self) -> Result<()> {
        self.settle(Fate::Release).await
    }

    /// Puts it aside, with the reason, until someone revives it.
    pub async fn dead(self, reason: impl Into<String>) -> Result<()> {
        let reason = reason.into();
        metrics::counter!("queue_dead_total", "topic" => self.message.topic.clone()).increment(1);
        tracing::warn!(id = self.message.id, topic = self.message.topic, reason, "a message was put aside as dead");
        self.settle(Fate::Dead(reason)).await
    }

    /// Begins the lease anew, for work that takes longer.
    pub async fn extend(&mut self) -> Result<()> {
        let until = self.queue.lease();
        self.queue.db().write_platform(self.change(Fate::Extend(until))).await?;
        self.until = until;
        Ok(())
    }

    /// Whether too little of the lease is left to begin the work.
    pub(super) fn is_stale(&self) -> bool {
        self.until.since(self.queue.now()) < self.queue.lease_length() / 2
    }

    async fn settle(self, fate: Fate) -> Result<()> {
        self.queue.db().write_platform(self.change(fate)).await?;
        self.queue.nudge();
        self.confirmed().await;
        Ok(())
    }

    fn change(&self, fate: Fate) -> Settle {
        let claim = self.broker.is_some().then(|| self.message.clone());
        Settle { id: self.message.id.clone(), fence: self.message.fence, fate, now: self.queue.now(), claim }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(Ack { acker, shared }) = self.broker.take() {
            shared.dropped.lock().push(acker);
        }
    }
}
