//! A relay over a running anvil, that may be stopped and started again on the same database.

use std::{sync::Arc, time::Duration};

use nsl_api::{
    Chain as Name, Revealed,
    relay::{AddAccount, AskPassed, Call, Cancel, FindTransaction, Passed, Relay, State, Submit, Transaction},
};
use nsl_chain::{
    XConfig,
    x::{Address, Key, NeoX, U256},
};
use nsl_core::{Cx, Once, Result, Secret, TenantId};
use nsl_devnet::{X, XOptions};
use nsl_relay::Config;
use nsl_sandbox::Database;

use crate::process::{Chains, Process};

pub(crate) struct Ground {
    pub(crate) x: X,
    pub(crate) chain: Arc<NeoX>,
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) cx: Cx,
    process: Process,
    dir: Arc<tempfile::TempDir>,
    database: Option<Arc<Database>>,
    config: Config,
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
        let process = start(&chain, &dir, database.as_deref(), config.clone()).await;
        let relay = Arc::clone(&process.relay);
        for (number, label) in ["first", "second"].into_iter().enumerate() {
            let key = Some(Revealed(x.accounts[number].key.clone()));
            let add = AddAccount { chain: Name::NeoX, label: label.into(), key };
            match relay.add_account(&cx, add).await {
                Ok(added) => assert_eq!(added.address.to_lowercase(), x.accounts[number].address.to_lowercase()),
                Err(error) => assert_eq!(error.slug, "relay.account_taken"),
            }
        }
        Self { x, chain, relay, cx, process, dir, database, config }
    }

    /// Another process on the same database.
    pub(crate) async fn another(&self) -> Process {
        start(&self.chain, &self.dir, self.database.as_deref(), self.config.clone()).await
    }

    /// Ends the relay, and starts another on what it left that speaks to the chain through these.
    pub(crate) async fn behind(self, urls: &[&str]) -> Self {
        self.process.end().await;
        drop(self.relay);
        let chain = Arc::new(NeoX::open(XConfig::of(self.x.chain_id, urls)).unwrap());
        Self::open(self.x, chain, self.cx, self.dir, self.database, self.config).await
    }

    /// Ends the relay where it stands, and starts another on what it left.
    pub(crate) async fn restart(self) -> Self {
        self.process.end().await;
        drop(self.relay);
        Self::open(self.x, self.chain, self.cx, self.dir, self.database, self.config).await
    }

    pub(crate) fn account(&self) -> String {
        self.x.accounts[0].address.clone()
    }

    /// Ends the relay without letting it finish anything, and starts another on what it left.
    pub(crate) async fn kill(self) -> Self {
        self.process.kill().await;
        drop(self.relay);
        Self::open(self.x, self.chain, self.cx, self.dir, self.database, self.config).await
    }

    pub(crate) async fn send(&self, submit: Submit) -> Result<Transaction> {
        self.relay.submit(&self.cx, submit).await
    }

    /// A transfer of the account with this number.
    pub(crate) fn transfer(&self, from: usize, to: Address, wei: u64) -> Submit {
        self.of(from, Call { to: Some(format!("{to:#x}")), value: Some(wei.to_string()), ..Call::default() })
    }

    /// What asks for a call of the account with this number.
    pub(crate) fn of(&self, from: usize, call: Call) -> Submit {
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
        self.relay.submit(&cx, self.of(0, call)).await
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
        self.process.evidence_is_whole().await;
    }

    pub(crate) async fn end(self) {
        self.process.end().await;
        self.x.stop().await.unwrap();
    }
}

async fn start(chain: &Arc<NeoX>, dir: &tempfile::TempDir, database: Option<&Database>, config: Config) -> Process {
    let chains = Chains { x: Some(Arc::clone(chain)), ..Chains::default() };
    Process::start(chains, config, dir.path(), database, Arc::default()).await
}

pub(crate) fn is_end(state: State) -> bool {
    matches!(state, State::Final | State::Failed | State::Replaced | State::Expired)
}

pub(crate) fn key_of(x: &X, number: usize) -> Key {
    let bytes = hex::decode(x.accounts[number].key.trim_start_matches("0x")).unwrap();
    Key::from_secret(&Secret::new(bytes)).unwrap()
}
