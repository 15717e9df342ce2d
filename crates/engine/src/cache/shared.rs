use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::redis::Script;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Entry, memory::Memory, wire};
use crate::{
    backoff::Backoff,
    redis::{Away, Redis},
};

/// Redis behind the memory, and the channel on which processes tell each other what changed.
pub(super) struct Shared {
    redis: Redis,
    memory: Arc<Memory>,
    put: Script,
    prefix: String,
    channel: String,
    sender: wire::Sender,
    /// Whether news of other processes arrive, so that memory can be trusted.
    hears: AtomicBool,
    owed: Mutex<Owed>,
    /// Entries in `owed`, readable without its lock.
    debt: AtomicUsize,
}

/// Changes that Redis has not heard of. Until it has, this process does not read from it.
#[derive(Default)]
struct Owed {
    versions: HashMap<String, u64>,
    /// More than can be remembered: everything in Redis is suspect.
    all: bool,
}

const OWED_AT_MOST: usize = 100_000;

/// How long a forgotten version stays refused in Redis: longer than any request that read it may run.
const FORGOTTEN_FOR: Duration = Duration::from_secs(120);

const BEAT_EVERY: Duration = Duration::from_millis(500);
const DEAF_AFTER: Duration = Duration::from_secs(2);

impl Shared {
    pub(super) fn new(redis: Redis, memory: Arc<Memory>) -> Self {
        let (prefix, channel) = (format!("{}:cache:", redis.prefix()), format!("{}:cache-news", redis.prefix()));
        Self {
            redis,
            memory,
            put: Script::new(include_str!("put.lua")),
            prefix,
            channel,
            sender: *uuid::Uuid::new_v4().as_bytes().first_chunk().expect("a uuid has 16 bytes"),
            hears: AtomicBool::new(false),
            owed: Mutex::default(),
            debt: AtomicUsize::new(0),
        }
    }

    pub(super) fn hears(&self) -> bool {
        self.hears.load(Ordering::Acquire)
    }

    pub(super) async fn get(&self, key: &str) -> Option<Entry> {
        if self.in_debt() {
            return None;
        }
        let ticket = self.memory.ticket(key);
        let place = self.place(key);
        let both = self.redis.with(async |connection| {
            let mut both = ::redis::pipe();
            both.get(&place).pttl(&place);
            both.query_async::<(Option<Vec<u8>>, i64)>(connection).await
        });
        let (stored, rest_ms) = both.await.ok()?;
        let entry = wire::entry(stored?)?;
        if self.hears() {
            self.memory.fill(key, entry.clone(), Duration::from_millis(rest_ms.max(0) as u64), ticket);
        }
        Some(entry)
    }

    pub(super) async fn put(&self, key: &str, entry: Entry, ttl: Duration, news: bool) {
        if !news && self.in_debt() {
            return;
        }
        if news {
            // Also keeps out what others of this process are just now reading from Redis.
            self.memory.drop_older(key, entry.version);
        }
        let ticket = self.memory.ticket(key);
        match self.write(key, entry.version, Some(&entry.bytes), ttl, news).await {
            Ok(true) if self.hears() => self.memory.fill(key, entry, ttl, ticket),
            Ok(true) => {}
            // Someone has a newer one; ours may be what memory holds.
            Ok(false) => self.memory.drop_older(key, entry.version.saturating_add(1)),
            Err(Away) if news => {
                let previous = entry.version.saturating_sub(1);
                self.strike(key, previous).await.unwrap_or_else(|Away| self.owe(key, previous));
            }
            Err(Away) => {}
        }
    }

    pub(super) async fn forget(&self, key: &str, version: u64) {
        self.memory.forget(key, version);
        if self.tell(key, version).await.is_err() {
            self.owe(key, version);
        }
    }

    /// Marks this version and older ones as gone, in Redis and for every process.
    async fn tell(&self, key: &str, version: u64) -> Result<(), Away> {
        match self.write(key, version, None, FORGOTTEN_FOR, true).await {
            Ok(_) => Ok(()),
            Err(Away) => self.strike(key, version).await,
        }
    }

    /// What still works on a Redis that is full: taking the entry away.
    async fn strike(&self, key: &str, version: u64) -> Result<(), Away> {
        let news = [&wire::head(version, false)[..], &self.sender, key.as_bytes()].concat();
        let mut both = ::redis::pipe();
        both.unlink(self.place(key)).ignore().publish(&self.channel, news).ignore();
        self.redis.with(async |connection| both.query_async::<()>(connection).await).await
    }

    /// `false` when Redis has a newer version.
    async fn write(
        &self,
        key: &str,
        version: u64,
        bytes: Option<&[u8]>,
        ttl: Duration,
        news: bool,
    ) -> Result<bool, Away> {
        let mut call = self.put.key(self.place(key));
        call.arg(&wire::head(version, bytes.is_some())[..])
            .arg(bytes.unwrap_or_default())
            .arg(ttl.as_millis().clamp(1, u64::MAX as u128) as u64)
            .arg(if news { self.channel.as_str() } else { "" })
            .arg(self.prefix.len() + 1)
            .arg(&self.sender);
        self.redis.with(async |connection| call.invoke_async::<bool>(connection).await).await
    }

