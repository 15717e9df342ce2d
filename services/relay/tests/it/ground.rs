//! A relay over a running anvil, that may be stopped and started again on the same database.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nsl_api::{
    Chain as Name, Revealed,
    relay::{AddAccount, AskPassed, Call, Cancel, FindTransaction, Passed, Relay, State, Submit, Transaction},
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
    config: Config,
}

/// One running relay.
pub(crate) struct Process {
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) db: Db,
    tasks: Tasks,
    key: ChainKey,
}

impl Process {
    async fn start(chain: &Arc<NeoX>, dir: &tempfile::TempDir, database: Option<&Database>, config: Config) -> Self {
        let sql = database.map_or_else(Sql::embedded, |database| Sql::postgres(database.url()));
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
        let accounts = Accounts::new(db.clone(), keyring, ledger.clone(), clock.clone(), Some(Arc::clone(chain)), None);
        let tasks = Tasks::new();
        let parts =
            Parts { db: db.clone(), ledger, clock, accounts: Arc::new(accounts), process, paused: Arc::default() };
        let relay = nsl_relay::build(config, parts, &tasks);
        Self { relay, db, tasks, key }
    }

    pub(crate) async fn end(self) {
        self.tasks.drain(Duration::from_secs(10)).await;
        self.db.drain().await;
    }
}

/// How a ground differs from the usual.
pub(crate) struct Terms {
    pub(crate) block_time: Option<u64>,
    pub(crate) finality: u32,
    pub(crate) config: Config,
}

impl Default for Terms {
    fn default() -> Self {
        Self { block_time: None, finality: 1, config: Config { resend_ms: 500, raise_ms: 3_000, ..Config::default() } }
    }
}

impl Ground {
    pub(crate) async fn fresh(database: Option<Database>, block_time: Option<u64>) -> Self {
        Self::on(database, Terms { block_time, ..Terms::default() }).await
    }

    pub(crate) async fn on(database: Option<Database>, terms: Terms) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let options = XOptions { block_time: terms.block_time, ..XOptions::default() };
        let x = X::start(&dir.path().join("x"), options).await.unwrap();
        let config = XConfig { finality_blocks: terms.finality, ..XConfig::of(x.chain_id, &[&x.rpc]) };
        let chain = Arc::new(NeoX::open(config).unwrap());
        let cx = Cx::system(TenantId::fresh(), Duration::from_secs(600));
        Self::open(x, chain, cx, dir, database.map(Arc::new), terms.config).await
    }

    async fn open(
        x: X,
        chain: Arc<NeoX>,
        cx: Cx,
        dir: Arc<tempfile::TempDir>,
        database: Option<Arc<Database>>,
        config: Config,
    ) -> Self {
        let Process { relay, db, tasks, key } = Process::start(&chain, &dir, database.as_deref(), config.clone()).await;
        for (number, label) in ["first", "second"].into_iter().enumerate() {
            let key = Some(Revealed(x.accounts[number].key.clone()));
            let add = AddAccount { chain: Name::NeoX, label: label.into(), key };
            match relay.add_account(&cx, add).await {
                Ok(added) => assert_eq!(added.address.to_lowercase(), x.accounts[number].address.to_lowercase()),
                Err(error) => assert_eq!(error.slug, "relay.account_taken"),
            }
        }
        Self { x, chain, relay, cx, db, tasks, key, dir, database, config }
    }

    /// Another process on the same database.
    pub(crate) async fn another(&self) -> Process {
        Process::start(&self.chain, &self.dir, self.database.as_deref(), self.config.clone()).await
    }

    /// Ends the relay where it stands, and starts another on what it left.
    pub(crate) async fn restart(self) -> Self {
        self.tasks.drain(Duration::from_secs(10)).await;
        self.db.drain().await;
        drop(self.relay);
        Self::open(self.x, self.chain, self.cx, self.dir, self.database, self.config).await
    }

    pub(crate) fn account(&self) -> String {
        self.x.accounts[0].address.clone()
    }

    /// Ends the relay without letting it finish anything, and starts another on what it left.
    pub(crate) async fn kill(self) -> Self {
        self.tasks.drain(Duration::ZERO).await;
        drop(self.relay);
        Self::open(self.x, self.chain, self.cx, self.dir, self.database, self.config).await
    }

    pub(crate) async fn send(&self, submit: Submit) -> Result<Transaction> {
        self.relay.submit(&self.cx, submit).await
    }

    /// A transfer of the account with this number.
    pub(crate) fn transfer(&self, from: usize, to: Address, wei: u64) -> Submit {
        let call = Call { to: Some(format!("{to:#x}")), value: Some(wei.to_string()), ..Call::default() };
        let account = self.x.accounts[from].address.clone();
        Submit { chain: Name::NeoX, account, call, max_fee: None, valid_for_ms: None }
    }

    pub(crate) async fn cancel(&self, id: &str) -> Result<Transaction> {
        self.relay.cancel(&self.cx, Cancel { chain: Name::NeoX, id: id.into() }).await
    }

    pub(crate) async fn passed(&self, id: &str) -> Vec<Passed> {
        let asked = AskPassed { chain: Name::NeoX, id: id.into(), after: 0 };
        self.relay.passed(&self.cx, asked).await.unwrap().items
    }

    pub(crate) async fn states(&self, id: &str) -> Vec<State> {
        self.passed(id).await.into_iter().map(|passed| passed.state).collect()
    }

    /// Waits until a request is in this state.
    pub(crate) async fn until(&self, id: &str, state: State) -> Transaction {
        let wait = async {
            loop {
                let now = self.find(id).await;
                if now.state == state {
                    return now;
                }
                assert!(!is_end(now.state), "{now:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it gets there in time")
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
                    if is_end(now.state) {
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
        self.order_with(method, serde_json::json!([])).await;
    }

    pub(crate) async fn order_with(&self, method: &str, params: serde_json::Value) {
        let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
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

pub(crate) fn is_end(state: State) -> bool {
    matches!(state, State::Final | State::Failed | State::Replaced | State::Expired)
}

pub(crate) fn key_of(x: &X, number: usize) -> Key {
    let bytes = hex::decode(x.accounts[number].key.trim_start_matches("0x")).unwrap();
    Key::from_secret(&Secret::new(bytes)).unwrap()
}
