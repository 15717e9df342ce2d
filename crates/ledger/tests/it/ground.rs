//! A ledger on each engine, and changes that leave evidence.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nsl_core::{Clock, Cx, Entry, ManualClock, ProcessId, Result, Secret, Source, Subject, TenantId, Timestamp};
use nsl_engine::secrets::{Secrets, SecretsConfig, SecretsEngine};
use nsl_keyring::{Keyring, SecretsRoot};
use nsl_ledger::{ChainKey, Ledger, Verdict, closer, verify};
use nsl_sql::{BASE, Change, Config, Db, Statement, Tx, Value};

pub(crate) struct Ground {
    pub(crate) db: Db,
    pub(crate) ledger: Ledger,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) key: ChainKey,
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
        let root = Arc::new(SecretsRoot::open(secrets).await.unwrap());
        let keyring = Keyring::new(db.clone(), root, clock.clone());
        let ledger = Ledger::new(db.clone(), keyring.clone(), clock.clone(), key.clone(), ProcessId::fresh());
        Self { db, ledger, keyring, clock, key, _dir: dir, _database: database }
    }

    pub(crate) fn cx(&self, tenant: &TenantId) -> Cx {
        let mut cx = Cx::system(tenant.clone(), Duration::from_secs(10));
        cx.principal.kind = nsl_core::PrincipalKind::ApiKey;
        cx.principal.subject = Subject::parse("sub_alice").unwrap();
        cx.source = Source { ip: Some("192.0.2.7".parse().unwrap()), user_agent: Some("curl/8".into()) };
        cx
    }

    /// Does `count` changes at once, each with its line of evidence.
    pub(crate) async fn act(&self, tenant: &TenantId, count: usize) {
        let cx = self.cx(tenant);
        let deeds = (0..count).map(|number| {
            let cx = cx.clone();
            async move {
                let entry =
                    Entry::new(&cx, "test.deed_done", "test", "deed", self.clock.now()).request("number", number);
                let mut personal = serde_json::Map::new();
                personal.insert("key".into(), format!("diary-{number}").into());
                let entry = self.ledger.seal(&cx, entry, personal).await.unwrap();
                self.db.write(&cx, Deed(entry)).await.unwrap();
            }
        });
        futures_util::future::join_all(deeds).await;
    }

    pub(crate) async fn verdict(&self) -> Verdict {
        verify(&self.db, None, &self.key, None).await.unwrap()
    }

    /// What somebody with the database in hands could do.
    pub(crate) async fn tamper(&self, sql: &'static str, args: Vec<Value>) -> u64 {
        self.db.write_platform(Statement { sql, args }).await.unwrap()
    }
}

pub(crate) struct Deed(pub(crate) Entry);

impl Change for Deed {
    type Done = ();

    async fn apply<'a>(group: &'a [&'a Self], tx: &'a mut Tx<'_>) -> Result<Vec<Result<()>>> {
        group.iter().for_each(|deed| tx.note(deed.0.clone()));
        Ok(group.iter().map(|_| Ok(())).collect())
    }
}