    fn place(&self, key: &str) -> String {
        [self.prefix.as_str(), key].concat()
    }

    fn in_debt(&self) -> bool {
        self.debt.load(Ordering::Acquire) != 0
    }

    fn owe(&self, key: &str, version: u64) {
        let mut owed = self.owed.lock();
        if owed.versions.len() >= OWED_AT_MOST && !owed.versions.contains_key(key) {
            *owed = Owed { versions: HashMap::new(), all: true };
        }
        if !owed.all {
            let there = owed.versions.entry(key.to_owned()).or_insert(version);
            *there = version.max(*there);
        }
        self.debt.store(owed.versions.len() + usize::from(owed.all), Ordering::Release);
    }

    pub(super) async fn run(&self, stop: CancellationToken) {
        let _deaf = DeafAtLast(self);
        stop.run_until_cancelled(self.listen()).await;
    }

    async fn listen(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            self.redis.until_up().await;
            let heard = self.listen_once(&mut backoff).await;
            self.hears.store(false, Ordering::Release);
            self.memory.clear();
            if let Err(error) = heard {
                tracing::debug!(%error, "the channel of cache news broke, memory is passed by until it is back");
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Returns when the channel cannot be trusted any more.
    async fn listen_once(&self, backoff: &mut Backoff) -> anyhow::Result<()> {
        let mut turns = self.redis.turns();
        let Some(client) = self.redis.client() else { return Ok(()) };
        let beat_channel = format!("{}:{}", self.channel, nsl_core::fresh("beat"));
        let (_sink, mut stream) = tokio::time::timeout(DEAF_AFTER, async {
            let mut subscription = client.get_async_pubsub().await?;
            subscription.subscribe(&[&self.channel, &beat_channel]).await?;
            Ok::<_, ::redis::RedisError>(subscription.split())
        })
        .await??;
        // News sent from here on will arrive; what was put in earlier may have missed some.
        self.memory.clear();
        self.settle().await;
        self.hears.store(true, Ordering::Release);
        *backoff = backoff.reset();

        let mut beats = tokio::time::interval(BEAT_EVERY);
        let mut last_beat = Instant::now();
        loop {
            tokio::select! {
                message = stream.next() => {
                    let Some(message) = message else { anyhow::bail!("the connection ended") };
                    match message.get_channel_name() {
                        name if name == beat_channel => last_beat = Instant::now(),
                        _ => self.hear(message.get_payload_bytes()),
                    }
                }
                _ = beats.tick() => {
                    if last_beat.elapsed() > DEAF_AFTER {
                        anyhow::bail!("no message came through");
                    }
                    // A beat goes the way of all news: what comes back proves the whole way.
                    let _ = self.redis.query::<i64>(::redis::cmd("PUBLISH").arg(&beat_channel).arg("")).await;
                    self.settle().await;
                }
                _ = turns.changed() => anyhow::bail!("redis itself was lost"),
            }
        }
    }

    fn hear(&self, message: &[u8]) {
        match wire::news(message) {
            Some(news) if news.sender == self.sender => {}
            Some(news) if news.kept => self.memory.drop_older(news.key, news.version),
            Some(news) => self.memory.forget(news.key, news.version),
            None => tracing::warn!("a message on the channel of cache news is not ours"),
        }
    }

    /// Tells Redis what it missed. What fails stays owed.
    async fn settle(&self) {
        if !self.in_debt() {
            return;
        }
        let owed = std::mem::take(&mut *self.owed.lock());
        let mut failed = owed.all && self.wipe().await.is_err();
        if failed {
            self.owed.lock().all = true;
        }
        for (key, version) in owed.versions {
            failed = failed || self.tell(&key, version).await.is_err();
            if failed {
                self.owe(&key, version);
            }
        }
        let owed = self.owed.lock();
        self.debt.store(owed.versions.len() + usize::from(owed.all), Ordering::Release);
    }

    /// Removes every entry of ours from Redis.
    async fn wipe(&self) -> Result<(), Away> {
        let mut cursor = 0u64;
        loop {
            let mut scan = ::redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{}*", self.prefix)).arg("COUNT").arg(500);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.redis.query(&scan).await?;
            if !keys.is_empty() {
                self.redis.query::<i64>(::redis::cmd("UNLINK").arg(keys)).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// However listening ends, by a panic too, memory is not trusted after it.
struct DeafAtLast<'a>(&'a Shared);

impl Drop for DeafAtLast<'_> {
    fn drop(&mut self) {
        self.0.hears.store(false, Ordering::Release);
    }
}
