use std::time::Duration;

use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;

/// Section `[identity.people]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// How long an invite works.
    #[serde(rename = "invite_s", deserialize_with = "nsl_kit::config::seconds")]
    pub invite: Duration,
    /// Most invites of a tenant that are open at a time.
    pub invites_per_tenant: u32,
    /// Most tenants that one person owns.
    pub tenants_per_user: u32,
    /// How long the owners of a tenant that is to be deleted may change their mind.
    #[serde(rename = "grace_s", deserialize_with = "nsl_kit::config::seconds")]
    pub grace: Duration,
    /// How long a copy of a person's data can be fetched.
    #[serde(rename = "export_s", deserialize_with = "nsl_kit::config::seconds")]
    pub export: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Config {
    fn default() -> Self {
        Self { invite: 7 * DAY, invites_per_tenant: 100, tenants_per_user: 20, grace: 7 * DAY, export: 7 * DAY }
    }
}

impl Check for Config {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        if !(Duration::from_secs(60)..=30 * DAY).contains(&self.invite) {
            mistakes.add("invite_s", "lies between 60 and 2592000");
        }
        if self.invites_per_tenant == 0 {
            mistakes.add("invites_per_tenant", "is at least 1");
        }
        if self.tenants_per_user == 0 {
            mistakes.add("tenants_per_user", "is at least 1");
        }
        if self.grace > 90 * DAY {
            mistakes.add("grace_s", "is at most 7776000");
        }
        if !(Duration::from_secs(60)..=30 * DAY).contains(&self.export) {
            mistakes.add("export_s", "lies between 60 and 2592000: a copy of what is personal does not lie about");
        }
    }
}
