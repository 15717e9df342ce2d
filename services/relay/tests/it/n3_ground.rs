//! A relay over a running neo-go, that may be stopped and started again on the same database.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use neo::{
    Hash160, PrivateKey,
    manifest::Manifest,
    native,
    nef::{Nef, contract_hash},
    stack::Param,
    tx::{Signer, Transaction as Raw, Witness},
    wire::Wire,
};
use nsl_api::{
    Chain as Name, Revealed,
    relay::{AddAccount, AskPassed, Call, FindTransaction, ListAccounts, Passed, Relay, State, Submit, Transaction},
};
use nsl_chain::{Chain, N3Config, Receipt, n3::NeoN3};
use nsl_core::{Cx, Once, Result, TenantId};
use nsl_devnet::{N3, N3Options};
use nsl_relay::Config;
use nsl_sandbox::Database;

use crate::{
    process::{Chains, Process},
    proxy::Proxy,
};

/// Where the copy of a chain is kept.
const KEPT: &str = "kept";

pub(crate) struct N3Ground {
    pub(crate) node: N3,
    /// Between the relay and the node.
    pub(crate) gate: Proxy,
    /// The node, past the gate.
    pub(crate) chain: NeoN3,
    relays: Arc<NeoN3>,
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) cx: Cx,
    pub(crate) config: Config,
    paused: Arc<AtomicBool>,
    pub(crate) processes: Vec<Process>,
    dir: Arc<tempfile::TempDir>,
    database: Option<Arc<Database>>,
}

pub(crate) fn config() -> Config {
    Config { resend_ms: 500, ..Config::default() }
}

impl N3Ground {
    pub(crate) async fn fresh(database: Option<Database>) -> Self {
        Self::on(database, N3Options::default(), config()).await
    }

