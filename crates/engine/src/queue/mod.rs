//! Work and news between services, also from yesterday's process to tomorrow's.
//!
//! Promises: a message is written in the same transaction as what it tells of, and is on disk when that is
//! acknowledged; it comes at least once, under an id that stays the same, until a consumer settles it; of two that
//! hold it only the later can settle it; one that fails too often is put aside, never lost. RabbitMQ, when it is
//! set, carries messages from process to process; while it is away they wait in SQL. No order is promised.

mod broker;
mod changes;
mod consumer;
mod delivery;
mod rabbit;
mod relay;
mod table;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use nsl_core::{Clock, Result, Secret, TenantId, Timestamp};
use nsl_sql::{Db, Migrations, Scope, Step, Tx, args};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Mistake;
use broker::Broker;
pub use changes::Receipt;
pub use consumer::Consumer;
pub use delivery::Delivery;

/// The tables of the queue, for the list of all migrations.
pub static MIGRATIONS: Migrations = Migrations {
    owner: "queue",
    steps: &[Step {
        version: 1,
        name: "queue",
        breaking: false,
        sqlite: include_str!("../../migrations/sqlite/1_queue.sql"),
        postgres: include_str!("../../migrations/postgres/1_queue.sql"),
    }],
};

/// Which engine carries messages, and how long they are on loan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// `amqp://` or `amqps://`; empty for the queue in SQL.
    pub url: Secret,
    /// PEM file with the authorities that sign RabbitMQ's certificate; empty means those of the system.
    pub ca: String,
    pub prefix: String,
    pub poll_ms: u64,
    pub prefetch: u16,
    pub lease_seconds: u64,
    pub max_attempts: u32,
    pub timeout_ms: u64,
}

impl QueueConfig {
    pub fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if !self.url.is_empty()
            && let Err(why) = broker::parse(&self.url)
        {
            mistakes.push(Mistake::new("queue.url", why));
        }
        if !is_name(&self.prefix, 40) {
            mistakes.push(Mistake::new("queue.prefix", "must be 1 to 40 lower case letters, digits, '.', '_' or '-'"));
        }
        for (key, value, least, most) in [
            ("queue.poll_ms", self.poll_ms, 1, 60_000),
            ("queue.prefetch", self.prefetch.into(), 1, 1_000),
            ("queue.lease_seconds", self.lease_seconds, 1, 86_400),
            ("queue.max_attempts", self.max_attempts.into(), 1, 1_000_000),
            ("queue.timeout_ms", self.timeout_ms, 100, 60_000),
        ] {
            if !(least..=most).contains(&value) {
                mistakes.push(Mistake::new(key, format!("{value} is not within {least} to {most}")));
            }
        }
        mistakes
    }
}

/// What a message is for: the name that its consumers ask for. Make it a constant, so that a bad name does not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic(&'static str);

impl Topic {
    /// Lower case letters, digits, `.`, `_` and `-`; at most 100.
    pub const fn new(name: &'static str) -> Self {
        assert!(is_name(name, 100), "a topic is 1 to 100 lower case letters, digits, '.', '_' or '-'");
        Self(name)
    }

    pub fn name(self) -> &'static str {
        self.0
    }
}

const fn is_name(text: &str, most: usize) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= most
}

/// Something to be told or done.
#[derive(Clone, Debug)]
pub struct Message {
    /// Given at birth and never changed.
    pub id: String,
    pub tenant: TenantId,
    pub topic: Topic,
    /// What it is about, for consumers and logs; never personal.
    pub key: String,
    pub payload: Bytes,
    pub delay: Duration,
}

impl Message {
    pub fn new(tenant: TenantId, topic: Topic, key: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        let (key, payload) = (key.into(), payload.into());
        Self { id: nsl_core::fresh("msg"), tenant, topic, key, payload, delay: Duration::ZERO }
    }

    /// Comes no earlier than this long after it was published.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// Publishes in the transaction of a change: together with it, or not at all. [`Queue::nudge`] after the commit saves
/// consumers of this process the wait for their next look.
pub async fn enqueue(tx: &mut Tx<'_>, messages: &[&Message], now: Timestamp) -> Result<()> {
    table::insert(tx, messages, now).await
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Queue(Arc<Shared>);

struct Shared {
    config: QueueConfig,
    db: Db,
    clock: Arc<dyn Clock>,
    broker: Option<Broker>,
    news: Notify,
}

/// A message that was put aside.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    pub id: String,
    pub tenant: TenantId,
    pub topic: String,
    pub key: String,
    pub attempt: i64,
    pub reason: String,
    pub created_at: Timestamp,
}

impl Queue {
    /// Reads the settings; reaches the broker only when [`Queue::run`] does.
    pub fn build(config: &QueueConfig, db: Db, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let broker = if config.url.is_empty() { None } else { Some(Broker::new(config)?) };
        Ok(Self(Arc::new(Shared { config: config.clone(), db, clock, broker, news: Notify::new() })))
    }

    /// Publishes what tells of no change of its own. On disk when this returns.
    pub async fn publish(&self, messages: Vec<Message>) -> Result<()> {
        self.0.db.write_platform(changes::Publish { messages, now: self.now() }).await?;
        self.nudge();
        Ok(())
    }

    /// Tells consumers and relay of this process that there may be something to do.
    pub fn nudge(&self) {
        self.0.news.notify_waiters();
    }

    /// Begins to receive what is published under this topic, together with all other consumers of it. With RabbitMQ,
    /// [`Queue::run`] has to run.
    pub fn consume(&self, topic: Topic) -> Consumer {
        Consumer::start(self.clone(), topic)
    }

    /// Relays to the broker, keeps house and counts, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        relay::run(&self, &stop).await;
    }

    /// Whether the broker, when one is set, can be reached.
    pub fn is_up(&self) -> bool {
        self.0.broker.as_ref().is_none_or(Broker::is_up)
    }

    /// The oldest messages that were put aside.
    pub async fn dead_letters(&self, most: u32) -> Result<Vec<DeadLetter>> {
        let rows = self.0.db.query(Scope::Platform, table::DEAD, args![most]).await?;
        let read = |mut row: nsl_sql::Row| {
            Ok(DeadLetter {
                id: row.take(0)?,
                tenant: row.take(1)?,
                topic: row.take(2)?,
                key: row.take(3)?,
                attempt: row.take(4)?,
                reason: row.take::<Option<String>>(5)?.unwrap_or_default(),
                created_at: row.take(6)?,
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Lets a dead message come again, its attempts counted anew. `queue.not_dead` when there is no such one.
    pub async fn revive(&self, id: &str) -> Result<()> {
        self.0.db.write_platform(changes::Revive { id: id.to_owned(), now: self.now() }).await?;
        self.nudge();
        Ok(())
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn lease_length(&self) -> Duration {
        Duration::from_secs(self.0.config.lease_seconds)
    }

    /// When a lease that begins now ends.
    fn lease(&self) -> Timestamp {
        self.now().plus(self.lease_length())
    }

    fn poll(&self) -> Duration {
        Duration::from_millis(self.0.config.poll_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_every_engine_takes() {
        assert_eq!(Topic::new("storage.value-expired_1").name(), "storage.value-expired_1");
        for bad in ["", "Upper", "a b", "a/b", "ä", &"a".repeat(101)] {
            assert!(!is_name(bad, 100), "{bad}");
        }
    }
}
