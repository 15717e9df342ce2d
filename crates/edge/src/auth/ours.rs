use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use nsl_api::sessions::{RevokedSince, SessionsClient, TokenKeySet, TokenKeys};
use nsl_core::{Clock, Cx, Error, Result};
use nsl_token::{ACCESS, Expected, KeySet, Presented, Unfit};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    known::Known,
    refused::{token_invalid, token_revoked, unavailable},
    revoked::Revoked,
};
use crate::caller::nobody;

/// How often it is asked what was revoked.
const EVERY: Duration = Duration::from_millis(250);
/// Without news for so long no token of ours is let in: it may have been taken back.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);
/// New keys are published long before they sign.
const KEYS_EVERY: Duration = Duration::from_secs(30);
/// An unknown key name fetches the set again at most this often, however many forgeries come in.
const KEYS_LEAST: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_secs(10);
const CALL: Duration = Duration::from_secs(2);

/// What our own tokens are checked with.
pub(super) struct Issuer {
    pub(super) name: String,
    audience: String,
    keys: KeySet,
    text: String,
    /// Counts the sets; what was verified with an older one is verified again.
    pub(super) generation: i64,
}

impl Issuer {
    fn expected(&self) -> Expected<'_> {
        Expected {
            issuer: &self.name,
            audience: &self.audience,
            tenant_claim: "tenant",
            scope_claim: "scope",
            ours: true,
        }
    }
}

/// Hears each thing that was taken back; also what concerns no token.
pub(super) type Heed = Box<dyn Fn(&str) + Send + Sync>;

/// The tokens that the platform issues itself: their keys, and which of them were taken back.
pub(super) struct Ours {
    sessions: SessionsClient,
    clock: Arc<dyn Clock>,
    issuer: ArcSwapOption<Issuer>,
    revoked: Revoked,
    heed: Heed,
    start: Instant,
    // Milliseconds from the start to the question whose answer brought the last news, plus one; 0 for none.
    heard: AtomicU64,
    asking: Mutex<Option<Instant>>,
    fetching: Mutex<Option<Instant>>,
}

impl Ours {
    pub(super) fn new(sessions: SessionsClient, clock: Arc<dyn Clock>, heed: Heed) -> Self {
        Self {
            sessions,
            clock,
            issuer: ArcSwapOption::empty(),
            revoked: Revoked::default(),
            heed,
            start: Instant::now(),
            heard: AtomicU64::new(0),
            asking: Mutex::default(),
            fetching: Mutex::default(),
        }
    }

    pub(super) fn issuer(&self) -> Option<Arc<Issuer>> {
        self.issuer.load_full()
    }

    pub(super) fn generation(&self) -> i64 {
        self.issuer.load().as_ref().map_or(0, |issuer| issuer.generation)
    }

    /// The number of the newest revocation; what was let in under it need not be looked up again.
    pub(super) fn head(&self) -> i64 {
        self.revoked.head()
    }