    pub(crate) async fn on(database: Option<Database>, options: N3Options, config: Config) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let node = N3::start(&dir.path().join("n3"), options).await.unwrap();
        let gate = Proxy::before(&node.rpc).await;
        let open = |url: &str| {
            let mut endpoints = N3Config::of(node.magic, &[url]);
            // A node that is being restarted is asked again soon.
            (endpoints.pool.eject_ms, endpoints.pool.probe_ms) = (200, 200);
            NeoN3::open(endpoints).unwrap()
        };
        let (chain, relays) = (open(&node.rpc), Arc::new(open(&gate.url)));
        let cx = Cx::system(TenantId::fresh(), Duration::from_secs(600));
        let database = database.map(Arc::new);
        let paused = Arc::default();
        let chains = Chains { n3: Some(Arc::clone(&relays)), ..Chains::default() };
        let first = Process::start(chains, config.clone(), dir.path(), database.as_deref(), Arc::clone(&paused)).await;
        let relay = Arc::clone(&first.relay);
        let processes = vec![first];
        let ground = Self { node, gate, chain, relays, relay, cx, config, paused, processes, dir, database };
        if ground.relay.list_accounts(&ground.cx, ListAccounts { chain: Name::NeoN3 }).await.unwrap().items.is_empty() {
            for account in &ground.node.accounts {
                let key = Some(Revealed(account.key.clone()));
                let add = AddAccount { chain: Name::NeoN3, label: account.name.clone(), key };
                assert_eq!(ground.relay.add_account(&ground.cx, add).await.unwrap().address, account.address);
            }
        }
        ground
    }

    /// Another process on the same database; requests may go to either.
    pub(crate) async fn second(&mut self) -> Arc<dyn Relay> {
        let chains = Chains { n3: Some(Arc::clone(&self.relays)), ..Chains::default() };
        let (config, paused) = (self.config.clone(), Arc::clone(&self.paused));
        let second = Process::start(chains, config, self.dir.path(), self.database.as_deref(), paused).await;
        let relay = Arc::clone(&second.relay);
        self.processes.push(second);
        relay
    }

    /// Nothing is tried out, so that what comes meanwhile waits together.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    pub(crate) fn unpause(&self) {
        self.paused.store(false, Ordering::Relaxed);
    }

    /// Keeps a copy of the chain that the node has by now, which is on disk.
    pub(crate) async fn keep_chain(&mut self) {
        self.node.stop().await.unwrap();
        copy(&self.chain_dir(), &self.dir.path().join(KEPT));
        self.node.restart().await.unwrap();
    }

    /// Stops the node and gives it the copy: when it is started again its chain is shorter, and goes on as another one.
    pub(crate) async fn set_back(&mut self) {
        self.node.stop().await.unwrap();
        fs::remove_dir_all(self.chain_dir()).unwrap();
        copy(&self.dir.path().join(KEPT), &self.chain_dir());
    }

    fn chain_dir(&self) -> PathBuf {
        self.dir.path().join("n3/chain")
    }

    /// Ends the relay where it stands, and starts another on what it left.
    pub(crate) async fn restart(&mut self) {
        self.down().await;
        self.relay = self.second().await;
    }

    pub(crate) async fn down(&mut self) {
        for process in self.processes.drain(..) {
            process.end().await;
        }
    }

    pub(crate) fn account(&self, number: usize) -> Hash160 {
        Hash160::from_address(&self.node.accounts[number].address).unwrap()
    }

    pub(crate) async fn submit(&self, once: &str, call: Call) -> Result<Transaction> {
        self.submit_with(
            once,
            Submit {
                chain: Name::NeoN3,
                account: self.account(0).to_string(),
                call,
                max_fee: None,
                valid_for_ms: None,
            },
        )
        .await
    }

    pub(crate) async fn submit_with(&self, once: &str, submit: Submit) -> Result<Transaction> {
        submit_to(&*self.relay, &self.cx, once, submit).await
    }

    pub(crate) async fn done(&self, once: &str, call: Call) -> Transaction {
        let id = self.submit(once, call).await.unwrap().id;
        self.settled(&[id]).await.remove(0)
    }

    pub(crate) async fn find(&self, id: &str) -> Transaction {
        self.relay.find(&self.cx, FindTransaction { chain: Name::NeoN3, id: id.into() }).await.unwrap()
    }

    pub(crate) async fn passed(&self, id: &str) -> Vec<Passed> {
        self.relay.passed(&self.cx, AskPassed { chain: Name::NeoN3, id: id.into(), after: 0 }).await.unwrap().items
    }

    /// Waits until all have come to their end.
    pub(crate) async fn settled(&self, ids: &[String]) -> Vec<Transaction> {
        let wait = async {
            let mut done = Vec::with_capacity(ids.len());
            for id in ids {
                done.push(self.until(id, |now| is_end(now.state)).await);
            }
            done
        };
        tokio::time::timeout(Duration::from_secs(120), wait).await.expect("all are settled in time")
    }

    pub(crate) async fn until(&self, id: &str, wanted: impl Fn(&Transaction) -> bool) -> Transaction {
        loop {
            let now = self.find(id).await;
            if wanted(&now) {
                return now;
            }
            assert!(!is_end(now.state), "{now:?} {:?}", self.passed(id).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a safe method gives back, as an integer.
    pub(crate) async fn number(&self, contract: Hash160, method: &str, args: &[Param]) -> i64 {
        let script = script(contract, method, args);
        let call = nsl_chain::Call::N3(nsl_chain::n3::Call { script, signers: Vec::new() });
        let nsl_chain::Output::N3(stack) = self.chain.read(&call, None).await.unwrap() else { unreachable!() };
        stack[0].as_integer().unwrap().try_into().unwrap()
    }

    pub(crate) async fn gas_of(&self, account: Hash160) -> i64 {
        self.number(native::GAS, "balanceOf", &[account.into()]).await
    }

    /// Deploys through the relay.
    pub(crate) async fn deploy(&self, nef: &[u8], manifest: &str, data: Param) -> Hash160 {
        let args = [Param::ByteArray(nef.to_vec()), Param::String(manifest.to_owned()), data];
        let done = self
            .done(&format!("deploy {}", &manifest[..40]), invoke(native::CONTRACT_MANAGEMENT, "deploy", &args))
            .await;
        assert_eq!(done.state, State::Final, "{done:?}");
        let name = Manifest::from_json(manifest.as_bytes()).unwrap().name;
        contract_hash(self.account(0), Nef::from_bytes(nef).unwrap().checksum(), &name)
    }

    /// Sends past the relay, for the committee where it is of it, and waits for the block.
    pub(crate) async fn send_past(&self, key: &PrivateKey, verification: Vec<u8>, script: Vec<u8>) {
        let account = Hash160::of_script(&verification);
        let call = nsl_chain::n3::Call { script, signers: vec![Signer::called_by_entry(account)] };
        let run = self.chain.invoke(&call, None).await.unwrap();
        assert_eq!(run.exception, None);
        let mut tx = Raw {
            nonce: 1,
            system_fee: run.gas_consumed,
            valid_until_block: self.chain.height().await.unwrap() as u32 + 20,
            signers: call.signers,
            script: call.script,
            witnesses: vec![Witness { invocation: Vec::new(), verification: verification.clone() }],
            ..Raw::default()
        };
        tx.network_fee = self.chain.network_fee(&tx).await.unwrap();
        let signature = key.sign(&tx.message(self.chain.magic()));
        tx.witnesses[0].invocation = [&[0x0c, 64][..], &signature].concat();
        let id = self.chain.send(&tx.to_bytes()).await.unwrap();
        let done = async {
            while !matches!(self.chain.receipt(&id).await, Ok(Receipt::Executed(done)) if done.fault.is_none()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), done).await.expect("a block has it");
    }

    pub(crate) async fn evidence_is_whole(&self) {
        self.processes[0].evidence_is_whole().await;
    }

    /// The transaction under which the chain has it.
    pub(crate) async fn transaction(&self, hash: &str) -> neo::tx::Transaction {
        let body =
            serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "getrawtransaction", "params": [hash, true] });
        let answer: serde_json::Value =
            reqwest::Client::new().post(&self.node.rpc).json(&body).send().await.unwrap().json().await.unwrap();
        serde_json::from_value(answer["result"].clone()).unwrap()
    }

    pub(crate) async fn blocks(&self, more: u64) {
        let until = self.chain.height().await.unwrap() + more;
        while self.chain.height().await.unwrap() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn end(mut self) {
        self.down().await;
        self.node.stop().await.unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

pub(crate) async fn submit_to(relay: &dyn Relay, cx: &Cx, once: &str, submit: Submit) -> Result<Transaction> {
    let mut cx = cx.clone();
    cx.once = Some(Once { key: once.into(), fingerprint: format!("{submit:?}").into() });
    relay.submit(&cx, submit).await
}

pub(crate) fn is_end(state: State) -> bool {
    matches!(state, State::Final | State::Failed | State::Expired | State::Replaced)
}

pub(crate) fn script(contract: Hash160, method: &str, args: &[Param]) -> Vec<u8> {
    let mut builder = neo::script::Builder::new();
    builder.call(&contract, method, neo::script::CallFlags::ALL, args).finish().unwrap()
}

pub(crate) fn invoke(contract: Hash160, method: &str, args: &[Param]) -> Call {
    Call {
        contract: Some(contract.to_string()),
        method: Some(method.into()),
        args: args.iter().map(|arg| serde_json::to_value(arg).unwrap()).collect(),
        ..Call::default()
    }
}

pub(crate) fn shared(call: Call) -> Call {
    Call { share: true, ..call }
}
