//! Who calls: an API key, a token, a client certificate, or nobody.

mod holder;
mod known;
mod ours;
mod refused;
mod revoked;
mod shown;
mod source;
#[cfg(test)]
mod speed;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, request};
use moka::sync::Cache;
use nsl_api::{
    identity::{Authenticate, IdentityClient},
    sessions::SessionsClient,
};
use nsl_core::{Clock, Code, Cx, Deadline, Error, Timestamp, Trace};
use nsl_token::{Expected, Presented, Unfit};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub(crate) use self::{holder::Asked, known::Known};
use self::{
    holder::Proofs,
    ours::{Heed, Issuer, Ours},
    refused::{key_unknown, token_invalid, token_revoked, unavailable},
    shown::Shown,
    source::KeySource,
};
use crate::{
    caller::nobody,
    config::{AuthSettings, JwtSettings},
};

type Digest = [u8; 32];

#[derive(Clone)]
struct HeldKey {
    known: Arc<Known>,
    at: Timestamp,
    // Someone is asking again already.
    renewing: Arc<AtomicBool>,
    cleared: Arc<AtomicI64>,
}

#[derive(Clone)]
struct HeldToken {
    known: Arc<Known>,
    generation: i64,
    // For one of ours: the newest revocation that it was let in under.
    cleared: Option<Arc<AtomicI64>>,
}

/// What can be said of a request's credential without waiting.
pub(crate) enum Glance<'a> {
    Nobody,
    Known(Arc<Known>),
    /// It must be looked up. `proven`: it was valid here not long ago, so it is no guess.
    Unknown {
        ask: Ask<'a>,
        proven: bool,
    },
}

pub(crate) enum Ask<'a> {
    Key(Digest),
    Token(Digest, &'a str),
}

/// Checks credentials and remembers the valid ones for a short time, in bounded memory.
pub(crate) struct Authenticator {
    identity: IdentityClient,
    clock: Arc<dyn Clock>,
    keys: Cache<Digest, HeldKey>,
    tokens: Cache<Digest, HeldToken>,
    proven: Cache<Digest, ()>,
    key_ttl: Duration,
    // Moves on when a key is forgotten, so that an answer that was under way by then is not kept.
    forgotten: AtomicU64,
    lookups: Semaphore,
    ours: Option<Ours>,
    jwt: Option<(JwtSettings, KeySource)>,
    proofs: Proofs,
    certificates: HashMap<String, Arc<Known>>,
}

const MOST_REMEMBERED: u64 = 100_000;
const MOST_LOOKUPS: usize = 256;
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);
/// The kinds of token that an issuer from outside may give: many call an access token a plain one.
const FOREIGN: [&str; 2] = ["jwt", "at+jwt"];

impl Authenticator {
    pub(crate) fn new(
        settings: &AuthSettings,
        identity: IdentityClient,
        sessions: Option<SessionsClient>,
        clock: Arc<dyn Clock>,
        heed: Heed,
    ) -> anyhow::Result<Self> {
        let jwt = match settings.jwt.jwks.is_empty() {
            true => None,
            false => Some((settings.jwt.clone(), KeySource::new(&settings.jwt)?)),
        };
        Ok(Self {
            identity,
            ours: sessions.map(|sessions| Ours::new(sessions, Arc::clone(&clock), heed)),
            clock,
            keys: remember(settings.remember),
            tokens: remember(Duration::from_secs(300)),
            proven: remember(Duration::from_secs(3_600)),
            key_ttl: settings.remember,
            forgotten: AtomicU64::new(0),
            lookups: Semaphore::new(MOST_LOOKUPS),
            jwt,
            proofs: Proofs::new(),
            certificates: settings.certificate_names().map_err(anyhow::Error::msg)?,
        })
    }