    /// Whether what was taken back is known up to now.
    pub(super) fn is_current(&self) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        heard > 0 && self.start.elapsed() <= Duration::from_millis(heard - 1) + LONGEST_SILENCE
    }

    /// Whether what was let in under the revocation `cleared` has been taken back since.
    pub(super) fn refuses_since(&self, cleared: &AtomicI64, known: &Known) -> bool {
        self.revoked.refuses_since(cleared, known)
    }

    /// The issuer, asked for where it is not known yet.
    pub(super) async fn find(&self) -> Result<Arc<Issuer>> {
        match self.issuer() {
            Some(issuer) => Ok(issuer),
            None => self.newer_than(0).await.ok_or_else(unavailable),
        }
    }

    /// Checks a token of ours that nobody vouched for yet; gives the generation of the keys with it.
    pub(super) async fn check(&self, token: &str, issuer: Arc<Issuer>) -> Result<(Known, i64)> {
        let presented = Presented::parse(token, &[ACCESS]).map_err(|unfit| token_invalid(Some(unfit)))?;
        let now = self.clock.now();
        let mut issuer = issuer;
        let mut outcome = presented.check(&issuer.keys, &issuer.expected(), now);
        if outcome == Err(Unfit::UnknownKey)
            && let Some(newer) = self.newer_than(issuer.generation).await
        {
            issuer = newer;
            outcome = presented.check(&issuer.keys, &issuer.expected(), now);
        }
        let known = Known::of_token(outcome.map_err(|unfit| token_invalid(Some(unfit)))?, true);
        if !self.is_current() {
            self.catch_up().await?;
        }
        if self.revoked.refuses(&known) {
            return Err(token_revoked());
        }
        Ok((known, issuer.generation))
    }

    /// Asks for news out of turn: one caller does, and not more often than usual.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let mut asked = self.asking.lock().await;
        if self.is_current() {
            return Ok(());
        }
        if asked.is_some_and(|at| at.elapsed() < EVERY) {
            return Err(unavailable());
        }
        self.ask(&mut asked).await.map_err(|error| unavailable().because(error))?;
        if self.is_current() { Ok(()) } else { Err(unavailable()) }
    }

    /// Keeps up with revocations and keys until the stop.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut keys_at, mut forgot_at) = (None, Instant::now());
        let mut silent = false;
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            let outcome = {
                let mut asked = self.asking.lock().await;
                self.ask(&mut asked).await
            };
            match outcome {
                Ok(()) => silent = false,
                Err(error) => {
                    metrics::counter!("edge_revocation_polls_failed_total").increment(1);
                    if !std::mem::replace(&mut silent, true) {
                        tracing::warn!(error.code = %error.slug, "cannot learn what was revoked, asking on");
                    }
                }
            }
            if keys_at.is_none_or(|at: Instant| at.elapsed() >= KEYS_EVERY) {
                let mut fetched = self.fetching.lock().await;
                *fetched = Some(Instant::now());
                keys_at = self.fetch().await.is_some().then(Instant::now);
            }
            if forgot_at.elapsed() >= FORGET_EVERY {
                forgot_at = Instant::now();
                self.revoked.forget(self.clock.now());
            }
        }
    }

    // Only with the turn in hand. News counts from when it was asked for.
    async fn ask(&self, asked: &mut Option<Instant>) -> Result<()> {
        let began = Instant::now();
        *asked = Some(began);
        loop {
            let since = RevokedSince { seq: self.revoked.head() };
            let news = self.sessions.revoked_since(&Cx::system(nobody(), CALL), since).await?;
            let more = news.more && !news.items.is_empty();
            news.items.iter().for_each(|item| (self.heed)(&item.what));
            self.revoked.add(news.items);
            if !more {
                break;
            }
        }
        let heard = began.duration_since(self.start).as_millis() as u64 + 1;
        self.heard.fetch_max(heard, Ordering::AcqRel);
        Ok(())
    }

    /// A newer set than `seen`, when one is there or may be asked for already.
    async fn newer_than(&self, seen: i64) -> Option<Arc<Issuer>> {
        let mut fetched = self.fetching.lock().await;
        match self.issuer() {
            Some(issuer) if issuer.generation > seen => return Some(issuer),
            _ if fetched.is_some_and(|at| at.elapsed() < KEYS_LEAST) => return None,
            _ => {}
        }
        *fetched = Some(Instant::now());
        self.fetch().await.filter(|issuer| issuer.generation > seen)
    }

    async fn fetch(&self) -> Option<Arc<Issuer>> {
        let found = self.sessions.token_keys(&Cx::system(nobody(), CALL), TokenKeys {}).await;
        let read = found.and_then(|TokenKeySet { issuer, audience, jwks }| {
            let keys = KeySet::parse(jwks.as_bytes()).map_err(|flaw| Error::internal(anyhow::anyhow!(flaw)))?;
            Ok(Issuer { name: issuer, audience, keys, text: jwks, generation: self.generation() + 1 })
        });
        match read {
            Ok(issuer) => {
                if let Some(held) = self.issuer()
                    && (&held.name, &held.audience, &held.text) == (&issuer.name, &issuer.audience, &issuer.text)
                {
                    return Some(held);
                }
                tracing::info!(keys = issuer.keys.len(), "our token keys loaded");
                let issuer = Arc::new(issuer);
                self.issuer.store(Some(Arc::clone(&issuer)));
                Some(issuer)
            }
            Err(error) => {
                tracing::debug!(error.code = %error.slug, "cannot load our token keys");
                None
            }
        }
    }
}
