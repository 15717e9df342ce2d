use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;

/// Numbers that need not be good, only different each time.
pub(super) struct Luck(AtomicU64);

impl Luck {
    pub(super) fn new() -> Result<Self> {
        let word = fs::read("/proc/sys/kernel/random/uuid")?;
        let seed = word.iter().fold(1u64, |sum, byte| sum.wrapping_mul(131).wrapping_add(u64::from(*byte)));
        Ok(Self(AtomicU64::new(seed)))
    }

    pub(super) fn below(&self, end: u64) -> u64 {
        let mut word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }
}
