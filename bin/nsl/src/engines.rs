use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};

use anyhow::Context;
use nsl_core::{Clock, ProcessId, SystemClock};
use nsl_engine::{blobs::Blobs, cache::Cache, limits::Limits, queue::Queue, redis::Redis, secrets::Secrets};
use nsl_keyring::{Keyring, SecretsRoot};
use nsl_kit::{Environment, Profile, Tasks};
use nsl_ledger::{ChainKey, Ledger};
use nsl_rpc::Problems;
use nsl_sql::{Db, Migrations};

use crate::{chains::Chains, settings::Settings};

/// The tables of all that the platform consists of, in the order in which they build on each other.
pub(crate) static MIGRATIONS: [&Migrations; 8] = [
    &nsl_sql::BASE,
    &nsl_engine::queue::MIGRATIONS,
    &nsl_keyring::MIGRATIONS,
    &nsl_ledger::MIGRATIONS,
    &nsl_identity::MIGRATIONS,
    &nsl_storage::MIGRATIONS,
    &nsl_relay::MIGRATIONS,
    &nsl_contracts::MIGRATIONS,
];

const SECRET_BYTES: usize = 32;

/// What to do about a schema that is not up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Bring it up to date.
    Migrate,
    /// Refuse it.
    Check,
}

/// The engines of one process, chosen by its settings.
#[derive(Clone)]
pub(crate) struct Engines {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secrets: Secrets,
    pub(crate) redis: Option<Redis>,
    pub(crate) db: Db,
    pub(crate) keyring: Keyring,
    pub(crate) chain_key: ChainKey,
    pub(crate) ledger: Ledger,
    pub(crate) blobs: Blobs,
    pub(crate) cache: Cache,
    pub(crate) limits: Limits,
    pub(crate) queue: Queue,
    pub(crate) chains: Chains,
    pub(crate) process: ProcessId,
}

/// Gathers what is wrong, so that an operator hears of all of it.
#[derive(Default)]
pub(crate) struct Wrong(Vec<String>);