    /// Keeps up with what was taken back, until the stop.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        if let Some(ours) = &self.ours {
            ours.run(stop).await;
        }
    }

    /// Forgets an API key by its digest; the next request with it is looked up again.
    pub(crate) fn forget(&self, digest: &str) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        let mut bytes = Digest::default();
        if hex::decode_to_slice(digest, &mut bytes).is_ok() {
            self.keys.invalidate(&bytes);
            self.proven.invalidate(&bytes);
        }
    }

    /// Looks at the headers and, when they show nothing, at the names of the client certificate.
    pub(crate) fn glance<'a>(&self, headers: &'a HeaderMap, certificate: &[String]) -> Result<Glance<'a>, Error> {
        let now = self.clock.now();
        match Shown::of(headers)? {
            Shown::Nothing => {
                let named = certificate.iter().find_map(|name| self.certificates.get(name));
                Ok(named.map_or(Glance::Nobody, |known| Glance::Known(Arc::clone(known))))
            }
            Shown::Key(key) => {
                let digest = sha256(key.as_bytes());
                if let Some(held) = self.keys.get(&digest)
                    && let Some(known) = self.current(&held, now)
                {
                    let due = now.since(held.at) * 5 > self.key_ttl * 4;
                    if !due || held.renewing.swap(true, Ordering::AcqRel) {
                        return Ok(Glance::Known(known));
                    }
                    return Ok(Glance::Unknown { ask: Ask::Key(digest), proven: true });
                }
                Ok(Glance::Unknown { ask: Ask::Key(digest), proven: self.proven.contains_key(&digest) })
            }
            Shown::Token(token) => {
                let digest = sha256(token.as_bytes());
                match self.tokens.get(&digest) {
                    Some(held) if self.vouches(&held, now)? => Ok(Glance::Known(held.known)),
                    held => Ok(Glance::Unknown { ask: Ask::Token(digest, token), proven: held.is_some() }),
                }
            }
        }
    }

    /// Looks a credential up. Unreachable services are `unavailable`, never `unauthenticated`.
    pub(crate) async fn look_up(&self, ask: Ask<'_>, trace: &Trace, deadline: Deadline) -> Result<Arc<Known>, Error> {
        match ask {
            Ask::Key(digest) => self.look_up_key(digest, trace, deadline).await,
            Ask::Token(digest, token) => self.check_token(digest, token).await,
        }
    }

    /// Checks that the request may show what it showed: a token that is bound to a key needs a proof.
    pub(crate) fn check_holder(&self, known: &Known, head: &request::Parts, secure: bool) -> Result<(), Error> {
        let issuer = known.bound_to.as_ref().and_then(|_| self.ours.as_ref()?.issuer());
        let origin = issuer.as_ref().map(|issuer| issuer.name.as_str());
        self.proofs.check(known, head, secure, origin, self.clock.now())
    }

    async fn look_up_key(&self, digest: Digest, trace: &Trace, deadline: Deadline) -> Result<Arc<Known>, Error> {
        let Ok(_turn) = self.lookups.try_acquire() else { return Err(unavailable()) };
        let forgotten = self.forgotten.load(Ordering::Acquire);
        let mut cx = Cx::system(nobody(), deadline.remaining().min(LOOKUP_LIMIT));
        cx.trace = trace.clone();
        let asked_at = self.clock.now();
        // Read before the question, so that what comes in meanwhile is looked up the next time.
        let head = self.ours.as_ref().map_or(0, Ours::head);
        match self.identity.authenticate(&cx, Authenticate { digest: hex::encode(digest) }).await {
            Ok(found) => {
                let known = Arc::new(Known::of_key(found));
                if !in_force(&known, self.clock.now()) {
                    return Err(key_unknown());
                }
                if self.forgotten.load(Ordering::Acquire) == forgotten {
                    let held = HeldKey {
                        known: Arc::clone(&known),
                        at: asked_at,
                        renewing: Arc::default(),
                        cleared: Arc::new(AtomicI64::new(head)),
                    };
                    self.keys.insert(digest, held);
                    self.proven.insert(digest, ());
                }
                Ok(known)
            }
            Err(error) if says_unknown(&error) => {
                self.keys.invalidate(&digest);
                self.proven.invalidate(&digest);
                Err(key_unknown())
            }
            // What was asked for early is still good until its time is over.
            Err(error) => match self.keys.get(&digest).and_then(|held| self.current(&held, self.clock.now())) {
                Some(known) => Ok(known),
                None => Err(unavailable().because(error)),
            },
        }
    }

    async fn check_token(&self, digest: Digest, token: &str) -> Result<Arc<Known>, Error> {
        let presented = Presented::parse(token, &FOREIGN).map_err(|unfit| token_invalid(Some(unfit)))?;
        let held = match self.is_ours(&presented).await? {
            Some((ours, issuer)) => {
                // Read before the check, so that what comes in meanwhile is looked up the next time.
                let head = ours.head();
                let (known, generation) = ours.check(token, issuer).await?;
                HeldToken { known: Arc::new(known), generation, cleared: Some(Arc::new(AtomicI64::new(head))) }
            }
            None => {
                let (known, generation) = self.check_foreign(&presented).await?;
                HeldToken { known: Arc::new(known), generation, cleared: None }
            }
        };
        let known = Arc::clone(&held.known);
        self.tokens.insert(digest, held);
        Ok(known)
    }

    // Only chooses the keys: what the token names is compared again once its signature is known to be right.
    async fn is_ours(&self, presented: &Presented<'_>) -> Result<Option<(&Ours, Arc<Issuer>)>, Error> {
        let (Some(ours), Some(named)) = (&self.ours, presented.claimed_issuer()) else { return Ok(None) };
        let is_foreign = self.jwt.as_ref().is_some_and(|(settings, _)| settings.issuer == named);
        let issuer = match ours.issuer() {
            None if is_foreign => return Ok(None),
            None => ours.find().await?,
            Some(issuer) => issuer,
        };
        Ok((issuer.name == named).then_some((ours, issuer)))
    }

    async fn check_foreign(&self, presented: &Presented<'_>) -> Result<(Known, i64), Error> {
        let Some((settings, source)) = &self.jwt else { return Err(token_invalid(None)) };
        let now = self.clock.now();
        let expected = Expected {
            issuer: &settings.issuer,
            audience: &settings.audience,
            tenant_claim: &settings.tenant_claim,
            scope_claim: &settings.scope_claim,
            ours: false,
        };
        let mut set = source.fresh(now).await?;
        let mut outcome = presented.check(&set.keys, &expected, now);
        if outcome == Err(Unfit::UnknownKey)
            && let Some(newer) = source.newer_than(set.generation, now).await
        {
            set = newer;
            outcome = presented.check(&set.keys, &expected, now);
        }
        let checked = outcome.map_err(|unfit| token_invalid(Some(unfit)))?;
        Ok((Known::of_token(checked, false), set.generation))
    }

    // Whether a remembered token is as good as when it was checked. One of ours is refused once it was taken
    // back, and nobody knows whether it was without news.
    fn vouches(&self, held: &HeldToken, now: Timestamp) -> Result<bool, Error> {
        let (Some(cleared), Some(ours)) = (&held.cleared, &self.ours) else {
            let generation = self.jwt.as_ref().map_or(0, |(_, source)| source.generation());
            return Ok(held.generation == generation && in_force(&held.known, now));
        };
        if held.generation != ours.generation() || !in_force(&held.known, now) || !ours.is_current() {
            return Ok(false);
        }
        if ours.refuses_since(cleared, &held.known) { Err(token_revoked()) } else { Ok(true) }
    }

    fn current(&self, held: &HeldKey, now: Timestamp) -> Option<Arc<Known>> {
        let changed = self.ours.as_ref().is_some_and(|ours| ours.refuses_since(&held.cleared, &held.known));
        let fresh = !changed && now.since(held.at) < self.key_ttl && in_force(&held.known, now);
        fresh.then(|| Arc::clone(&held.known))
    }
}

fn remember<V: Clone + Send + Sync + 'static>(ttl: Duration) -> Cache<Digest, V> {
    Cache::builder().max_capacity(MOST_REMEMBERED).time_to_live(ttl).build()
}

// A peer that does not trust this process is "unauthenticated", too: that says nothing about the key.
fn says_unknown(error: &Error) -> bool {
    matches!(error.code, Code::Unauthenticated | Code::NotFound) && !error.slug.starts_with("peer.")
}

fn in_force(known: &Known, now: Timestamp) -> bool {
    known.expires_at.is_none_or(|end| now < end)
}

fn sha256(bytes: &[u8]) -> Digest {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
