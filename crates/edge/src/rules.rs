//! The policies of tenants, near enough for every request.
//!
//! Holds: what is known of a tenant's policies is asked for anew within five seconds, and at once when it is heard that
//! they changed. A tenant with policies that cannot be had is refused; one that had none lately goes on for a minute.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use nsl_api::access::{AccessClient, AskRules, RulesReply};
use nsl_core::{Clock, Cx, Deadline, Error, Rules, TenantId, Timestamp, judge};
use tokio::sync::Mutex;

use crate::caller::nobody;

/// From then on one request asks again while others go on.
const RENEW: Duration = Duration::from_secs(4);
const LONGEST: Duration = Duration::from_secs(5);
/// A tenant that had no policies is let in for so long when it cannot be asked whether it has some now.
const NONE_LASTS: Duration = Duration::from_secs(60);
const CALL: Duration = Duration::from_secs(2);
const MOST_BYTES: u64 = 32 * 1024 * 1024;
const TURNS: usize = 64;

#[derive(Clone)]
struct Held {
    rules: Option<Arc<Rules>>,
    at: Timestamp,
    // Someone is asking again already.
    renewing: Arc<AtomicBool>,
}

impl Held {
    /// What lies ahead of a clock that was set back is as old as can be.
    fn is_younger(&self, now: Timestamp, most: Duration) -> bool {
        now >= self.at && now.since(self.at) < most
    }
}

pub(crate) struct RuleBook {
    access: Option<AccessClient>,
    clock: Arc<dyn Clock>,
    held: Cache<TenantId, Held>,
    // Moves on when something is forgotten, so that an answer that was under way by then is not kept.
    forgotten: AtomicU64,
    // Of one tenant, one asks at a time; which turn is its own nobody outside can tell.
    turns: [Mutex<()>; TURNS],
    spread: RandomState,
}

impl RuleBook {
    /// Without a client no tenant has policies.
    pub(crate) fn new(access: Option<AccessClient>, clock: Arc<dyn Clock>) -> Self {
        let weight = |_: &TenantId, held: &Held| {
            let text = held.rules.as_ref().map_or(0, |rules| rules.text.len());
            u32::try_from(text + 256).unwrap_or(u32::MAX)
        };
        let held = Cache::builder().max_capacity(MOST_BYTES).weigher(weight).time_to_idle(2 * NONE_LASTS).build();
        let turns = std::array::from_fn(|_| Mutex::new(()));
        Self { access, clock, held, forgotten: AtomicU64::new(0), turns, spread: RandomState::new() }
    }

    /// What is known without waiting; none when it has to be asked for.
    pub(crate) fn glance(&self, tenant: &TenantId) -> Option<Option<Arc<Rules>>> {
        if self.access.is_none() {
            return Some(None);
        }
        let held = self.held.get(tenant)?;
        let now = self.clock.now();
        let is_good =
            held.is_younger(now, RENEW) || held.is_younger(now, LONGEST) && held.renewing.swap(true, Ordering::AcqRel);
        is_good.then_some(held.rules)
    }

    /// Asks for the policies of a tenant.
    pub(crate) async fn look_up(&self, tenant: &TenantId, deadline: Deadline) -> Result<Option<Arc<Rules>>, Error> {
        let Some(access) = &self.access else { return Ok(None) };
        let turn = self.spread.hash_one(tenant) as usize % TURNS;
        let _turn = self.turns[turn].lock().await;
        let before = self.held.get(tenant);
        if let Some(held) = before.as_ref().filter(|held| held.is_younger(self.clock.now(), RENEW)) {
            return Ok(held.rules.clone());
        }
        let forgotten = self.forgotten.load(Ordering::Acquire);
        let at = self.clock.now();
        let cx = Cx::system(nobody(), deadline.remaining().min(CALL));
        match access.rules_of(&cx, AskRules { tenant: tenant.clone() }).await {
            Ok(found) => {
                let rules = renewed(found, before.and_then(|held| held.rules));
                if self.forgotten.load(Ordering::Acquire) == forgotten {
                    let renewing = Arc::new(AtomicBool::new(false));
                    self.held.insert(tenant.clone(), Held { rules: rules.clone(), at, renewing });
                }
                Ok(rules)
            }
            Err(error) => {
                metrics::counter!("edge_policy_lookups_failed_total").increment(1);
                let now = self.clock.now();
                let lasts = |held: &Held| if held.rules.is_some() { LONGEST } else { NONE_LASTS };
                match before.filter(|held| held.is_younger(now, lasts(held))) {
                    Some(held) => {
                        held.renewing.store(false, Ordering::Release);
                        Ok(held.rules)
                    }
                    None => Err(judge::unavailable().because(error)),
                }
            }
        }
    }