impl Wrong {
    pub(crate) fn keep<T, E: Into<anyhow::Error>>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.0.push(format!("{what}: {:#}", error.into()))).ok()
    }

    pub(crate) fn settle<T>(self, whole: Option<T>) -> anyhow::Result<T> {
        match whole {
            Some(whole) if self.0.is_empty() => Ok(whole),
            _ => Err(Problems(self.0).into()),
        }
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn secrets(settings: &Settings, profile: Profile, environment: &Environment) -> anyhow::Result<Secrets> {
    let variables = environment.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let generate = profile == Profile::Development;
    Secrets::build(&settings.secrets, &settings.data_dir, generate, &variables).context("opening the secrets")
}

/// The key that signs the audit chains' heads.
pub(crate) async fn chain_key(secrets: &Secrets) -> anyhow::Result<ChainKey> {
    secrets.ensure("audit", SECRET_BYTES).await?;
    let secret = secrets.get_and_check_all("audit").await?;
    anyhow::ensure!(secret.expose().len() >= SECRET_BYTES, "the secret audit is shorter than {SECRET_BYTES} bytes");
    Ok(ChainKey::new(&secret))
}

/// Makes the data directory, closed to others, when it is not there.
pub(crate) fn prepare(data_dir: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.with_context(|| format!("making the data directory {}", data_dir.display()))
}

impl Engines {
    /// Opens them all, or says everything that is in the way.
    pub(crate) async fn open(
        settings: &Settings,
        profile: Profile,
        environment: &Environment,
        schema: Schema,
    ) -> anyhow::Result<Self> {
        prepare(&settings.data_dir)?;
        let clock = clock();
        let mut wrong = Wrong::default();
        let redis = match settings.redis.url.is_empty() {
            true => Some(None),
            false => wrong.keep("opening Redis", Redis::new(&settings.redis)).map(Some),
        };
        let blobs = wrong.keep("opening the blobs", Blobs::build(&settings.blobs, &settings.data_dir));
        let secrets = wrong.keep("starting", self::secrets(settings, profile, environment));
        let (mut root, mut chain_key) = (None, None);
        if let Some(secrets) = &secrets {
            root = wrong.keep("opening the root key", SecretsRoot::open(secrets.clone()).await);
            chain_key = wrong.keep("opening the audit key", self::chain_key(secrets).await);
        }
        let db = match &chain_key {
            Some(key) => wrong.keep("opening SQL", database(settings, &clock, key, schema).await),
            None => None,
        };
        let chains = wrong.keep("opening the chains", Chains::open(&settings.chain));
        let all = (redis, blobs, secrets, root, chain_key, db);
        let whole = match all {
            (Some(redis), Some(blobs), Some(secrets), Some(root), Some(chain_key), Some(db)) => {
                let keyring = Keyring::new(db.clone(), Arc::new(root), Arc::clone(&clock));
                let process = ProcessId::fresh();
                let ledger =
                    Ledger::new(db.clone(), keyring.clone(), Arc::clone(&clock), chain_key.clone(), process.clone());
                let cache = Cache::build(&settings.cache, redis.as_ref(), Arc::clone(&clock));
                let limits = Limits::build(&settings.limits.engine, redis.as_ref(), Arc::clone(&clock));
                let queue = Queue::build(&settings.queue, db.clone(), Arc::clone(&clock));
                let cache = wrong.keep("opening the cache", cache);
                let limits = wrong.keep("opening the limits", limits);
                let queue = wrong.keep("opening the queue", queue);
                cache.zip(limits).zip(queue).zip(chains).map(|(((cache, limits), queue), chains)| Self {
                    clock,
                    secrets,
                    redis,
                    db,
                    keyring,
                    chain_key,
                    ledger,
                    blobs,
                    cache,
                    limits,
                    queue,
                    chains,
                    process,
                })
            }
            _ => None,
        };
        wrong.settle(whole)
    }

    /// Starts what the engines do in the background.
    pub(crate) fn run(&self, tasks: &Tasks) {
        if let Some(redis) = self.redis.clone() {
            tasks.supervise("redis", move |stop| {
                let redis = redis.clone();
                async move {
                    redis.run(stop).await;
                    Ok(())
                }
            });
        }
        let cache = self.cache.clone();
        tasks.supervise("cache", move |stop| {
            let cache = cache.clone();
            async move {
                cache.run(stop).await;
                Ok(())
            }
        });
        self.chains.run(tasks);
        let queue = self.queue.clone();
        tasks.supervise("queue", move |stop| {
            let queue = queue.clone();
            async move {
                queue.run(stop).await;
                Ok(())
            }
        });
        let keyring = self.keyring.clone();
        tasks.supervise("keyring: rewrap", move |stop| rewrap(keyring.clone(), stop));
        let (db, clock) = (self.db.clone(), Arc::clone(&self.clock));
        tasks.supervise("sql: old outcomes", move |stop| forget_outcomes(db.clone(), Arc::clone(&clock), stop));
    }
}

async fn database(settings: &Settings, clock: &Arc<dyn Clock>, key: &ChainKey, schema: Schema) -> anyhow::Result<Db> {
    if schema == Schema::Migrate {
        settings.sql.migrate(&settings.data_dir, &**clock, &MIGRATIONS).await?;
    }
    let closer = || Some(nsl_ledger::closer(key));
    let db = Db::open(&settings.sql, &settings.data_dir, Arc::clone(clock), closer).await?;
    db.check_schema(&MIGRATIONS).await?;
    Ok(db)
}

/// Moves data keys under the newest root key, soon after a rotation and a few at a time.
async fn rewrap(keyring: Keyring, stop: tokio_util::sync::CancellationToken) -> anyhow::Result<()> {
    const EVERY: std::time::Duration = std::time::Duration::from_secs(30);
    const AT_ONCE: i64 = 500;
    loop {
        match keyring.rewrap(AT_ONCE).await {
            Ok(0) => {}
            Ok(moved) => {
                tracing::info!(moved, "data keys were put under the newest root key");
                continue;
            }
            Err(error) => tracing::warn!(%error, cause = ?error.cause(), "data keys could not be rewrapped"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return Ok(());
        }
    }
}

/// Lets go of the outcomes that idempotency keys no longer reach back to.
async fn forget_outcomes(
    db: Db,
    clock: Arc<dyn Clock>,
    stop: tokio_util::sync::CancellationToken,
) -> anyhow::Result<()> {
    const EVERY: std::time::Duration = std::time::Duration::from_secs(600);
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        if let Err(error) = db.forget_outcomes(clock.now()).await {
            tracing::warn!(%error, cause = ?error.cause(), "old outcomes could not be forgotten");
        }
    }
    Ok(())
}
