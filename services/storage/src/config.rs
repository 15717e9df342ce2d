use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;

/// Section `[storage]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Superseded states kept of each key.
    pub keep_versions: u32,
    /// How long a deleted key can still be restored.
    pub keep_deleted_days: u32,
    /// How long a finished export can be fetched.
    pub keep_exports_days: u32,
    /// How long a value may be answered from the cache.
    pub cache_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { keep_versions: 20, keep_deleted_days: 30, keep_exports_days: 30, cache_seconds: 300 }
    }
}

impl Check for Config {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        if self.keep_versions > 10_000 {
            mistakes.add("keep_versions", "lies between 0 and 10000");
        }
        if self.keep_deleted_days > 3_650 {
            mistakes.add("keep_deleted_days", "lies between 0 and 3650");
        }
        if !(1..=365).contains(&self.keep_exports_days) {
            mistakes.add("keep_exports_days", "lies between 1 and 365");
        }
        if !(1..=86_400).contains(&self.cache_seconds) {
            mistakes.add("cache_seconds", "lies between 1 and 86400");
        }
    }
}

/// Section `[quota]`: what each tenant may hold. May change while running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Quota {
    /// Living keys.
    pub items: i64,
    /// Bytes of values and metadata, past versions included.
    pub bytes: i64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { items: 100_000, bytes: 1 << 30 }
    }
}

impl Check for Quota {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        for (name, value) in [("items", self.items), ("bytes", self.bytes)] {
            if value < 0 {
                mistakes.add(name, "must not be negative");
            }
        }
    }
}
