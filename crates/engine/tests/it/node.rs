use std::{future::Future, sync::Arc, time::Duration};

use nsl_core::{Secret, SystemClock};
use nsl_engine::{
    cache::{Cache, CacheConfig, CacheEngine},
    redis::{Redis, RedisConfig},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What one process has: its own connection, its own memory, its own tasks.
pub(crate) struct Node {
    pub(crate) redis: Redis,
    pub(crate) cache: Cache,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

pub(crate) fn redis_config(url: &str) -> RedisConfig {
    RedisConfig {
        url: Secret::new(url),
        sentinel_password: Secret::new(""),
        ca: String::new(),
        prefix: "test".into(),
        connect_timeout_ms: 500,
        command_timeout_ms: 100,
    }
}

pub(crate) fn cache_config(engine: CacheEngine) -> CacheConfig {
    CacheConfig { engine, memory_bytes: 8 << 20, memory_seconds: 30 }
}

impl Node {
    /// Connected, and hearing others.
    pub(crate) async fn start(url: &str) -> Self {
        let node = Self::start_blind(url);
        node.until_trusted("warm").await;
        node
    }

    /// Not waiting for anything.
    pub(crate) fn start_blind(url: &str) -> Self {
        Self::start_with(redis_config(url))
    }

    pub(crate) fn start_with(config: RedisConfig) -> Self {
        let redis = Redis::new(&config).unwrap();
        let cache = Cache::build(&cache_config(CacheEngine::Redis), Some(&redis), Arc::new(SystemClock)).unwrap();
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        tasks.spawn(redis.clone().run(stop.clone()));
        tasks.spawn(cache.clone().run(stop.clone()));
        Self { redis, cache, tasks, stop }
    }

    /// Waits until memory is used again.
    pub(crate) async fn until_trusted(&self, key: &str) {
        eventually("memory is trusted", async || {
            self.cache.put(key, 1, "x".into(), Duration::from_secs(60)).await;
            self.cache.peek(key).is_some()
        })
        .await;
    }

    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Asks until it holds, for at most ten seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.unwrap_or_else(|_| panic!("never: {what}"));
}