    /// Hears what was taken back; what it remembers of a tenant whose policies changed is asked for anew.
    pub(crate) fn heed(&self, what: &str) {
        if let Some(tenant) = what.strip_prefix("policy:").and_then(|tenant| TenantId::parse(tenant).ok()) {
            self.forgotten.fetch_add(1, Ordering::AcqRel);
            self.held.invalidate(&tenant);
        }
    }
}

/// The same policies stay the same object, with what was made of them.
fn renewed(found: RulesReply, before: Option<Arc<Rules>>) -> Option<Arc<Rules>> {
    let text = found.text?;
    let is_same = |rules: &Arc<Rules>| rules.version == found.version && *rules.text == *text;
    Some(before.filter(is_same).unwrap_or_else(|| Arc::new(Rules::new(text, found.version))))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use async_trait::async_trait;
    use nsl_api::{
        Page,
        access::{
            Access, Decision, Explain, FindPolicy, Holder, ListPermissions, ListPolicies, ListPolicyVersions,
            Permissions, Policy, PolicyReply, PutPolicy, RemovePolicy, WhoCan,
        },
    };
    use nsl_core::{Code, ManualClock, Result};
    use nsl_rpc::{Client, Via};
    use parking_lot::Mutex as Lock;

    use super::*;

    /// Has the policies of one tenant, and can be away.
    #[derive(Default)]
    struct Fake {
        text: Lock<Option<String>>,
        away: AtomicBool,
        asked: AtomicUsize,
    }

    fn not_here<T>() -> Result<T> {
        Err(Error::new(Code::Internal, "internal", "this fake does not do that"))
    }

    #[async_trait]
    impl Access for Fake {
        async fn put_policy(&self, _: &Cx, _: PutPolicy) -> Result<PolicyReply> {
            not_here()
        }
        async fn remove_policy(&self, _: &Cx, _: RemovePolicy) -> Result<Policy> {
            not_here()
        }
        async fn find_policy(&self, _: &Cx, _: FindPolicy) -> Result<Policy> {
            not_here()
        }
        async fn list_policies(&self, _: &Cx, _: ListPolicies) -> Result<Page<Policy>> {
            not_here()
        }
        async fn list_policy_versions(&self, _: &Cx, _: ListPolicyVersions) -> Result<Page<Policy>> {
            not_here()
        }
        async fn explain_access(&self, _: &Cx, _: Explain) -> Result<Decision> {
            not_here()
        }
        async fn who_can(&self, _: &Cx, _: WhoCan) -> Result<Page<Holder>> {
            not_here()
        }
        async fn list_permissions(&self, _: &Cx, _: ListPermissions) -> Result<Permissions> {
            not_here()
        }
        async fn rules_of(&self, _: &Cx, _: AskRules) -> Result<RulesReply> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.away.load(Ordering::SeqCst) {
                return Err(Error::new(Code::Unavailable, "peer.unreachable", "it is away"));
            }
            tokio::task::yield_now().await;
            Ok(RulesReply { text: self.text.lock().clone(), version: 1 })
        }
    }

    fn book(text: Option<&str>) -> (Arc<Fake>, RuleBook, Arc<ManualClock>, TenantId) {
        let fake = Arc::new(Fake { text: Lock::new(text.map(str::to_owned)), ..Fake::default() });
        let clock = Arc::new(ManualClock::at(Timestamp(1_800_000_000_000_000)));
        let book = RuleBook::new(Some(AccessClient::new(Via::Local(fake.clone()))), clock.clone());
        (fake, book, clock, TenantId::parse("ten_1").unwrap())
    }

    /// As a request does.
    async fn of(book: &RuleBook, tenant: &TenantId) -> Result<Option<String>, Error> {
        let rules = match book.glance(tenant) {
            Some(rules) => rules,
            None => book.look_up(tenant, Deadline::within(Duration::from_secs(30))).await?,
        };
        Ok(rules.map(|rules| rules.text.to_string()))
    }

    #[tokio::test]
    async fn many_requests_ask_once_and_again_within_five_seconds() {
        let (fake, book, clock, tenant) = book(Some("a"));
        let both = futures_util::future::join_all((0..50).map(|_| of(&book, &tenant))).await;
        assert!(both.into_iter().all(|found| found.unwrap().as_deref() == Some("a")));
        assert_eq!(fake.asked.load(Ordering::SeqCst), 1);
        let first = book.glance(&tenant).unwrap().unwrap();
        clock.advance(Duration::from_millis(4_100));
        for _ in 0..50 {
            of(&book, &tenant).await.unwrap();
        }
        assert_eq!(fake.asked.load(Ordering::SeqCst), 2);
        assert!(Arc::ptr_eq(&first, &book.glance(&tenant).unwrap().unwrap()), "the same text is read once");
        *fake.text.lock() = Some("b".to_owned());
        clock.advance(LONGEST);
        assert_eq!(of(&book, &tenant).await.unwrap().as_deref(), Some("b"));
        *fake.text.lock() = Some("c".to_owned());
        clock.set(Timestamp(0));
        assert_eq!(of(&book, &tenant).await.unwrap().as_deref(), Some("c"), "no clock that is set back holds on to it");
    }

    #[tokio::test]
    async fn what_changed_is_asked_for_at_once_also_while_an_answer_is_under_way() {
        let (fake, book, _, tenant) = book(None);
        assert_eq!(of(&book, &tenant).await.unwrap(), None);
        *fake.text.lock() = Some("a".to_owned());
        assert_eq!(of(&book, &tenant).await.unwrap(), None, "nobody said so yet");
        for other in ["policy:ten_2", "sid:ten_1", "policy:", "policy: ", "ten_1"] {
            book.heed(other);
            assert_eq!(of(&book, &tenant).await.unwrap(), None, "{other}");
        }
        book.heed("policy:ten_1");
        let (found, ()) = tokio::join!(of(&book, &tenant), async { book.heed("policy:ten_1") });
        assert_eq!(found.unwrap().as_deref(), Some("a"));
        assert!(book.glance(&tenant).is_none(), "what was asked for before is not kept");
    }

    #[tokio::test]
    async fn policies_that_cannot_be_had_refuse_and_none_goes_on_for_a_minute() {
        for (text, lasts) in [(Some("a"), LONGEST), (None, NONE_LASTS)] {
            let (fake, book, clock, tenant) = book(text);
            of(&book, &tenant).await.unwrap();
            fake.away.store(true, Ordering::SeqCst);
            clock.advance(lasts - Duration::from_millis(1));
            assert_eq!(of(&book, &tenant).await.unwrap().as_deref(), text);
            clock.advance(Duration::from_millis(1));
            let refused = of(&book, &tenant).await.unwrap_err();
            assert_eq!((refused.code, &*refused.slug), (Code::Unavailable, "auth.policy_unavailable"));
            fake.away.store(false, Ordering::SeqCst);
            assert_eq!(of(&book, &tenant).await.unwrap().as_deref(), text);
        }
        let (fake, book, _, tenant) = book(None);
        fake.away.store(true, Ordering::SeqCst);
        assert!(of(&book, &tenant).await.is_err(), "who was never asked about may have some");
    }
}
