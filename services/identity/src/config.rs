use std::time::Duration;

use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;

/// Section `[identity]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// How often "last used" is written, for all keys used since.
    #[serde(rename = "last_used_ms", deserialize_with = "nsl_kit::config::millis")]
    pub last_used: Duration,
    /// Most keys of a tenant that are neither revoked nor expired.
    pub keys_per_tenant: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { last_used: Duration::from_secs(30), keys_per_tenant: 1_000 }
    }
}

impl Check for Config {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&self.last_used) {
            mistakes.add("last_used_ms", "lies between 100 and 60000: \"last used\" is at most a minute behind");
        }
        if self.keys_per_tenant == 0 {
            mistakes.add("keys_per_tenant", "is at least 1");
        }
    }
}
