//! Counts reads in memory, so that a read costs no write. A crash forgets some seconds of counting.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use nsl_api::storage::Chain;
use nsl_core::{Subject, TenantId, Timestamp};
use parking_lot::Mutex;

use crate::store::Read;

const SHARDS: usize = 16;
/// Most different keys of one shard between two flushes; reads of more are not counted.
const MOST: usize = 8_192;

pub(crate) struct Reads {
    shards: [Mutex<HashMap<Arc<str>, Read>>; SHARDS],
    hasher: RandomState,
}

impl Default for Reads {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl Reads {
    /// `name` is unique to the key, over tenants, owners and chains.
    pub(crate) fn count(&self, name: &str, at: (&TenantId, &Subject, Chain, &str), times: i64, now: Timestamp) {
        let mut shard = self.shards[self.hasher.hash_one(name) as usize % SHARDS].lock();
        if let Some(read) = shard.get_mut(name) {
            read.times += times;
            read.last = read.last.max(now);
        } else if shard.len() < MOST {
            let (tenant, owner, chain, key) = at;
            let (tenant, owner, key) = (tenant.clone(), owner.clone(), key.into());
            shard.insert(name.into(), Read { tenant, owner, chain, key, times, last: now });
        }
    }

    /// Everything counted since the last time.
    pub(crate) fn take(&self) -> Vec<Read> {
        self.shards.iter().flat_map(|shard| std::mem::take(&mut *shard.lock()).into_values()).collect()
    }
}
