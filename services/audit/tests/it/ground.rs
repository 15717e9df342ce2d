//! The service on each engine, and deeds that leave evidence.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nsl_api::audit::AuditClient;
use nsl_core::{
    Clock, Cx, Entry, ManualClock, PrincipalKind, ProcessId, Result, Secret, Source, Subject, TenantId, Timestamp,
};
use nsl_engine::{
    blobs::{Blobs, BlobsConfig},
    secrets::{Secrets, SecretsConfig, SecretsEngine},
};
use nsl_keyring::{Keyring, SecretsRoot};
use nsl_kit::Tasks;
use nsl_ledger::{ChainKey, Ledger, closer};
use nsl_rpc::{Client, Via};
use nsl_sql::{BASE, Change, Config, Db, Statement, Tx, Value};

pub(crate) struct Ground {
    pub(crate) audit: AuditClient,
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) key: ChainKey,
    pub(crate) blobs: Blobs,
    pub(crate) tasks: Tasks,
    pub(crate) clock: Arc<ManualClock>,
    _dir: tempfile::TempDir,
    _database: Option<nsl_sandbox::Database>,
}

pub(crate) async fn each(test: impl AsyncFn(Ground)) {
    test(Ground::on(None).await).await;
    test(Ground::on(Some(nsl_sandbox::Database::fresh().unwrap())).await).await;
}

impl Ground {
    async fn on(database: Option<nsl_sandbox::Database>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-11-21T08:00:00Z").unwrap()));
        let config = database.as_ref().map_or_else(Config::embedded, |database| Config::postgres(database.url()));
        let all = [&BASE, &nsl_keyring::MIGRATIONS, &nsl_ledger::MIGRATIONS];
        config.migrate(dir.path(), &*clock, &all).await.unwrap();
        let key = ChainKey::new(&Secret::new("a key of the chain for tests only"));
        let db = Db::open(&config, dir.path(), clock.clone(), || Some(closer(&key))).await.unwrap();
        let settings = SecretsConfig { engine: SecretsEngine::Files, dir: String::new() };
        let secrets = Secrets::build(&settings, dir.path(), true, &BTreeMap::new()).unwrap();
        let keyring = Keyring::new(db.clone(), Arc::new(SecretsRoot::open(secrets).await.unwrap()), clock.clone());
        let ledger = Ledger::new(db.clone(), keyring, clock.clone(), key.clone(), ProcessId::fresh());
        let nowhere_else = BlobsConfig {
            url: String::new(),
            endpoint: String::new(),
            region: String::new(),
            access_key: String::new(),
            secret_key: Secret::new(""),
            timeout_ms: 10_000,
        };
        let blobs = Blobs::build(&nowhere_else, dir.path()).unwrap();
        let tasks = Tasks::new();
        let service = nsl_audit::build(
            nsl_audit::Config::default(),
            db.clone(),
            ledger.clone(),
            key.clone(),
            blobs.clone(),
            &tasks,
        );
        let audit = AuditClient::new(Via::Local(service));
        Self { audit, db, ledger, key, blobs, tasks, clock, _dir: dir, _database: database }
    }

    pub(crate) fn cx(&self, tenant: &TenantId, scopes: &[&str]) -> Cx {
        let mut cx = Cx::system(tenant.clone(), Duration::from_secs(30));
        cx.principal.kind = PrincipalKind::ApiKey;
        cx.principal.subject = Subject::parse("alice").unwrap();
        cx.principal.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        cx.source = Source { ip: Some("192.0.2.7".parse().unwrap()), user_agent: Some("curl/8".into()) };
        cx
    }

    /// Does a deed and leaves its evidence.
    pub(crate) async fn act(&self, tenant: &TenantId, number: u64) {
        let cx = self.cx(tenant, &["*"]);
        let entry = Entry::new(&cx, "test.deed_done", "test", "deed", self.clock.now()).request("number", number);
        let personal = [("key".to_owned(), format!("diary-{number}").into())].into_iter().collect();
        let entry = self.ledger.seal(&cx, entry, personal).await.unwrap();
        self.db.write(&cx, Deed(entry)).await.unwrap();
    }

    /// What somebody with the database in hands could do.
    pub(crate) async fn tamper(&self, sql: &'static str, args: Vec<Value>) -> u64 {
        self.db.write_platform(Statement { sql, args }).await.unwrap()
    }
}

struct Deed(Entry);

impl Change for Deed {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        group.iter().for_each(|deed| tx.note(deed.0.clone()));
        Ok(group.iter().map(|_| Ok(())).collect())
    }
}
