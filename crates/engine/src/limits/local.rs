use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    sync::Arc,
};

use nsl_core::{Clock, Timestamp};
use parking_lot::Mutex;

use super::{Decision, Quota, gcra};

/// Counts of this process alone, by a keyed hash of the caller: nobody outside can aim at a collision, and a
/// caller costs 16 bytes however long its name.
pub(super) struct Local {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    per_shard: usize,
    clock: Arc<dyn Clock>,
}

type Shard = HashMap<u64, Timestamp, BuildHasherDefault<AsIs>>;

const SHARDS: usize = 64;

impl Local {
    pub(super) fn new(callers: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            per_shard: (callers / SHARDS).max(1),
            clock,
        }
    }

    pub(super) fn check(&self, class: &str, who: &str, quota: Quota, cost: u32) -> Decision {
        let now = self.clock.now();
        let key = self.key(class, who);
        let mut shard = self.shard(key).lock();
        let tat = shard.get(&key).copied().unwrap_or(Timestamp(0));
        let (decision, tat) = gcra(tat, now, quota, cost);
        self.remember(&mut shard, key, tat, now);
        decision
    }

    /// What `check` would say, without counting.
    pub(super) fn look(&self, class: &str, who: &str, quota: Quota, cost: u32) -> Decision {
        let key = self.key(class, who);
        let tat = self.shard(key).lock().get(&key).copied().unwrap_or(Timestamp(0));
        gcra(tat, self.clock.now(), quota, cost).0
    }

    /// Takes over what is known elsewhere: the burst is whole again at `tat`.
    pub(super) fn learn(&self, class: &str, who: &str, tat: Timestamp) {
        let key = self.key(class, who);
        let mut shard = self.shard(key).lock();
        self.remember(&mut shard, key, tat, self.clock.now());
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn key(&self, class: &str, who: &str) -> u64 {
        self.hasher.hash_one((class, who))
    }

    fn shard(&self, key: u64) -> &Mutex<Shard> {
        // The map inside goes by the low bits.
        &self.shards[(key >> 58) as usize]
    }

    fn remember(&self, shard: &mut Shard, key: u64, tat: Timestamp, now: Timestamp) {
        if tat <= now {
            shard.remove(&key);
            return;
        }
        if shard.len() >= self.per_shard && !shard.contains_key(&key) {
            self.make_room(shard, now);
        }
        shard.insert(key, tat);
    }

    /// Those whose burst is whole again are as good as unknown. When that is not enough, those who used least of
    /// theirs go: a flood of strangers cannot push out the one who is being held back.
    fn make_room(&self, shard: &mut Shard, now: Timestamp) {
        shard.retain(|_, tat| *tat > now);
        let keep = self.per_shard * 7 / 8;
        if shard.len() > keep {
            let mut tats: Vec<i64> = shard.values().map(|tat| tat.0).collect();
            let (_, bar, _) = tats.select_nth_unstable(shard.len() - keep);
            let bar = *bar;
            shard.retain(|_, tat| tat.0 > bar);
        }
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole numbers are hashed here");
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nsl_core::ManualClock;

    use super::*;

    fn local(callers: usize) -> (Local, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000_000)));
        (Local::new(callers, clock.clone()), clock)
    }

    fn remembered(local: &Local) -> usize {
        local.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    #[test]
    fn callers_and_classes_are_apart_and_time_heals() {
        let (local, clock) = local(1_000);
        let quota = Quota::per(2, Duration::from_secs(2));
        let allowed = |class, who| local.check(class, who, quota, 1).allowed;
        assert!(allowed("read", "a") && allowed("read", "a") && !allowed("read", "a"));
        assert!(allowed("write", "a") && allowed("read", "b") && allowed("reada", ""));
        clock.advance(Duration::from_secs(1));
        assert!(allowed("read", "a") && !allowed("read", "a"));
        assert!(!local.look("read", "a", quota, 1).allowed);
    }

    #[test]
    fn a_flood_of_strangers_neither_grows_nor_frees_anyone() {
        let (local, clock) = local(6_400);
        let quota = Quota::per(10, Duration::from_secs(10));
        while local.check("c", "greedy", quota, 1).allowed {}
        for stranger in 0..100_000 {
            assert!(local.check("c", &stranger.to_string(), quota, 1).allowed);
        }
        assert!(remembered(&local) <= 6_400, "{}", remembered(&local));
        assert!(!local.check("c", "greedy", quota, 1).allowed);
        clock.advance(Duration::from_secs(60));
        for stranger in 0..20_000 {
            local.check("c", &format!("late{stranger}"), quota, 0);
            local.look("c", &format!("late{stranger}"), quota, 1);
        }
        let before = remembered(&local);
        for shard in &local.shards {
            local.make_room(&mut shard.lock(), clock.now());
        }
        assert!(before <= 6_400 && remembered(&local) == 0);
    }
}
