//! The service and the relay over one running chain; both may be stopped and started again on the same database.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use nsl_api::{
    Chain, Revealed,
    contracts::{
        Answer, Ask, AskEvents, Contract, ContractsClient, Event, FindContract, FindDeployment, Invoke, ListContracts,
        Standing, UpdateState,
    },
    relay::{AddAccount, FindTransaction, ListAccounts, RelayClient, State, Transaction},
};
use nsl_chain::{N3Config, XConfig, n3::NeoN3, x::NeoX};
use nsl_contracts::{Pace, Parts};
use nsl_core::{Clock, Cx, Error, Once, ProcessId, Result, Secret, SystemClock, TenantId, Timestamp};
use nsl_devnet::{N3, N3Options, X, XOptions};
use nsl_engine::secrets::{Secrets, SecretsConfig, SecretsEngine};
use nsl_keyring::{Keyring, SecretsRoot};
use nsl_kit::Tasks;
use nsl_ledger::{ChainKey, Ledger, closer, verify};
use nsl_relay::Accounts;
use nsl_rpc::{Client as _, Via};
use nsl_sandbox::Database;
use nsl_sql::{BASE, Config as Sql, Db};
use serde_json::Value;

/// Far beyond what anything here takes: a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The node under test.
pub(crate) enum Node {
    X(X),
    N3(N3),
}

pub(crate) struct Ground {
    pub(crate) node: Node,
    pub(crate) contracts: ContractsClient,
    pub(crate) relay: RelayClient,
    pub(crate) cx: Cx,
    db: Db,
    tasks: Tasks,
    key: ChainKey,
    dir: Arc<tempfile::TempDir>,
    database: Option<Arc<Database>>,
    ahead: Duration,
}

/// The time, as the service takes it to be.
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.0)
    }
}

pub(crate) fn postgres() -> Option<Database> {
    Some(Database::fresh().unwrap())
}

