//! A store on each engine, with real keys, ledger, cache and blobs.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use nsl_api::storage::{Access, Address, Chain, Get, Item, Put, Storage, StorageClient, Stored, Value};
use nsl_core::{Cx, ManualClock, PrincipalKind, ProcessId, Result, Secret, Source, Subject, TenantId, Timestamp};
use nsl_engine::{
    blobs::{Blobs, BlobsConfig},
    cache::{Cache, CacheConfig, CacheEngine},
    secrets::{Secrets, SecretsConfig, SecretsEngine},
};
use nsl_keyring::{Keyring, SecretsRoot};
use nsl_ledger::{ChainKey, Ledger, Search, closer, verify};
use nsl_rpc::{Client, Via};
use nsl_sql::{BASE, Config as Sql, Db, EngineKind, Scope, Statement, Value as Cell};
use nsl_storage::{Built, Config, Parts, Quota, Tick};

pub(crate) struct Ground {
    pub(crate) db: Db,
    pub(crate) built: Built,
    pub(crate) client: StorageClient,
    pub(crate) keyring: Keyring,
    pub(crate) ledger: Ledger,
    pub(crate) secrets: Secrets,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) dir: Arc<tempfile::TempDir>,
    pub(crate) database: Option<Arc<nsl_sandbox::Database>>,
    chain_key: ChainKey,
}

/// Runs the test on SQLite, then on PostgreSQL.
pub(crate) async fn each(test: impl AsyncFn(Ground)) {
    test(Ground::fresh(None).await).await;
    test(Ground::fresh(Some(nsl_sandbox::Database::fresh().unwrap())).await).await;
}

impl Ground {
    pub(crate) async fn fresh(database: Option<nsl_sandbox::Database>) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-11-21T08:00:00Z").unwrap()));
        let ground = Self::open(Arc::new(tempfile::tempdir().unwrap()), database.map(Arc::new), clock).await;
        ground.database_is_bound().await;
        ground
    }

    /// Opens a data directory (and database) a first or a further time, as another process would.
    pub(crate) async fn open(
        dir: Arc<tempfile::TempDir>,
        database: Option<Arc<nsl_sandbox::Database>>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let config = database.as_ref().map_or_else(Sql::embedded, |database| Sql::postgres(database.url()));
        let all = [&BASE, &nsl_keyring::MIGRATIONS, &nsl_ledger::MIGRATIONS, &nsl_storage::MIGRATIONS];
        config.migrate(dir.path(), &*clock, &all).await.unwrap();
        let chain_key = ChainKey::new(&Secret::new("a key of the chain for tests only"));
        let db = Db::open(&config, dir.path(), clock.clone(), || Some(closer(&chain_key))).await.unwrap();
        let settings = SecretsConfig { engine: SecretsEngine::Files, dir: String::new() };
        let secrets = Secrets::build(&settings, dir.path(), true, &BTreeMap::new()).unwrap();
        let root = Arc::new(SecretsRoot::open(secrets.clone()).await.unwrap());
        let keyring = Keyring::new(db.clone(), root, clock.clone());
        let process = ProcessId::fresh();
        let ledger = Ledger::new(db.clone(), keyring.clone(), clock.clone(), chain_key.clone(), process);
        let parts = Parts {
            db: db.clone(),
            keyring: keyring.clone(),
            ledger: ledger.clone(),
            cache: cache(&clock),
            blobs: blobs(dir.path()),
            secrets: secrets.clone(),
            clock: clock.clone(),
        };
        let built = nsl_storage::build(Config::default(), Quota::default(), parts);
        let service: Arc<dyn Storage> = built.service();
        let client = StorageClient::new(Via::Local(service));
        Self { db, built, client, keyring, ledger, secrets, clock, dir, database, chain_key }
    }

    async fn database_is_bound(&self) {
        if self.database.is_some() {
            assert_eq!(self.db.kind(), EngineKind::Postgres);
        }
    }

    pub(crate) fn cx(&self, tenant: &TenantId, subject: &str) -> Cx {
        let mut cx = Cx::system(tenant.clone(), Duration::from_secs(30));
        cx.principal.kind = PrincipalKind::ApiKey;
        cx.principal.subject = Subject::parse(subject).unwrap();
        cx.source = Source { ip: Some("192.0.2.7".parse().unwrap()), user_agent: Some("curl/8".into()) };
        cx
    }

    /// A caller of a tenant of its own.
    pub(crate) fn alone(&self) -> Cx {
        self.cx(&TenantId::fresh(), "sub_alice")
    }

    pub(crate) async fn put(&self, cx: &Cx, put: Put) -> Result<Stored> {
        self.client.put(cx, put).await
    }

    pub(crate) async fn get(&self, cx: &Cx, key: &str) -> Result<Item> {
        self.client.get(cx, get(key)).await
    }

    pub(crate) async fn text(&self, cx: &Cx, key: &str) -> String {
        self.get(cx, key).await.unwrap().value.as_str().to_owned()
    }

    pub(crate) async fn tick(&self, tick: Tick) -> usize {
        self.built.tick(tick).await.unwrap()
    }

    /// What somebody with the database in hands could do.
    pub(crate) async fn tamper(&self, sql: &'static str, args: Vec<Cell>) -> u64 {
        self.db.write_platform(Statement { sql, args }).await.unwrap()
    }

    pub(crate) async fn number(&self, sql: &'static str, args: Vec<Cell>) -> i64 {
        self.db.query(Scope::Platform, sql, args).await.unwrap()[0].take(0).unwrap()
    }

    /// Checks that what is kept as usage is what the rows add up to, and gives bytes and items.
    pub(crate) async fn exact_usage(&self, tenant: &TenantId) -> (i64, i64) {
        let one = || nsl_sql::args![tenant];
        let data = "SELECT CAST(coalesce(sum(size_bytes), 0) AS bigint) FROM storage_data WHERE tenant_id = $1";
        let past = "SELECT CAST(coalesce(sum(size_bytes), 0) AS bigint) FROM storage_versions WHERE tenant_id = $1";
        let items = "SELECT count(*) FROM storage_data WHERE tenant_id = $1 AND deleted_at IS NULL";
        let real = (self.number(data, one()).await + self.number(past, one()).await, self.number(items, one()).await);
        let kept = self.client.usage(&self.cx(tenant, "sub_alice"), nsl_api::storage::AskUsage {}).await.unwrap();
        assert_eq!((kept.bytes, kept.items), real);
        real
    }

    /// How many lines of evidence of this event a tenant has; the whole chain must verify.
    pub(crate) async fn evidence(&self, tenant: &TenantId, event: &str) -> usize {
        let verdict = verify(&self.db, None, &self.chain_key, None).await.unwrap();
        assert!(verdict.whole(), "{:?}", verdict.faults);
        let search = Search { event_type: Some(event.to_owned()), limit: 1_000, ..Search::default() };
        self.ledger.search(tenant, search).await.unwrap().len()
    }
}

