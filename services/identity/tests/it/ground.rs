//! The service on each engine.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use nsl_api::identity::{
    Authenticate, Authenticated, CreateKey, CreateTenant, CreatedKey, CreatedTenant, IdentityClient,
};
use nsl_core::{Clock, Cx, ManualClock, ProcessId, Result, Secret, Subject, TenantId, Timestamp};
use nsl_engine::{
    blobs::{Blobs, BlobsConfig},
    queue::{Queue, QueueConfig},
    secrets::{Secrets, SecretsConfig, SecretsEngine},
};
use nsl_identity::{Built, Clients, Duties};
use nsl_keyring::{Keyring, SecretsRoot};
use nsl_kit::{Profile, Tasks};
use nsl_ledger::{ChainKey, Ledger, Search, closer};
use nsl_rpc::{Client, Via};
use nsl_sql::{BASE, Config, Db};
use parking_lot::Mutex;

/// What the services around ask for.
const KNOWN: &[&str] = &[
    "storage:read",
    "storage:write",
    "identity:read",
    "identity:write",
    "identity:admin",
    "identity:owner",
    "identity:act",
];

pub(crate) struct Ground {
    pub(crate) identity: IdentityClient,
    /// All traits of the service.
    pub(crate) all: Clients,
    duties: Duties,
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) keyring: Keyring,
    pub(crate) queue: Queue,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tasks: Tasks,
    /// The digests that were told to be forgotten.
    pub(crate) revoked: Arc<Mutex<Vec<String>>>,
    keys_per_tenant: u32,
    pub(crate) dir: tempfile::TempDir,
    database: Option<nsl_sandbox::Database>,
}

/// For one request.
pub(crate) const BUDGET: Duration = Duration::from_secs(30);

/// A context that stands for somebody over many requests, each of which would have a budget of its own.
pub(crate) fn lasting(cx: Cx) -> Cx {
    Cx { deadline: Cx::system(cx.tenant.clone(), Duration::from_secs(600)).deadline, ..cx }
}

pub(crate) async fn each(test: impl AsyncFn(Ground)) {
    test(Ground::on(None, 1_000).await).await;
    test(Ground::on(Some(nsl_sandbox::Database::fresh().unwrap()), 1_000).await).await;
}

pub(crate) fn digest_of(key: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, key.as_bytes()))
}

pub(crate) fn new_key(name: &str, scopes: &[&str]) -> CreateKey {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    CreateKey {
        name: name.to_owned(),
        scopes,
        subject: None,
        expires_at: None,
        description: None,
        networks: Vec::new(),
    }
}

/// Anyone may make an account, and hashing costs little.
fn settings_of(keys_per_tenant: u32) -> nsl_identity::Config {
    let mut config = nsl_identity::Config { keys_per_tenant, ..nsl_identity::Config::default() };
    config.settle(Profile::Development);
    config.signin.hash_memory_kib = 64;
    config.tokens.upkeep = Duration::from_millis(100);
    config
}

fn clients(built: Built) -> Clients {
    Clients {
        identity: Client::new(Via::Local(built.identity)),
        sessions: Client::new(Via::Local(built.sessions)),
        signin: Client::new(Via::Local(built.signin)),
        access: Client::new(Via::Local(built.access)),
        oauth: Client::new(Via::Local(built.oauth)),
        passkey: Client::new(Via::Local(built.passkey)),
        federation: Client::new(Via::Local(built.federation)),
        wallet: Client::new(Via::Local(built.wallet)),
        people: Client::new(Via::Local(built.people)),
        privacy: Client::new(Via::Local(built.privacy)),
    }
}

fn queue(db: &Db, clock: &Arc<ManualClock>) -> Queue {
    let config = QueueConfig {
        url: Secret::new(""),
        ca: String::new(),
        prefix: "nsl".to_owned(),
        poll_ms: 5,
        prefetch: 4,
        lease_seconds: 60,
        max_attempts: 5,
        timeout_ms: 1_000,
    };
    Queue::build(&config, db.clone(), clock.clone()).unwrap()
}

pub(crate) fn blobs(dir: &std::path::Path) -> Blobs {
    let config = BlobsConfig {
        url: String::new(),
        endpoint: String::new(),
        region: "us-east-1".to_owned(),
        access_key: String::new(),
        secret_key: Secret::new(""),
        timeout_ms: 5_000,
    };
    Blobs::build(&config, dir).unwrap()
}