impl Ground {
    pub(crate) async fn x(database: Option<Database>) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let node = X::start(&dir.path().join("x"), XOptions::default()).await.unwrap();
        Self::open(Node::X(node), cx(TenantId::fresh()), dir, database.map(Arc::new), Duration::ZERO).await
    }

    pub(crate) async fn n3(database: Option<Database>) -> Self {
        Self::n3_as(N3Options::default(), database).await
    }

    pub(crate) async fn n3_as(options: N3Options, database: Option<Database>) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let node = N3::start(&dir.path().join("n3"), options).await.unwrap();
        Self::open(Node::N3(node), cx(TenantId::fresh()), dir, database.map(Arc::new), Duration::ZERO).await
    }

    async fn open(
        node: Node,
        cx: Cx,
        dir: Arc<tempfile::TempDir>,
        database: Option<Arc<Database>>,
        ahead: Duration,
    ) -> Self {
        let sql = database.as_ref().map_or_else(Sql::embedded, |database| Sql::postgres(database.url()));
        let clock = Arc::new(SystemClock);
        let all = [
            &BASE,
            &nsl_keyring::MIGRATIONS,
            &nsl_ledger::MIGRATIONS,
            &nsl_relay::MIGRATIONS,
            &nsl_contracts::MIGRATIONS,
        ];
        sql.migrate(dir.path(), &*clock, &all).await.unwrap();
        let key = ChainKey::new(&Secret::new("a key of the chain for tests only"));
        let db = Db::open(&sql, dir.path(), clock.clone(), || Some(closer(&key))).await.unwrap();
        let settings = SecretsConfig { engine: SecretsEngine::Files, dir: String::new() };
        let secrets = Secrets::build(&settings, dir.path(), true, &BTreeMap::new()).unwrap();
        let root = Arc::new(SecretsRoot::open(secrets).await.unwrap());
        let keyring = Keyring::new(db.clone(), root, clock.clone());
        let process = ProcessId::fresh();
        let ledger = Ledger::new(db.clone(), keyring.clone(), clock.clone(), key.clone(), process.clone());
        let (n3, x) = match &node {
            Node::X(node) => {
                let mut config = XConfig::of(node.chain_id, &[&node.rpc]);
                config.pool.poll_ms = 50;
                config.pool.deadline_ms = 6_000;
                (None, Some(Arc::new(NeoX::open(config).unwrap())))
            }
            Node::N3(node) => {
                let mut config = N3Config::of(node.magic, &[&node.rpc]);
                config.pool.poll_ms = 50;
                config.pool.deadline_ms = 6_000;
                (Some(Arc::new(NeoN3::open(config).unwrap())), None)
            }
        };
        let tasks = Tasks::new();
        let accounts = Accounts::new(db.clone(), keyring, ledger.clone(), clock.clone(), x.clone(), n3.clone());
        let parts = nsl_relay::Parts {
            db: db.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            accounts: Arc::new(accounts),
            process,
            paused: Arc::default(),
        };
        let relay = RelayClient::new(Via::Local(nsl_relay::build(nsl_relay::Config::default(), parts, &tasks)));
        let pace = Pace { busy: Duration::from_millis(50), idle: Duration::from_millis(500) };
        let parts = Parts { db: db.clone(), ledger, clock: Arc::new(Ahead(ahead)), relay: relay.clone(), n3, x };
        let contracts = ContractsClient::new(Via::Local(nsl_contracts::build(pace, parts, &tasks)));
        let ground = Self { node, contracts, relay, cx, db, tasks, key, dir, database, ahead };
        if ground
            .relay
            .list_accounts(&ground.cx, ListAccounts { chain: ground.chain() })
            .await
            .unwrap()
            .items
            .is_empty()
        {
            let key = Some(Revealed(ground.keys(0).1));
            let add = AddAccount { chain: ground.chain(), label: "first".into(), key };
            ground.relay.add_account(&ground.cx, add).await.unwrap();
        }
        ground
    }

    /// Ends both services where they stand, and starts others on what they left.
    pub(crate) async fn restart(self) -> Self {
        self.tasks.drain(Duration::from_secs(20)).await;
        self.db.drain().await;
        Self::open(self.node, self.cx, self.dir, self.database, self.ahead).await
    }

    /// The same, so much later, as the service of contracts takes it.
    pub(crate) async fn later(self, ahead: Duration) -> Self {
        Self { ahead, ..self }.restart().await
    }

    pub(crate) fn chain(&self) -> Chain {
        match self.node {
            Node::X(_) => Chain::NeoX,
            Node::N3(_) => Chain::NeoN3,
        }
    }

    fn keys(&self, number: usize) -> (String, String) {
        let account = match &self.node {
            Node::X(node) => &node.accounts[number],
            Node::N3(node) => &node.accounts[number],
        };
        let address = nsl_chain::x::address(&account.address).map(|address| address.to_checksum(None));
        (address.unwrap_or_else(|| account.address.clone()), account.key.clone())
    }

    /// The account that sends.
    pub(crate) fn account(&self) -> String {
        self.keys(0).0
    }

    /// Another one, which the relay does not know.
    pub(crate) fn other_account(&self) -> String {
        self.keys(1).0
    }

    /// The same caller with an idempotency key.
    pub(crate) fn once(&self, key: &str) -> Cx {
        Cx { once: Some(Once { key: key.into(), fingerprint: "the same request".into() }), ..self.cx.clone() }
    }

    /// Somebody of another tenant.
    pub(crate) fn stranger(&self) -> Cx {
        cx(TenantId::fresh())
    }

    pub(crate) async fn by_request(&self, request: &str) -> Contract {
        let find = FindDeployment { chain: self.chain(), request: request.to_owned() };
        self.contracts.find_deployment(&self.cx, find).await.unwrap()
    }

    pub(crate) async fn find(&self, hash: &str) -> Result<Contract> {
        self.contracts.find(&self.cx, FindContract { chain: self.chain(), hash: hash.to_owned() }).await
    }

    pub(crate) async fn list(&self, cx: &Cx) -> Vec<Contract> {
        let list = ListContracts { chain: self.chain(), limit: 100, after: None };
        self.contracts.list(cx, list).await.unwrap().items
    }

    /// Waits until the chain has decided on a deployment.
    pub(crate) async fn decided(&self, request: &str) -> Contract {
        until("a deployment is decided", async || {
            let contract = self.by_request(request).await;
            (contract.state != Standing::Deploying).then_some(contract)
        })
        .await
    }

    /// Waits until the chain has decided on a transaction.
    pub(crate) async fn sent(&self, transaction: Result<Transaction>) -> Transaction {
        let id = transaction.unwrap().id;
        until("a transaction is decided", async || {
            let find = FindTransaction { chain: self.chain(), id: id.clone() };
            let now = self.relay.find(&self.cx, find).await.unwrap();
            matches!(now.state, State::Final | State::Failed | State::Expired | State::Replaced).then_some(now)
        })
        .await
    }

    /// Waits until the chain has decided on the last update, for good.
    pub(crate) async fn updated(&self, hash: &str) -> Contract {
        let found = until("an update is decided", async || {
            let found = self.find(hash).await.unwrap();
            found.update.as_ref().is_some_and(|update| update.state != UpdateState::Updating).then_some(found)
        })
        .await;
        assert_eq!(found.update.as_ref().map(|update| update.state), Some(UpdateState::Updated), "{found:?}");
        found
    }

    pub(crate) async fn ask(&self, hash: &str, method: &str, args: &[Value]) -> Result<Answer> {
        let (chain, hash, method) = (self.chain(), hash.to_owned(), method.to_owned());
        self.contracts.call(&self.cx, Ask { chain, hash, method, args: args.to_vec(), at: None, account: None }).await
    }

    pub(crate) fn invocation(&self, hash: &str, method: &str, args: &[Value]) -> Invoke {
        Invoke {
            chain: self.chain(),
            hash: hash.to_owned(),
            account: self.account(),
            method: method.to_owned(),
            args: args.to_vec(),
            value: None,
            share: false,
            scope: None,
            sponsor: None,
            max_fee: None,
            valid_for_ms: None,
        }
    }

    /// Invokes and waits until that is final.
    pub(crate) async fn invoke(&self, hash: &str, method: &str, args: &[Value]) -> Transaction {
        let done = self.contracts.invoke(&self.cx, self.invocation(hash, method, args)).await;
        let done = self.sent(done).await;
        assert_eq!(done.state, State::Final, "{done:?}");
        done
    }

    pub(crate) fn listening(&self, hash: &str) -> AskEvents {
        let (chain, hash) = (self.chain(), hash.to_owned());
        AskEvents { chain, hash, from: None, to: None, name: None, limit: 100, after: None }
    }

    /// All events, page by page.
    pub(crate) async fn events(&self, ask: AskEvents) -> Vec<Event> {
        let (mut all, mut after) = (Vec::new(), ask.after.clone());
        loop {
            let page = self.contracts.events(&self.cx, AskEvents { after, ..ask.clone() }).await.unwrap();
            assert!(page.items.len() <= ask.limit as usize);
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// From now on no node answers.
    pub(crate) async fn cut_off(&self) {
        match &self.node {
            Node::X(node) => node.stop().await.unwrap(),
            Node::N3(node) => node.stop().await.unwrap(),
        }
    }

    pub(crate) async fn end(self) {
        let verdict = verify(&self.db, None, &self.key, None).await.unwrap();
        assert!(verdict.whole(), "{:?}", verdict.faults);
        self.tasks.drain(Duration::from_secs(20)).await;
        self.db.drain().await;
        match self.node {
            Node::X(node) => node.stop().await.unwrap(),
            Node::N3(node) => node.stop().await.unwrap(),
        }
    }
}

fn cx(tenant: TenantId) -> Cx {
    Cx::system(tenant, Duration::from_secs(600))
}

/// Looks again and again until there is something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let wait = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: not in time"))
}

/// The slug of a refusal, and what it says.
pub(crate) fn refused<T: std::fmt::Debug>(done: Result<T>) -> (String, String) {
    let error: Error = done.unwrap_err();
    (error.slug.to_string(), error.message)
}
