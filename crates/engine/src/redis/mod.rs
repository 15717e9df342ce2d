//! The one connection to Redis that cache and limits share.
//!
//! Promises: while Redis is away a call costs nothing but a look at a pointer; it comes back by itself, also on
//! another node after a Sentinel failover; no call waits longer than the command timeout.

mod address;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind,
    aio::MultiplexedConnection,
};
use arc_swap::ArcSwapOption;
use nsl_core::Secret;
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{Mistake, backoff::Backoff};
use address::Address;

/// Where Redis is and how long to wait for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://`, `rediss://` (TLS), or `redis+sentinel://[user:password@]host,host/master[/db]`, also `rediss+sentinel`.
    pub url: Secret,
    /// Password of the Sentinels themselves, when they ask for one.
    pub sentinel_password: Secret,
    /// PEM file with the authorities that sign Redis' certificate; empty means those of the system.
    pub ca: String,
    /// First part of each key and channel, so that two installations can share one Redis.
    pub prefix: String,
    pub connect_timeout_ms: u64,
    pub command_timeout_ms: u64,
}

impl RedisConfig {
    pub fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if let Err(why) = Address::parse(&self.url, &self.sentinel_password, None) {
            mistakes.push(Mistake::new("redis.url", why));
        }
        if self.prefix.is_empty() {
            mistakes.push(Mistake::new("redis.prefix", "must not be empty"));
        }
        for (key, value) in [
            ("redis.connect_timeout_ms", self.connect_timeout_ms),
            ("redis.command_timeout_ms", self.command_timeout_ms),
        ] {
            if !(1..=60_000).contains(&value) {
                mistakes.push(Mistake::new(key, format!("{value} is not within 1 to 60000")));
            }
        }
        mistakes
    }
}

/// A connection that heals itself as long as [`Redis::run`] runs. Cheap to clone.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    address: Address,
    prefix: String,
    connect_timeout: Duration,
    command_timeout: Duration,
    live: ArcSwapOption<Live>,
    lost: Notify,
    /// Counts connections and losses: whoever holds something of an old connection sees it change.
    turns: watch::Sender<u64>,
}

struct Live {
    connection: MultiplexedConnection,
    client: Client,
    failures: AtomicU32,
}

/// Redis did not answer, or refused: the caller does without.
#[derive(Debug)]
pub(crate) struct Away;

const FAILURES_UNTIL_LOST: u32 = 5;
const PING_EVERY: Duration = Duration::from_secs(1);

impl Redis {
    /// Reads the address and the authorities; connects only when [`Redis::run`] does.
    pub fn new(config: &RedisConfig) -> anyhow::Result<Self> {
        let authorities = match config.ca.as_str() {
            "" => None,
            path => Some(std::fs::read(path).map_err(|error| anyhow::anyhow!("reading redis.ca {path}: {error}"))?),
        };
        let address = Address::parse(&config.url, &config.sentinel_password, authorities)
            .map_err(|why| anyhow::anyhow!("redis.url {why}"))?;
        Ok(Self(Arc::new(Shared {
            address,
            prefix: config.prefix.clone(),
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            command_timeout: Duration::from_millis(config.command_timeout_ms),
            live: ArcSwapOption::empty(),
            lost: Notify::new(),
            turns: watch::Sender::new(0),
        })))
    }

    /// Keeps the connection until `stop`: connects, pings, and connects again.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep() => {}
        }
        self.drop_live();
    }

    async fn keep(&self) {
        let up = metrics::gauge!("redis_up");
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
        let mut told = false;
        loop {
            match tokio::time::timeout(self.0.connect_timeout * 3, self.connect()).await {
                Ok(Ok(live)) => {
                    self.0.live.store(Some(Arc::new(live)));
                    self.0.turns.send_modify(|turn| *turn += 1);
                    up.set(1.0);
                    tracing::info!("connected to redis");
                    backoff = backoff.reset();
                    self.watch().await;
                    up.set(0.0);
                }
                Ok(Err(error)) if !told => tracing::warn!(%error, "redis cannot be reached, going on without"),
                Err(_) if !told => tracing::warn!("redis does not answer, going on without"),
                _ => {}
            }
            told = true;
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Returns when the connection is lost.
    async fn watch(&self) {
        loop {
            tokio::select! {
                () = self.0.lost.notified() => {}
                () = tokio::time::sleep(PING_EVERY) => {
                    let _ = self.query::<String>(&::redis::cmd("PING")).await;
                }
            }
            if self.0.live.load().is_none() {
                tracing::warn!("lost redis, going on without");
                return;
            }
        }
    }

    async fn connect(&self) -> RedisResult<Live> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.0.connect_timeout))
            .set_response_timeout(Some(self.0.command_timeout));
        let client = self.0.address.master(&config).await?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // After a failover the old master may still answer, as a replica that takes no writes.
        let role: Vec<::redis::Value> = ::redis::cmd("ROLE").query_async(&mut connection).await?;
        let role = role.first().and_then(|first| String::from_redis_value_ref(first).ok());
        if role.as_deref() != Some("master") {
            return Err((ErrorKind::Client, "this node is not the master").into());
        }
        Ok(Live { connection, client, failures: AtomicU32::new(0) })
    }

    pub fn is_up(&self) -> bool {
        self.0.live.load().is_some()
    }

    /// Waits until connected; whoever must not start without gives it a timeout.
    pub async fn until_up(&self) {
        let mut turns = self.0.turns.subscribe();
        while !self.is_up() && turns.changed().await.is_ok() {}
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.0.prefix
    }

    pub(crate) fn turns(&self) -> watch::Receiver<u64> {
        self.0.turns.subscribe()
    }

    /// For subscriptions, which need a connection of their own.
    pub(crate) fn client(&self) -> Option<Client> {
        self.0.live.load().as_ref().map(|live| live.client.clone())
    }

    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        self.with(async |connection| command.query_async(connection).await).await
    }

    /// Runs one exchange, and counts what its failure says about the connection.
    pub(crate) async fn with<T>(
        &self,
        exchange: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, Away> {
        let Some(live) = self.0.live.load_full() else { return Err(Away) };
        let mut connection = live.connection.clone();
        match exchange(&mut connection).await {
            Ok(value) => {
                // Only written when it changes: all callers share this cache line.
                if live.failures.load(Ordering::Relaxed) != 0 {
                    live.failures.store(0, Ordering::Relaxed);
                }
                Ok(value)
            }
            Err(error) => {
                metrics::counter!("redis_errors_total").increment(1);
                self.judge(&live, &error);
                Err(Away)
            }
        }
    }

    fn judge(&self, live: &Arc<Live>, error: &RedisError) {
        let gone = error.is_connection_dropped() || error.is_unrecoverable_error() || demoted(error);
        let tired = error.is_timeout() && live.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_UNTIL_LOST;
        if !gone && !tired {
            tracing::debug!(%error, "redis refused a command");
            return;
        }
        let previous = self.0.live.compare_and_swap(live, None);
        if previous.as_ref().is_some_and(|previous| Arc::ptr_eq(previous, live)) {
            self.0.turns.send_modify(|turn| *turn += 1);
            self.0.lost.notify_one();
        }
    }

    fn drop_live(&self) {
        self.0.live.store(None);
        self.0.turns.send_modify(|turn| *turn += 1);
    }
}

/// The node answers, but can no longer take writes, or not yet.
fn demoted(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading)
    )
}
