use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use nsl_api::audit::{AuditClient, Refusal, Refuse};
use nsl_core::{Clock, Cx, Error, Subject, TenantId, Timestamp};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{caller::nobody, outcome::REFUSED};

/// So many different ones are told apart between two reports; what comes on top is counted together.
const MOST: usize = 10_000;
const EVERY: Duration = Duration::from_secs(1);
const BATCH: usize = 500;
/// Names of policies are short, and only so many are named.
const LONGEST_FACT: usize = 600;
const MINUTE: i64 = 60_000_000;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    who: Who,
    reason: String,
    service: &'static str,
    method: Arc<str>,
    status: u16,
    minute: i64,
    facts: BTreeMap<String, String>,
}

/// A named caller, or an address where nobody has a name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Named(TenantId, Subject),
    Address(IpAddr),
    /// Not told apart.
    Strangers,
}

struct Count {
    times: u64,
    first: Timestamp,
}

/// Counts what was refused, for the audit trail: one row for each caller, reason and minute.
pub(crate) struct Refusals {
    audit: AuditClient,
    clock: Arc<dyn Clock>,
    counts: Mutex<HashMap<Key, Count>>,
}

impl Refusals {
    pub(crate) fn new(audit: AuditClient, clock: Arc<dyn Clock>) -> Self {
        Self { audit, clock, counts: Mutex::default() }
    }

    pub(crate) fn note(&self, who: Who, error: &Error, service: &'static str, method: Arc<str>, status: u16) {
        let now = self.clock.now();
        let minute = now.0.div_euclid(MINUTE);
        let (reason, facts) = (error.slug.clone().into_owned(), facts(error));
        let key = Key { who, reason, service, method, status, minute, facts };
        let mut counts = self.counts.lock();
        add(&mut counts, key, 1, now);
    }

    /// Reports every second, and a last time at the stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            self.report().await;
        }
        self.report().await;
    }

    /// Sends what was counted; what the trail does not take is kept for the next time.
    pub(crate) async fn report(&self) {
        let mut taken: Vec<_> = std::mem::take(&mut *self.counts.lock()).into_iter().collect();
        while !taken.is_empty() {
            let batch = taken.split_off(taken.len().saturating_sub(BATCH));
            let refusals = batch.iter().map(|(key, count)| row(key, count)).collect();
            let cx = Cx::system(nobody(), Duration::from_secs(2));
            if let Err(error) = self.audit.refuse(&cx, Refuse { refusals }).await {
                tracing::warn!(error.code = %error.slug, "cannot report refusals, keeping them");
                let mut counts = self.counts.lock();
                for (key, count) in taken.into_iter().chain(batch) {
                    add(&mut counts, key, count.times, count.first);
                }
                return;
            }
        }
    }
}

// What would have been needed, and the policies that forbade it: also those that the caller is not told of.
fn facts(error: &Error) -> BTreeMap<String, String> {
    let fact = |name: &str, detail: &str| {
        let text = error.details.get(detail)?.as_str().filter(|text| !text.is_empty())?;
        Some((name.to_owned(), text.chars().take(LONGEST_FACT).collect()))
    };
    [fact("needs", "needs"), fact("policies", REFUSED)].into_iter().flatten().collect()
}

fn add(counts: &mut HashMap<Key, Count>, mut key: Key, times: u64, first: Timestamp) {
    if counts.len() >= MOST && !counts.contains_key(&key) {
        key.who = Who::Strangers;
        if counts.len() >= 2 * MOST && !counts.contains_key(&key) {
            // Only an outage of the trail over many minutes gets here; the metric still counts it.
            metrics::counter!("edge_refusals_dropped_total").increment(times);
            return;
        }
    }
    let count = counts.entry(key).or_insert(Count { times: 0, first });
    count.times += times;
    count.first = count.first.min(first);
}

fn row(key: &Key, count: &Count) -> Refusal {
    let (tenant, subject, ip) = match &key.who {
        Who::Named(tenant, subject) => (Some(tenant.clone()), Some(subject.clone()), None),
        Who::Address(ip) => (None, None, Some(*ip)),
        Who::Strangers => (None, None, None),
    };
    Refusal {
        tenant,
        subject,
        ip,
        reason: key.reason.clone(),
        service_name: key.service.to_owned(),
        method_name: key.method.to_string(),
        status_code: key.status,
        count: count.times,
        at: count.first,
        facts: key.facts.clone(),
    }
}

#[cfg(test)]
mod tests {
    use nsl_core::Code;

    use super::*;

    #[test]
    fn the_trail_learns_of_the_policies_that_no_caller_reads() {
        let error = Error::new(Code::Forbidden, "auth.policy_denied", "a policy of the tenant forbids this")
            .detail("needs", "storage:read")
            .detail(REFUSED, "night,weekend");
        let told = facts(&error);
        assert_eq!((told["needs"].as_str(), told["policies"].as_str()), ("storage:read", "night,weekend"));
        assert!(
            facts(&Error::invalid("storage.not_found", "").detail(REFUSED, true)).is_empty(),
            "only that it was one"
        );
        let long = facts(&Error::invalid("x", "").detail("needs", "a".repeat(10_000)));
        assert_eq!(long["needs"].len(), LONGEST_FACT);
    }
}