fn cache(clock: &Arc<ManualClock>) -> Cache {
    let config = CacheConfig { engine: CacheEngine::Memory, memory_bytes: 1 << 24, memory_seconds: 30 };
    Cache::build(&config, None, clock.clone()).unwrap()
}

fn blobs(dir: &Path) -> Blobs {
    let config = BlobsConfig {
        url: String::new(),
        endpoint: String::new(),
        region: String::new(),
        access_key: String::new(),
        secret_key: Secret::new(""),
        timeout_ms: 5_000,
    };
    Blobs::build(&config, dir).unwrap()
}

pub(crate) fn put(key: &str, value: &str) -> Put {
    Put {
        chain: Chain::NeoN3,
        key: key.to_owned(),
        value: Value::parse(value).unwrap(),
        encrypted: false,
        access: Access::Private,
        shared_with: Vec::new(),
        expires_at: None,
        retain_until: None,
        metadata: None,
        expected_version: None,
    }
}

pub(crate) fn sealed(key: &str, value: &str) -> Put {
    Put { encrypted: true, ..put(key, value) }
}

pub(crate) fn at(key: &str) -> Address {
    Address { chain: Chain::NeoN3, owner: None, key: key.to_owned() }
}

pub(crate) fn get(key: &str) -> Get {
    Get { at: at(key), version: None, fresh: false, max_stale_ms: None }
}

pub(crate) fn of(owner: &str, key: &str) -> Get {
    let owner = Some(Subject::parse(owner).unwrap());
    Get { at: Address { owner, ..at(key) }, version: None, fresh: false, max_stale_ms: None }
}

pub(crate) fn slug<T>(outcome: Result<T>) -> String {
    outcome.err().map_or_else(|| "ok".to_owned(), |error| error.slug.into_owned())
}

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
