use std::time::Duration;

use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;

/// Section `[identity.keys]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// How long a secret works on beside the one that a rotation gave, where the request says nothing.
    #[serde(rename = "overlap_s", deserialize_with = "nsl_kit::config::seconds")]
    pub overlap: Duration,
    /// The longest overlap that a request may name.
    #[serde(rename = "longest_overlap_s", deserialize_with = "nsl_kit::config::seconds")]
    pub longest_overlap: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Config {
    fn default() -> Self {
        Self { overlap: DAY, longest_overlap: DAY * 7 }
    }
}

impl Check for Config {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        if self.longest_overlap > DAY * 90 {
            mistakes.add("longest_overlap_s", "is at most 7776000 (90 days): a secret that was replaced has to end");
        }
        if self.overlap > self.longest_overlap {
            mistakes.add("overlap_s", "is no longer than longest_overlap_s");
        }
    }
}
