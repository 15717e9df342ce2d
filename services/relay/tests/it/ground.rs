//! A relay over a running anvil, that may be stopped and started again on the same database.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nsl_api::{
    Chain as Name, Revealed,
    relay::{AddAccount, Call, FindTransaction, ListAccounts, Relay, State, Submit, Transaction},
};
use nsl_chain::{
    XConfig,
    x::{Address, Key, NeoX, U256},
};
use nsl_core::{Cx, Once, ProcessId, Result, Secret, SystemClock, TenantId};
use nsl_devnet::{X, XOptions};
use nsl_engine::secrets::{Secrets, SecretsConfig, SecretsEngine};
use nsl_keyring::{Keyring, SecretsRoot};
use nsl_kit::Tasks;
use nsl_ledger::{ChainKey, Ledger, closer, verify};
use nsl_relay::{Accounts, Config, Parts};
use nsl_sandbox::Database;
use nsl_sql::{BASE, Config as Sql, Db};

pub(crate) struct Ground {
    pub(crate) x: X,
    pub(crate) chain: Arc<NeoX>,
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) cx: Cx,
    db: Db,
    tasks: Tasks,
    key: ChainKey,
    dir: Arc<tempfile::TempDir>,
    database: Option<Arc<Database>>,
}

fn config() -> Config {
    Config { resend_ms: 500, raise_ms: 3_000, ..Config::default() }
}

impl Ground {
    pub(crate) async fn fresh(database: Option<Database>, block_time: Option<u64>) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let x = X::start(&dir.path().join("x"), XOptions { block_time, ..XOptions::default() }).await.unwrap();
        let config = XConfig::of(x.chain_id, &[&x.rpc]);
        let chain = Arc::new(NeoX::open(config).unwrap());
        let cx = Cx::system(TenantId::fresh(), Duration::from_secs(60));
        Self::open(x, chain, cx, dir, database.map(Arc::new)).await
    }

    async fn open(
        x: X,
        chain: Arc<NeoX>,
        cx: Cx,
        dir: Arc<tempfile::TempDir>,
        database: Option<Arc<Database>>,
    ) -> Self {
        let sql = database.as_ref().map_or_else(Sql::embedded, |database| Sql::postgres(database.url()));
        let clock = Arc::new(SystemClock);
        let all = [&BASE, &nsl_keyring::MIGRATIONS, &nsl_ledger::MIGRATIONS, &nsl_relay::MIGRATIONS];
        sql.migrate(dir.path(), &*clock, &all).await.unwrap();
        let key = ChainKey::new(&Secret::new("a key of the chain for tests only"));
        let db = Db::open(&sql, dir.path(), clock.clone(), || Some(closer(&key))).await.unwrap();
        let settings = SecretsConfig { engine: SecretsEngine::Files, dir: String::new() };
        let secrets = Secrets::build(&settings, dir.path(), true, &BTreeMap::new()).unwrap();
        let root = Arc::new(SecretsRoot::open(secrets).await.unwrap());
        let keyring = Keyring::new(db.clone(), root, clock.clone());
        let process = ProcessId::fresh();
        let ledger = Ledger::new(db.clone(), keyring.clone(), clock.clone(), key.clone(), process.clone());
        let accounts = Accounts::new(db.clone(), keyring, ledger.clone(), clock.clone(), Some(Arc::clone(&chain)), None);
        let tasks = Tasks::new();
        let parts = Parts { db: db.clone(), ledger, clock, accounts: Arc::new(accounts), process };
        let relay = nsl_relay::build(self::config(), parts, &tasks);
        if relay.list_accounts(&cx, ListAccounts { chain: Name::NeoX }).await.unwrap().items.is_empty() {
            let key = Some(Revealed(x.accounts[0].key.clone()));
            let add = AddAccount { chain: Name::NeoX, label: "first".into(), key };
            let added = relay.add_account(&cx, add).await.unwrap();
            assert_eq!(added.address.to_lowercase(), x.accounts[0].address.to_lowercase());
        }
        Self { x, chain, relay, cx, db, tasks, key, dir, database }
    }

    /// Ends the relay where it stands, and starts another on what it left.
    pub(crate) async fn restart(self) -> Self {
        self.tasks.drain(Duration::from_secs(10)).await;
        self.db.drain().await;
        drop(self.relay);
        Self::open(self.x, self.chain, self.cx, self.dir, self.database).await
    }

    pub(crate) fn account(&self) -> String {
        self.x.accounts[0].address.clone()
    }

    pub(crate) async fn submit(&self, once: &str, to: Address, wei: u64, data: &str) -> Result<Transaction> {
        let to = Some(format!("{to:#x}"));
        let call = Call { to, data: Some(data.into()), value: Some(wei.to_string()), ..Call::default() };
        let mut cx = self.cx.clone();
        cx.once = Some(Once { key: once.into(), fingerprint: format!("{call:?}").into() });
        let (chain, account) = (Name::NeoX, self.account());
        self.relay.submit(&cx, Submit { chain, account, call, max_fee: None, valid_for_ms: None }).await
    }

    pub(crate) async fn find(&self, id: &str) -> Transaction {
        self.relay.find(&self.cx, FindTransaction { chain: Name::NeoX, id: id.into() }).await.unwrap()
    }

    /// Waits until all have come to their end.
    pub(crate) async fn settled(&self, ids: &[String], within: Duration) -> Vec<Transaction> {
        let wait = async {
            let mut done = Vec::with_capacity(ids.len());
            for id in ids {
                loop {
                    let now = self.find(id).await;
                    if matches!(now.state, State::Final | State::Failed) {
                        done.push(now);
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            done
        };
        tokio::time::timeout(within, wait).await.expect("all are settled in time")
    }

    pub(crate) async fn balance(&self, of: Address) -> U256 {
        self.chain.balance(of).await.unwrap()
    }

    /// Asks the node something that only a development node answers.
    pub(crate) async fn order(&self, method: &str) {
        let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] });
        let answer: serde_json::Value =
            reqwest::Client::new().post(&self.x.rpc).json(&body).send().await.unwrap().json().await.unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
    }

    pub(crate) async fn chain_is_whole(&self) {
        let verdict = verify(&self.db, None, &self.key, None).await.unwrap();
        assert!(verdict.whole(), "{:?}", verdict.faults);
    }

    pub(crate) async fn end(self) {
        self.tasks.drain(Duration::from_secs(10)).await;
        self.db.drain().await;
        self.x.stop().await.unwrap();
    }
}

pub(crate) fn key_of(x: &X, number: usize) -> Key {
    let bytes = hex::decode(x.accounts[number].key.trim_start_matches("0x")).unwrap();
    Key::from_secret(&Secret::new(bytes)).unwrap()
}
