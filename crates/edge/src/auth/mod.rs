//! Who calls: an API key, a token, a client certificate, or nobody.

mod jwks;
mod jwt;
mod shown;
mod source;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use moka::sync::Cache;
use nsl_api::identity::{Authenticate, IdentityClient};
use nsl_core::{Clock, Code, Cx, Deadline, Error, Principal, TenantId, Timestamp, Trace};
use tokio::sync::Semaphore;

use self::{
    jwt::{Presented, Unfit},
    shown::Shown,
    source::KeySource,
};
use crate::{
    caller::nobody,
    config::{AuthSettings, JwtSettings},
};

/// What a valid credential stands for.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) tenant: TenantId,
    pub(crate) principal: Principal,
    pub(crate) expires_at: Option<Timestamp>,
    /// Whose budget its requests are charged to: one for all credentials of a subject.
    pub(crate) budget: String,
}

impl Known {
    pub(crate) fn new(tenant: TenantId, principal: Principal, expires_at: Option<Timestamp>) -> Self {
        let budget = format!("p/{tenant}/{}", principal.subject);
        Self { tenant, principal, expires_at, budget }
    }
}

type Digest = [u8; 32];

#[derive(Clone)]
struct HeldKey {
    known: Arc<Known>,
    at: Timestamp,
    // Someone is asking again already.
    renewing: Arc<AtomicBool>,
}

#[derive(Clone)]
struct HeldToken {
    known: Arc<Known>,
    generation: i64,
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
    jwt: Option<(JwtSettings, KeySource)>,
    certificates: HashMap<String, Arc<Known>>,
}

const MOST_REMEMBERED: u64 = 100_000;
const MOST_LOOKUPS: usize = 256;
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

impl Authenticator {
    pub(crate) fn new(
        settings: &AuthSettings,
        identity: IdentityClient,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let jwt = match settings.jwt.jwks.is_empty() {
            true => None,
            false => Some((settings.jwt.clone(), KeySource::new(&settings.jwt)?)),
        };
        Ok(Self {
            identity,
            clock,
            keys: remember(settings.remember),
            tokens: remember(Duration::from_secs(300)),
            proven: remember(Duration::from_secs(3_600)),
            key_ttl: settings.remember,
            forgotten: AtomicU64::new(0),
            lookups: Semaphore::new(MOST_LOOKUPS),
            jwt,
            certificates: settings.certificate_names().map_err(anyhow::Error::msg)?,
        })
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
                let generation = self.jwt.as_ref().map_or(0, |(_, source)| source.generation());
                match self.tokens.get(&digest) {
                    Some(held) if held.generation == generation && in_force(&held.known, now) => {
                        Ok(Glance::Known(held.known))
                    }
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

    async fn look_up_key(&self, digest: Digest, trace: &Trace, deadline: Deadline) -> Result<Arc<Known>, Error> {
        let Ok(_turn) = self.lookups.try_acquire() else { return Err(unavailable()) };
        let forgotten = self.forgotten.load(Ordering::Acquire);
        let mut cx = Cx::system(nobody(), deadline.remaining().min(LOOKUP_LIMIT));
        cx.trace = trace.clone();
        let asked_at = self.clock.now();
        match self.identity.authenticate(&cx, Authenticate { digest: hex::encode(digest) }).await {
            Ok(found) => {
                let known = Arc::new(Known::new(found.tenant, found.principal, found.expires_at));
                if !in_force(&known, self.clock.now()) {
                    return Err(key_unknown());
                }
                if self.forgotten.load(Ordering::Acquire) == forgotten {
                    let held =
                        HeldKey { known: Arc::clone(&known), at: asked_at, renewing: Arc::new(AtomicBool::new(false)) };
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
        let Some((settings, source)) = &self.jwt else { return Err(token_invalid(None)) };
        let presented = Presented::parse(token).map_err(|unfit| token_invalid(Some(unfit)))?;
        let now = self.clock.now();
        let mut set = source.fresh(now).await?;
        let mut outcome = presented.check(&set.keys, settings, now);
        if outcome.as_ref().err() == Some(&Unfit::UnknownKey)
            && let Some(newer) = source.newer_than(set.generation, now).await
        {
            set = newer;
            outcome = presented.check(&set.keys, settings, now);
        }
        let known = Arc::new(outcome.map_err(|unfit| token_invalid(Some(unfit)))?);
        self.tokens.insert(digest, HeldToken { known: Arc::clone(&known), generation: set.generation });
        Ok(known)
    }

    fn current(&self, held: &HeldKey, now: Timestamp) -> Option<Arc<Known>> {
        let fresh = now.since(held.at) < self.key_ttl && in_force(&held.known, now);
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

fn key_unknown() -> Error {
    Error::new(Code::Unauthenticated, "auth.key_unknown", "the API key is not valid")
}

fn unavailable() -> Error {
    Error::new(Code::Unavailable, "auth.unavailable", "credentials cannot be checked now")
        .retry_after(Duration::from_secs(1))
}

// What was wrong is only told of a token whose signature was right: it is its holder who asks.
fn token_invalid(unfit: Option<Unfit>) -> Error {
    if let Some(unfit) = unfit {
        tracing::debug!(?unfit, "token refused");
    }
    match unfit {
        Some(Unfit::Expired) => Error::new(Code::Unauthenticated, "auth.token_expired", "the token has expired"),
        Some(Unfit::Claim(name)) => {
            Error::new(Code::Unauthenticated, "auth.token_invalid", "the token is not valid here").detail("claim", name)
        }
        _ => Error::new(Code::Unauthenticated, "auth.token_invalid", "the token is not valid"),
    }
}
