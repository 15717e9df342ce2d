use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use moka::{Expiry, ops::compute::Op, sync::Cache};
use nsl_core::{Clock, Timestamp};

use super::Entry;

/// Kept for at most this long, whatever the caller asks: how stale memory could become at worst.
pub(super) struct Memory {
    slots: Cache<String, Slot>,
    most: Duration,
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    /// Counted up before anything is dropped because of others' news, so that what was read before the news is
    /// not put in after it. One per group of keys.
    turns: Box<[AtomicU64; GROUPS]>,
}

const GROUPS: usize = 1024;

/// What each slot costs beside its key and bytes, about.
const OVERHEAD: usize = 128;

#[derive(Clone)]
struct Slot {
    version: u64,
    /// `None` marks a forgotten entry: this version and older ones are refused.
    bytes: Option<Bytes>,
    until: Timestamp,
    ttl: Duration,
}

/// The state of a key's group before something was read elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

struct ByTtl;

impl Expiry<String, Slot> for ByTtl {
    fn expire_after_create(&self, _: &String, slot: &Slot, _: Instant) -> Option<Duration> {
        Some(slot.ttl)
    }

    fn expire_after_update(&self, _: &String, slot: &Slot, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(slot.ttl)
    }
}

impl Memory {
    pub(super) fn new(capacity: u64, most: Duration, clock: Arc<dyn Clock>) -> Self {
        let weigh = |key: &String, slot: &Slot| {
            let bytes = slot.bytes.as_ref().map_or(0, Bytes::len);
            (key.len() + bytes + OVERHEAD).try_into().unwrap_or(u32::MAX)
        };
        Self {
            slots: Cache::builder().max_capacity(capacity).weigher(weigh).expire_after(ByTtl).build(),
            most,
            clock,
            hasher: RandomState::new(),
            turns: Box::new([const { AtomicU64::new(0) }; GROUPS]),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Entry> {
        let slot = self.slots.get(key)?;
        let bytes = slot.bytes?;
        (self.clock.now() < slot.until).then_some(Entry { version: slot.version, bytes })
    }

    pub(super) fn put(&self, key: &str, entry: Entry, ttl: Duration) {
        self.keep(key, entry, ttl, || true);
    }

    /// Puts what was read elsewhere, unless there was news about the key since the ticket was drawn.
    pub(super) fn fill(&self, key: &str, entry: Entry, ttl: Duration, ticket: Ticket) {
        self.keep(key, entry, ttl, || self.ticket(key) == ticket);
    }

    fn keep(&self, key: &str, entry: Entry, ttl: Duration, still: impl Fn() -> bool) {
        let fresh = self.slot(entry.version, Some(entry.bytes), ttl);
        self.slots.entry_by_ref(key).and_compute_with(|old| {
            let older = old.is_none_or(|old| {
                let old = old.value();
                old.until <= self.clock.now()
                    || old.version < fresh.version
                    || (old.version == fresh.version && old.bytes.is_some())
            });
            // Computations on one key run one after the other, so a drop either sees this entry or is seen here.
            if older && still() { Op::Put(fresh) } else { Op::Nop }
        });
    }

    /// Refuses this version and older ones from now on.
    pub(super) fn forget(&self, key: &str, version: u64) {
        self.news(key);
        self.slots.entry_by_ref(key).and_compute_with(|old| match old {
            Some(old) if old.value().version > version => Op::Nop,
            _ => Op::Put(self.slot(version, None, self.most)),
        });
    }

    /// Drops what is older than this version: another process has it.
    pub(super) fn drop_older(&self, key: &str, version: u64) {
        self.news(key);
        self.slots.entry_by_ref(key).and_compute_with(|old| match old {
            Some(old) if old.value().version < version => Op::Remove,
            _ => Op::Nop,
        });
    }

    /// Drops everything, also what is being read elsewhere just now.
    pub(super) fn clear(&self) {
        for turn in self.turns.iter() {
            turn.fetch_add(1, Ordering::SeqCst);
        }
        self.slots.invalidate_all();
    }

    pub(super) fn ticket(&self, key: &str) -> Ticket {
        Ticket(self.turn(key).load(Ordering::SeqCst))
    }

    fn news(&self, key: &str) {
        self.turn(key).fetch_add(1, Ordering::SeqCst);
    }

    fn turn(&self, key: &str) -> &AtomicU64 {
        &self.turns[self.hasher.hash_one(key) as usize % GROUPS]
    }

    fn slot(&self, version: u64, bytes: Option<Bytes>, ttl: Duration) -> Slot {
        let ttl = ttl.min(self.most);
        Slot { version, bytes, until: self.clock.now().plus(ttl), ttl }
    }
}

#[cfg(test)]
mod tests {
    use nsl_core::ManualClock;

    use super::*;

    fn memory(capacity: u64) -> (Memory, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
        (Memory::new(capacity, Duration::from_secs(30), clock.clone()), clock)
    }

    fn entry(version: u64) -> Entry {
        Entry { version, bytes: Bytes::from(version.to_string()) }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn nothing_outlives_its_time_or_half_a_minute() {
        let (memory, clock) = memory(1 << 20);
        memory.put("short", entry(1), Duration::from_secs(2));
        memory.put("long", entry(1), HOUR);
        clock.advance(Duration::from_millis(1_999));
        assert!(memory.get("short").is_some());
        clock.advance(Duration::from_millis(1));
        assert!(memory.get("short").is_none() && memory.get("long").is_some());
        clock.advance(Duration::from_secs(28));
        assert!(memory.get("long").is_none());
    }

    #[test]
    fn what_was_read_before_the_news_is_not_put_after_it() {
        let (memory, _) = memory(1 << 20);
        let before = memory.ticket("key");
        memory.drop_older("key", 2);
        memory.fill("key", entry(1), HOUR, before);
        assert!(memory.get("key").is_none());
        memory.fill("key", entry(2), HOUR, memory.ticket("key"));
        assert_eq!(memory.get("key").unwrap().version, 2);

        let before = memory.ticket("key");
        memory.clear();
        memory.fill("key", entry(2), HOUR, before);
        assert!(memory.get("key").is_none());
    }

    #[test]
    fn the_bound_in_bytes_holds() {
        let (memory, _) = memory(1 << 20);
        for index in 0..4_000 {
            let bytes = Bytes::from(vec![0; 1_000]);
            memory.put(&index.to_string(), Entry { version: 1, bytes }, HOUR);
        }
        memory.slots.run_pending_tasks();
        assert!(memory.slots.weighted_size() <= 1 << 20, "{}", memory.slots.weighted_size());
        assert!(memory.slots.entry_count() > 500);
    }
}
