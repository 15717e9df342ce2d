//! What tenants hold, as far as this process knows, and for whom that is enough to decide a write.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use nsl_core::{TenantId, Timestamp};

use crate::config::Quota;

/// Bytes and items.
pub(super) type Held = (i64, i64);

/// Further from its quota than this, and than a tenth of it, nobody passes it before the next look: no
/// tenant writes as much between two looks, by however many processes.
const MARGIN: Held = (256 << 20, 20_000);
const LOOK: Duration = Duration::from_millis(500);
/// Tenants remembered; past this all are looked at anew.
const MOST: usize = 20_000;

/// A tenant that is far from its quota is measured by what was seen a moment ago. One that is near is in
/// `careful`: its writes are decided by one group at a time.
#[derive(Default)]
pub(super) struct Usage {
    careful: HashSet<TenantId>,
    seen: HashMap<TenantId, (Held, Timestamp)>,
}

pub(super) enum Room {
    Enough,
    /// Not known, or not for certain any more.
    Look,
}

impl Usage {
    pub(super) fn is_careful(&self, tenant: &TenantId) -> bool {
        self.careful.contains(tenant)
    }

    /// Whether so much more fits by what was seen; what fits is counted.
    pub(super) fn take(&mut self, tenant: &TenantId, more: Held, quota: Quota, now: Timestamp) -> Room {
        match self.seen.get_mut(tenant) {
            Some((held, at)) if *at <= now && now < at.plus(LOOK) => {
                let then = (held.0 + more.0, held.1 + more.1);
                if !is_far(then, quota) {
                    return Room::Look;
                }
                *held = then;
                Room::Enough
            }
            _ => Room::Look,
        }
    }

    /// Learns what a tenant holds, the write at hand included. Gives false if that must be decided with care.
    pub(super) fn learn(&mut self, tenant: &TenantId, held: Held, quota: Quota, now: Timestamp) -> bool {
        if self.seen.len() > MOST {
            self.seen.clear();
        }
        let far = is_far(held, quota);
        if far {
            self.careful.remove(tenant);
            self.seen.insert(tenant.clone(), (held, now));
        } else {
            self.seen.remove(tenant);
            self.careful.insert(tenant.clone());
        }
        far
    }
}

fn is_far(held: Held, quota: Quota) -> bool {
    let far = |held: i64, most: i64, margin: i64| held <= most.saturating_sub(margin.max(most / 10));
    far(held.0, quota.bytes, MARGIN.0) && far(held.1, quota.items, MARGIN.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);
    const QUOTA: Quota = Quota { bytes: 10 << 30, items: 1_000_000 };

    #[test]
    fn far_from_the_quota_a_look_is_enough_for_a_moment() {
        let (mut usage, tenant) = (Usage::default(), TenantId::parse("ten_a").unwrap());
        assert!(matches!(usage.take(&tenant, (1, 1), QUOTA, NOW), Room::Look), "never seen");
        assert!(usage.learn(&tenant, (100, 800_000), QUOTA, NOW));
        assert!(matches!(usage.take(&tenant, (1, 100_000), QUOTA, NOW), Room::Enough));
        assert!(matches!(usage.take(&tenant, (1, 1), QUOTA, NOW), Room::Look), "what was taken counts");
        assert!(matches!(usage.take(&tenant, (0, 0), QUOTA, NOW.plus(LOOK)), Room::Look), "seen too long ago");
    }

    #[test]
    fn near_the_quota_each_write_is_decided_with_care_until_it_is_far_again() {
        let (mut usage, tenant) = (Usage::default(), TenantId::parse("ten_a").unwrap());
        assert!(!usage.learn(&tenant, (0, 999_000), QUOTA, NOW));
        assert!(usage.is_careful(&tenant));
        assert!(usage.learn(&tenant, (0, 1_000), QUOTA, NOW));
        assert!(!usage.is_careful(&tenant));
        assert!(
            !usage.learn(&tenant, (0, 0), Quota { bytes: 1_000, items: 1_000_000 }, NOW),
            "a small quota is always near"
        );
    }
}
