use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use arc_swap::ArcSwapOption;
use futures_util::StreamExt;
use nsl_core::{Code, Error, Timestamp};
use nsl_token::KeySet;
use tokio::sync::Mutex;

use crate::config::JwtSettings;

const LARGEST_SET: usize = 256 * 1024;
const FETCH_LIMIT: Duration = Duration::from_secs(5);
/// An unknown key name fetches the set again at most this often, however many forgeries come in.
const LEAST_INTERVAL: Duration = Duration::from_secs(30);
/// While there is no set at all, it is asked for this often.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

enum Place {
    File(PathBuf),
    Url(String, reqwest::Client),
}

/// One fetched key set.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) keys: KeySet,
    /// Counts the sets; what was verified with an older one is verified again.
    pub(crate) generation: i64,
    at: Timestamp,
}

/// A token issuer's key set: fetched at first need, again when it is old, and when a token names a key
/// that it lacks. An issuer that cannot be reached is survived for `stale_s` with the set at hand.
pub(crate) struct KeySource {
    place: Place,
    max_age: Duration,
    stale: Duration,
    current: ArcSwapOption<Loaded>,
    fetching: Mutex<()>,
    last_try: AtomicI64,
}

impl KeySource {
    pub(crate) fn new(settings: &JwtSettings) -> anyhow::Result<Self> {
        let jwks = &settings.jwks;
        let place = if jwks.starts_with("http://") || jwks.starts_with("https://") {
            let http = reqwest::Client::builder()
                .timeout(FETCH_LIMIT)
                .redirect(reqwest::redirect::Policy::none())
                .https_only(jwks.starts_with("https://"))
                .build()
                .context("cannot make the client for the token keys")?;
            Place::Url(jwks.clone(), http)
        } else {
            Place::File(jwks.into())
        };
        Ok(Self {
            place,
            max_age: settings.max_age,
            stale: settings.stale,
            current: ArcSwapOption::empty(),
            fetching: Mutex::new(()),
            last_try: AtomicI64::new(i64::MIN),
        })
    }

    /// The number of the set at hand, zero before the first.
    pub(crate) fn generation(&self) -> i64 {
        self.current.load().as_ref().map_or(0, |loaded| loaded.generation)
    }

    /// A set that is fresh enough; fetched by one caller at a time while the others use the old one.
    pub(crate) async fn fresh(&self, now: Timestamp) -> Result<Arc<Loaded>, Error> {
        match self.current.load_full() {
            Some(loaded) if now.since(loaded.at) <= self.max_age => Ok(loaded),
            Some(loaded) => {
                if let Ok(_turn) = self.fetching.try_lock()
                    && self.due(now, LEAST_INTERVAL)
                    && let Some(newer) = self.fetch(now).await
                {
                    return Ok(newer);
                }
                match now.since(loaded.at) <= self.stale {
                    true => Ok(loaded),
                    false => Err(unavailable()),
                }
            }
            None => {
                let _turn = self.fetching.lock().await;
                if let Some(loaded) = self.current.load_full() {
                    return Ok(loaded);
                }
                let fetched = if self.due(now, FIRST_INTERVAL) { self.fetch(now).await } else { None };
                fetched.ok_or_else(unavailable)
            }
        }
    }

    /// A newer set than `seen`, when one is there or may be asked for already.
    pub(crate) async fn newer_than(&self, seen: i64, now: Timestamp) -> Option<Arc<Loaded>> {
        let _turn = self.fetching.lock().await;
        match self.current.load_full() {
            Some(loaded) if loaded.generation > seen => Some(loaded),
            _ if self.due(now, LEAST_INTERVAL) => self.fetch(now).await,
            _ => None,
        }
    }

    fn due(&self, now: Timestamp, interval: Duration) -> bool {
        let last = self.last_try.load(Ordering::Acquire);
        last == i64::MIN || Timestamp(last) > now || now.since(Timestamp(last)) >= interval
    }

    // Only with the turn in hand.
    async fn fetch(&self, now: Timestamp) -> Option<Arc<Loaded>> {
        self.last_try.store(now.0, Ordering::Release);
        let read = async {
            let text = self.read().await?;
            KeySet::parse(&text).map_err(anyhow::Error::msg)
        };
        let outcome = tokio::time::timeout(FETCH_LIMIT, read).await.unwrap_or_else(|_| bail_late());
        match outcome {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "token keys loaded");
                let loaded = Arc::new(Loaded { keys, generation: self.generation() + 1, at: now });
                self.current.store(Some(Arc::clone(&loaded)));
                metrics::counter!("edge_token_key_fetches_total", "outcome" => "loaded").increment(1);
                Some(loaded)
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "cannot load the token keys");
                metrics::counter!("edge_token_key_fetches_total", "outcome" => "failed").increment(1);
                None
            }
        }
    }

    async fn read(&self) -> anyhow::Result<Vec<u8>> {
        match &self.place {
            Place::File(path) => {
                let size =
                    tokio::fs::metadata(path).await.with_context(|| format!("no file {}", path.display()))?.len();
                if size > LARGEST_SET as u64 {
                    bail!("the key set has more than {LARGEST_SET} bytes");
                }
                tokio::fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))
            }
            Place::Url(url, http) => {
                // The URL stays out of the error: it may carry a credential.
                let response = http.get(url).send().await.map_err(reqwest::Error::without_url)?;
                if !response.status().is_success() {
                    bail!("the issuer answered {}", response.status());
                }
                let mut chunks = response.bytes_stream();
                let mut text = Vec::new();
                while let Some(chunk) = chunks.next().await {
                    text.extend_from_slice(&chunk.map_err(reqwest::Error::without_url)?);
                    if text.len() > LARGEST_SET {
                        bail!("the key set has more than {LARGEST_SET} bytes");
                    }
                }
                Ok(text)
            }
        }
    }
}

fn bail_late<T>() -> anyhow::Result<T> {
    bail!("the issuer did not answer in time")
}

fn unavailable() -> Error {
    Error::new(Code::Unavailable, "auth.unavailable", "tokens cannot be checked now")
        .retry_after(Duration::from_secs(2))
}
