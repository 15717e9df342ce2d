use std::time::Duration;

use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;

use super::revoked::LONGEST_ACCESS;

/// Section `[identity.tokens]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What tokens name as `iss`, and where clients find the rest: the public URL. Empty: identity.public_url,
    /// or http://127.0.0.1:8080 where that is empty too.
    pub issuer: String,
    /// What tokens name as `aud`.
    pub audience: String,
    #[serde(rename = "access_ttl_s", deserialize_with = "nsl_kit::config::seconds")]
    pub access_ttl: Duration,
    /// How long a session lives after its last use.
    #[serde(rename = "refresh_ttl_s", deserialize_with = "nsl_kit::config::seconds")]
    pub refresh_ttl: Duration,
    /// How long a session lives at most, however much it is used.
    #[serde(rename = "session_ttl_s", deserialize_with = "nsl_kit::config::seconds")]
    pub session_ttl: Duration,
    pub sessions_per_user: u32,
    /// How long a key signs before the next one does.
    #[serde(rename = "rotate_s", deserialize_with = "nsl_kit::config::seconds")]
    pub rotate: Duration,
    /// How long a key is shown before it signs.
    #[serde(rename = "publish_s", deserialize_with = "nsl_kit::config::seconds")]
    pub publish: Duration,
    /// How often keys are looked after and what has ended is removed.
    #[serde(rename = "upkeep_ms", deserialize_with = "nsl_kit::config::millis")]
    pub upkeep: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: "nsl".to_owned(),
            access_ttl: Duration::from_secs(900),
            refresh_ttl: 7 * DAY,
            session_ttl: 90 * DAY,
            sessions_per_user: 5,
            rotate: 7 * DAY,
            publish: DAY,
            upkeep: Duration::from_secs(60),
        }
    }
}

impl Check for Config {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        let url = self.issuer.as_str();
        let is_secure = url.starts_with("https://") || (!profile.is_production() && url.starts_with("http://"));
        if !url.is_empty() && (!is_secure || url.ends_with('/') || url.contains(['?', '#', ' ', '"'])) {
            mistakes.add("issuer", "is an https URL without a slash at its end, a query or a fragment");
        }
        if self.audience.is_empty() {
            mistakes.add("audience", "is not empty");
        }
        if !(Duration::from_secs(30)..=LONGEST_ACCESS).contains(&self.access_ttl) {
            mistakes.add("access_ttl_s", "lies between 30 and 3600");
        }
        if self.refresh_ttl <= self.access_ttl || self.session_ttl < self.refresh_ttl {
            mistakes.add("refresh_ttl_s", "is longer than access_ttl_s and no longer than session_ttl_s");
        }
        if !(1..=100).contains(&self.sessions_per_user) {
            mistakes.add("sessions_per_user", "lies between 1 and 100");
        }
        if self.publish < self.access_ttl || self.rotate < self.publish * 2 {
            mistakes.add("rotate_s", "is at least twice publish_s, which is no shorter than access_ttl_s");
        }
        if !(Duration::from_millis(20)..=Duration::from_secs(3_600)).contains(&self.upkeep) {
            mistakes.add("upkeep_ms", "lies between 20 and 3600000");
        }
    }
}
