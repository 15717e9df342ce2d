use std::time::Duration;

use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;

/// Section `[audit]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// How often the lanes are tied together and the counts of past minutes become entries.
    #[serde(rename = "checkpoint_ms", deserialize_with = "nsl_kit::config::millis")]
    pub checkpoint: Duration,
    /// How often partitions are made ahead and what is too old is let go.
    #[serde(rename = "upkeep_ms", deserialize_with = "nsl_kit::config::millis")]
    pub upkeep: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { checkpoint: Duration::from_secs(60), upkeep: Duration::from_secs(6 * 3_600) }
    }
}

impl Check for Config {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        if !(Duration::from_millis(100)..=Duration::from_secs(3_600)).contains(&self.checkpoint) {
            mistakes.add("checkpoint_ms", "lies between 100 and 3600000");
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(7 * 86_400)).contains(&self.upkeep) {
            mistakes.add("upkeep_ms", "lies between 1000 and 604800000: partitions are made three months ahead");
        }
    }
}
