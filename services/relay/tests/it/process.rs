//! One running relay, whichever chains it speaks to.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use nsl_api::relay::Relay;
use nsl_chain::{n3::NeoN3, x::NeoX};
use nsl_core::{Clock, ProcessId, Secret, SystemClock, Timestamp};
use nsl_engine::secrets::{Secrets, SecretsConfig, SecretsEngine};
use nsl_keyring::{Keyring, SecretsRoot};
use nsl_kit::Tasks;
use nsl_ledger::{ChainKey, Ledger, closer, verify};
use nsl_relay::{Accounts, Config, Parts};
use nsl_sandbox::Database;
use nsl_sql::{BASE, Config as Sql, Db};

pub(crate) struct Process {
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) clock: Arc<SetBack>,
    db: Db,
    tasks: Tasks,
    key: ChainKey,
}

/// The clock of the machine, that may be set back.
#[derive(Default)]
pub(crate) struct SetBack(AtomicI64);

impl SetBack {
    pub(crate) fn by(&self, span: Duration) {
        self.0.fetch_add(span.as_micros() as i64, Ordering::SeqCst);
    }
}

impl Clock for SetBack {
    fn now(&self) -> Timestamp {
        SystemClock.now().minus(Duration::from_micros(self.0.load(Ordering::SeqCst) as u64))
    }
}

/// What it is to speak to.
#[derive(Default)]
pub(crate) struct Chains {
    pub(crate) x: Option<Arc<NeoX>>,
    pub(crate) n3: Option<Arc<NeoN3>>,
}

impl Process {
    /// Starts one in a directory, on the database, or on one of its own there, where others were before it or are beside it.
    pub(crate) async fn start(
        chains: Chains,
        config: Config,
        dir: &Path,
        database: Option<&Database>,
        paused: Arc<AtomicBool>,
    ) -> Self {
        let sql = database.map_or_else(Sql::embedded, |database| Sql::postgres(database.url()));
        let clock = Arc::new(SetBack::default());
        let all = [&BASE, &nsl_keyring::MIGRATIONS, &nsl_ledger::MIGRATIONS, &nsl_relay::MIGRATIONS];
        sql.migrate(dir, &*clock, &all).await.unwrap();
        let key = ChainKey::new(&Secret::new("a key of the chain for tests only"));
        let db = Db::open(&sql, dir, clock.clone(), || Some(closer(&key))).await.unwrap();
        let settings = SecretsConfig { engine: SecretsEngine::Files, dir: String::new() };
        let secrets = Secrets::build(&settings, dir, true, &BTreeMap::new()).unwrap();
        let root = Arc::new(SecretsRoot::open(secrets).await.unwrap());
        let keyring = Keyring::new(db.clone(), root, clock.clone());
        let process = ProcessId::fresh();
        let ledger = Ledger::new(db.clone(), keyring.clone(), clock.clone(), key.clone(), process.clone());
        let Chains { x, n3 } = chains;
        let accounts = Arc::new(Accounts::new(db.clone(), keyring, ledger.clone(), clock.clone(), x, n3));
        let tasks = Tasks::new();
        let parts =
            Parts { db: db.clone(), ledger, clock: clock.clone(), accounts: Arc::clone(&accounts), process, paused };
        let relay = nsl_relay::build(config, parts, &tasks);
        Self { relay, accounts, clock, db, tasks, key }
    }

    /// It takes requests, and nobody works at them any more.
    pub(crate) async fn halt(&self) {
        self.tasks.drain(Duration::from_secs(10)).await;
    }

    /// Ends it without letting it finish anything.
    pub(crate) async fn kill(self) {
        self.tasks.drain(Duration::ZERO).await;
    }

    /// Ends it where it stands.
    pub(crate) async fn end(&self) {
        self.halt().await;
        self.db.drain().await;
    }

    pub(crate) async fn evidence_is_whole(&self) {
        let verdict = verify(&self.db, None, &self.key, None).await.unwrap();
        assert!(verdict.whole(), "{:?}", verdict.faults);
    }
}
