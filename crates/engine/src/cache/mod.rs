//! Copies of what SQL holds, for speed alone.
//!
//! Promises: an entry is never overwritten by an older version of itself, also not by a slow reader and not after
//! [`Cache::forget`]; the memory level holds nothing longer than 30 seconds and is not read while this process
//! might miss what others changed; losing Redis makes callers slower and never wrong: what could not be said to
//! it is said first when it is back. Versions of one key must only ever grow, also over deletion.

mod memory;
mod shared;
mod wire;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use metrics::Counter;
use nsl_core::Clock;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{Mistake, redis::Redis};
use memory::Memory;
use shared::Shared;

/// How much is kept, where, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    pub engine: CacheEngine,
    pub memory_bytes: u64,
    pub memory_seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheEngine {
    Memory,
    /// Memory in front of Redis.
    Redis,
}

impl CacheConfig {
    pub fn check(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        if !(1..=30).contains(&self.memory_seconds) {
            mistakes
                .push(Mistake::new("cache.memory_seconds", format!("{} is not within 1 to 30", self.memory_seconds)));
        }
        if self.memory_bytes < 1 << 20 {
            mistakes.push(Mistake::new("cache.memory_bytes", format!("{} is under 1048576", self.memory_bytes)));
        }
        mistakes
    }
}

/// What was stored under a key, and which version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub version: u64,
    pub bytes: Bytes,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Cache(Arc<Levels>);

struct Levels {
    memory: Arc<Memory>,
    shared: Option<Shared>,
    memory_hits: Counter,
    redis_hits: Counter,
    misses: Counter,
}

impl Cache {
    /// `redis` is needed, and used, exactly when the configuration says so.
    pub fn build(config: &CacheConfig, redis: Option<&Redis>, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let memory = Arc::new(Memory::new(config.memory_bytes, Duration::from_secs(config.memory_seconds), clock));
        let shared = match (config.engine, redis) {
            (CacheEngine::Memory, _) => None,
            (CacheEngine::Redis, Some(redis)) => Some(Shared::new(redis.clone(), memory.clone())),
            (CacheEngine::Redis, None) => anyhow::bail!("cache.engine is \"redis\" but redis.url is not set"),
        };
        Ok(Self(Arc::new(Levels {
            memory,
            shared,
            memory_hits: metrics::counter!("cache_hits_total", "level" => "memory"),
            redis_hits: metrics::counter!("cache_hits_total", "level" => "redis"),
            misses: metrics::counter!("cache_misses_total"),
        })))
    }

    /// Listens to what other processes change, until `stop`. Without it a cache over Redis never trusts its memory.
    pub async fn run(self, stop: CancellationToken) {
        match &self.0.shared {
            None => stop.cancelled().await,
            Some(shared) => shared.run(stop).await,
        }
    }

    /// What memory holds, at once: a miss here says nothing about Redis.
    pub fn peek(&self, key: &str) -> Option<Entry> {
        if self.0.shared.as_ref().is_some_and(|shared| !shared.hears()) {
            return None;
        }
        let found = self.0.memory.get(key)?;
        self.0.memory_hits.increment(1);
        Some(found)
    }

    /// What memory or Redis holds. `None` also while Redis is away.
    pub async fn get(&self, key: &str) -> Option<Entry> {
        if let Some(found) = self.peek(key) {
            return Some(found);
        }
        let found = match &self.0.shared {
            Some(shared) => shared.get(key).await,
            None => None,
        };
        if found.is_some() { &self.0.redis_hits } else { &self.0.misses }.increment(1);
        found
    }

    /// For whoever changed the value: keeps it unless a higher version is there, and tells other processes to drop
    /// what is older. At most `ttl`, in memory at most the configured seconds.
    pub async fn put(&self, key: &str, version: u64, bytes: Bytes, ttl: Duration) {
        self.store(key, Entry { version, bytes }, ttl, true).await;
    }

    /// For whoever read the value from the truth after a miss: as [`Cache::put`], without telling anyone.
    pub async fn fill(&self, key: &str, version: u64, bytes: Bytes, ttl: Duration) {
        self.store(key, Entry { version, bytes }, ttl, false).await;
    }

    async fn store(&self, key: &str, entry: Entry, ttl: Duration, news: bool) {
        match &self.0.shared {
            Some(shared) => shared.put(key, entry, ttl, news).await,
            None => self.0.memory.put(key, entry, ttl),
        }
    }

    /// Drops the entry, and refuses this version and older ones for as long as a slow reader could still bring one.
    pub async fn forget(&self, key: &str, version: u64) {
        match &self.0.shared {
            Some(shared) => shared.forget(key, version).await,
            None => self.0.memory.forget(key, version),
        }
    }
}