impl Ground {
    pub(crate) async fn on(database: Option<nsl_sandbox::Database>, keys_per_tenant: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-11-21T08:00:00Z").unwrap()));
        let config = database.as_ref().map_or_else(Config::embedded, |database| Config::postgres(database.url()));
        let all = [
            &BASE,
            &nsl_engine::queue::MIGRATIONS,
            &nsl_keyring::MIGRATIONS,
            &nsl_ledger::MIGRATIONS,
            &nsl_identity::MIGRATIONS,
        ];
        config.migrate(dir.path(), &*clock, &all).await.unwrap();
        let key = ChainKey::new(&Secret::new("a key of the chain for tests only"));
        let db = Db::open(&config, dir.path(), clock.clone(), || Some(closer(&key))).await.unwrap();
        let settings = SecretsConfig { engine: SecretsEngine::Files, dir: String::new() };
        let secrets = Secrets::build(&settings, dir.path(), true, &BTreeMap::new()).unwrap();
        let keyring = Keyring::new(db.clone(), Arc::new(SecretsRoot::open(secrets).await.unwrap()), clock.clone());
        let ledger = Ledger::new(db.clone(), keyring.clone(), clock.clone(), key, ProcessId::fresh());
        let tasks = Tasks::new();
        let revoked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&revoked);
        let queue = queue(&db, &clock);
        let parts = nsl_identity::Parts {
            db: db.clone(),
            ledger: ledger.clone(),
            keyring: keyring.clone(),
            clock: clock.clone(),
            queue: queue.clone(),
            blobs: blobs(dir.path()),
            scopes: KNOWN.to_vec(),
            revoked: Arc::new(move |digest: &str| heard.lock().push(digest.to_owned())),
        };
        let built = nsl_identity::build(settings_of(keys_per_tenant), parts, &tasks).unwrap();
        let duties = built.duties.clone();
        let all = clients(built);
        let identity = all.identity.clone();
        Self {
            identity,
            all,
            duties,
            db,
            ledger,
            keyring,
            queue,
            clock,
            tasks,
            revoked,
            keys_per_tenant,
            dir,
            database,
        }
    }

    pub(crate) async fn replay_erasures(&self) -> usize {
        self.duties.replay_erasures().await.unwrap()
    }

    pub(crate) async fn tend(&self) {
        self.duties.tend().await.unwrap();
    }

    /// Whether several processes can stand on its database.
    pub(crate) fn is_shared(&self) -> bool {
        self.database.is_some()
    }

    /// The service as a further process on the same database has it.
    pub(crate) async fn beside(&self) -> IdentityClient {
        self.all_beside().await.identity
    }

    /// All traits of the service once more, by this clock.
    pub(crate) fn all_by(&self, clock: Arc<dyn Clock>) -> Clients {
        let parts = nsl_identity::Parts {
            queue: queue(&self.db, &self.clock),
            blobs: blobs(self.dir.path()),
            db: self.db.clone(),
            ledger: self.ledger.clone(),
            keyring: self.keyring.clone(),
            clock,
            scopes: KNOWN.to_vec(),
            revoked: Arc::new(|_: &str| {}),
        };
        clients(nsl_identity::build(settings_of(self.keys_per_tenant), parts, &self.tasks).unwrap())
    }

    /// All traits of the service as a further process on the same database has them.
    pub(crate) async fn all_beside(&self) -> Clients {
        let database = self.database.as_ref().unwrap();
        let key = ChainKey::new(&Secret::new("a key of the chain for tests only"));
        let config = Config::postgres(database.url());
        let db = Db::open(&config, self.dir.path(), self.clock.clone(), || Some(closer(&key))).await.unwrap();
        let parts = nsl_identity::Parts {
            queue: queue(&db, &self.clock),
            blobs: blobs(self.dir.path()),
            db,
            ledger: self.ledger.clone(),
            keyring: self.keyring.clone(),
            clock: self.clock.clone(),
            scopes: KNOWN.to_vec(),
            revoked: Arc::new(|_: &str| {}),
        };
        clients(nsl_identity::build(settings_of(self.keys_per_tenant), parts, &self.tasks).unwrap())
    }

    pub(crate) async fn tenant(&self) -> CreatedTenant {
        let cx = Cx::system(TenantId::fresh(), BUDGET);
        let request = CreateTenant { name: "acme".to_owned(), subject: Subject::parse("alice").unwrap() };
        self.identity.create_tenant(&cx, request).await.unwrap()
    }

    pub(crate) async fn authenticate(&self, secret: &str) -> Result<Authenticated> {
        let cx = Cx::system(TenantId::fresh(), BUDGET);
        self.identity.authenticate(&cx, Authenticate { digest: digest_of(secret) }).await
    }

    /// What a request with this key would run under.
    pub(crate) async fn as_key(&self, key: &CreatedKey) -> Cx {
        let found = self.authenticate(&key.secret.0).await.unwrap();
        let mut cx = lasting(Cx::system(found.tenant, BUDGET));
        cx.principal = found.principal;
        cx
    }

    pub(crate) async fn events(&self, tenant: &TenantId) -> Vec<String> {
        let search = Search { limit: 100, ..Search::default() };
        let found = self.ledger.search(tenant, search).await.unwrap();
        let own = found.into_iter().map(|entry| entry.event_type).filter(|event| event.starts_with("identity."));
        own.collect()
    }
}
