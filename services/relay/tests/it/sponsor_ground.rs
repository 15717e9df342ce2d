//! A neo-go with a token, and a relay that keeps one account with money: the sponsor.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use neo::{
    Hash160, PrivateKey, native,
    nef::{Nef, contract_hash},
    script::{Builder, CallFlags},
    stack::Param,
    tx::{Scopes, Signer, Transaction, Witness},
    wire::Wire,
};
use nsl_api::{
    Chain as Name, Revealed,
    relay::{AddAccount, FindTransaction, Relay, Scope, State, Transaction as Kept},
    sponsor::{Complete, NameSponsor, Prepare, Prepared, Proof, PutSponsor, SponsorPolicy, SponsoredContract},
};
use nsl_chain::{
    Chain, Executed, N3Config, Output, Receipt,
    n3::{self, NeoN3},
};
use nsl_core::{Cx, TenantId};
use nsl_devnet::{N3, N3Options};
use nsl_relay::Config;
use nsl_sandbox::Database;
use serde_json::json;

use crate::{
    process::{Chains, Process},
    proxy::Proxy,
};

const TOKEN: (&[u8], &str) = (
    include_bytes!("../../../../contracts/n3/token.nef"),
    include_str!("../../../../contracts/n3/token.manifest.json"),
);
pub(crate) const GAS: i64 = 100_000_000;
const WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Ground {
    /// Between the relay and the node.
    pub(crate) proxy: Proxy,
    pub(crate) node: N3,
    /// As the tests see it.
    pub(crate) chain: Arc<NeoN3>,
    pub(crate) relay: Arc<dyn Relay>,
    pub(crate) paused: Arc<AtomicBool>,
    pub(crate) cx: Cx,
    /// Has all of the token.
    pub(crate) owner: PrivateKey,
    pub(crate) sponsor: PrivateKey,
    pub(crate) token: Hash160,
    process: Process,
    dir: tempfile::TempDir,
    database: Option<Database>,
}

fn open(node: &N3, url: &str) -> Arc<NeoN3> {
    let mut config = N3Config::of(node.magic, &[url]);
    config.pool.poll_ms = 20;
    Arc::new(NeoN3::open(config).unwrap())
}

async fn process(
    node: &N3,
    proxy: &Proxy,
    dir: &Path,
    database: Option<&Database>,
    paused: &Arc<AtomicBool>,
) -> Process {
    let chains = Chains { n3: Some(open(node, &proxy.url)), ..Chains::default() };
    let config = Config { resend_ms: 300, ..Config::default() };
    Process::start(chains, config, dir, database, Arc::clone(paused)).await
}

pub(crate) fn hash(key: &PrivateKey) -> Hash160 {
    key.public().script_hash()
}

/// A key that nobody used before.
pub(crate) fn wallet(number: u8) -> PrivateKey {
    PrivateKey::from_bytes(&[number; 32]).unwrap()
}

impl Ground {
    pub(crate) async fn fresh(database: Option<Database>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = N3::start(&dir.path().join("n3"), N3Options::default()).await.unwrap();
        let proxy = Proxy::before(&node.rpc).await;
        let chain = open(&node, &node.rpc);
        let paused = Arc::default();
        let process = process(&node, &proxy, dir.path(), database.as_ref(), &paused).await;
        let relay = Arc::clone(&process.relay);
        let funded = |place: usize| PrivateKey::from_wif(&node.accounts[place].key).unwrap();
        let (owner, sponsor) = (funded(0), funded(1));
        let nef = Nef::from_bytes(TOKEN.0).unwrap();
        let cx = Cx::system(TenantId::fresh(), Duration::from_secs(120));
        let token = contract_hash(hash(&owner), nef.checksum(), "Token");
        let ground = Self { proxy, node, chain, relay, paused, cx, owner, sponsor, token, process, dir, database };
        let args = [Param::ByteArray(TOKEN.0.to_vec()), Param::String(TOKEN.1.to_owned())];
        let deploy = script(&native::CONTRACT_MANAGEMENT, "deploy", &args);
        assert_eq!(ground.alone(&ground.owner, deploy).await.fault, None);
        ground.keep(&ground.sponsor).await;
        ground
    }

    /// The relay takes requests, and nobody works at them any more.
    pub(crate) async fn halt(&self) {
        self.process.halt().await;
    }

    /// Another process on what the last one left.
    pub(crate) async fn again(&mut self) {
        self.process.end().await;
        let database = self.database.as_ref();
        self.process = process(&self.node, &self.proxy, self.dir.path(), database, &self.paused).await;
        self.relay = Arc::clone(&self.process.relay);
    }

    /// Takes an account over; the relay signs for it from then on.
    pub(crate) async fn keep(&self, key: &PrivateKey) {
        let wif = Some(Revealed(key.to_wif().to_string()));
        let add = AddAccount { chain: Name::NeoN3, label: String::new(), key: wif };
        assert_eq!(self.relay.add_account(&self.cx, add).await.unwrap().address, key.public().address());
    }

    pub(crate) async fn put(&self, policy: SponsorPolicy) {
        let account = self.sponsor.public().address();
        self.relay.put_sponsor(&self.cx, PutSponsor { account, policy }).await.unwrap();
    }

    pub(crate) fn policy(&self, methods: &[&str]) -> SponsorPolicy {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        SponsorPolicy {
            contracts: vec![SponsoredContract { contract: self.token.to_string(), methods }],
            per_transaction: GAS.to_string(),
            per_day: (10 * GAS).to_string(),
            per_user_per_day: (10 * GAS).to_string(),
        }
    }

    pub(crate) fn call(&self, user: Hash160, method: &str, args: &[Param]) -> Prepare {
        Prepare {
            sponsor: hash(&self.sponsor).to_string(),
            user: user.address(),
            contract: self.token.to_string(),
            method: method.to_owned(),
            args: args.iter().map(|arg| json!(arg)).collect(),
            scope: Scope::Minimal,
            verification: None,
            valid_for_ms: None,
        }
    }

    pub(crate) fn transfer(&self, from: Hash160, to: Hash160, amount: u64) -> Prepare {
        self.call(from, "transfer", &transfer_args(from, to, amount))
    }

    pub(crate) async fn prepare(&self, prepare: Prepare) -> Result<Prepared, String> {
        self.relay.prepare_sponsored(&self.cx, prepare).await.map_err(|error| error.slug.into_owned())
    }

    pub(crate) async fn complete(&self, id: &str, proof: Proof) -> Result<Kept, String> {
        let complete = Complete { id: id.to_owned(), proof };
        self.relay.complete_sponsored(&self.cx, complete).await.map_err(|error| error.slug.into_owned())
    }

    /// Waits for its end.
    pub(crate) async fn settled(&self, id: &str) -> Kept {
        let wait = async {
            loop {
                let now =
                    self.relay.find(&self.cx, FindTransaction { chain: Name::NeoN3, id: id.into() }).await.unwrap();
                if !matches!(now.state, State::Accepted | State::Simulated | State::Signed | State::Sent | State::Seen)
                {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WITHIN, wait).await.expect("it comes to its end in time")
    }

    pub(crate) async fn number(&self, contract: &Hash160, method: &str, args: &[Param]) -> i64 {
        let call = n3::Call { script: script(contract, method, args), signers: Vec::new() };
        match self.chain.read(&nsl_chain::Call::N3(call), None).await.unwrap() {
            Output::N3(stack) => stack[0].as_integer().unwrap().try_into().unwrap(),
            Output::X(_) => panic!("of the other chain"),
        }
    }

    pub(crate) async fn gas(&self, of: Hash160) -> i64 {
        self.number(&native::GAS, "balanceOf", &[Param::Hash160(of)]).await
    }

    pub(crate) async fn tokens(&self, of: Hash160) -> i64 {
        self.number(&self.token, "balanceOf", &[Param::Hash160(of)]).await
    }

    pub(crate) async fn spent(&self) -> i64 {
        let account = hash(&self.sponsor).to_string();
        let info = self.relay.find_sponsor(&self.cx, NameSponsor { account }).await.unwrap();
        info.spent_today.parse().unwrap()
    }

    /// The owner gives somebody tokens.
    pub(crate) async fn give(&self, to: Hash160, amount: u64) {
        let args = transfer_args(hash(&self.owner), to, amount);
        assert_eq!(self.alone(&self.owner, script(&self.token, "transfer", &args)).await.fault, None);
    }

    /// A client without us: makes, signs and sends.
    pub(crate) async fn alone(&self, key: &PrivateKey, script: Vec<u8>) -> Executed {
        let transaction = self.made(&[(key, Scopes::CALLED_BY_ENTRY)], script).await;
        self.send(&transaction).await
    }

    /// A transaction that these keys signed in these scopes; the first pays.
    pub(crate) async fn made(&self, signers: &[(&PrivateKey, Scopes)], script: Vec<u8>) -> Transaction {
        let of = |(key, scopes): &(&PrivateKey, Scopes)| Signer::new(hash(key), *scopes);
        let all: Vec<Signer> = signers.iter().map(of).collect();
        let run = self.chain.invoke(&n3::Call { script, signers: all.clone() }, None).await.unwrap();
        let proof = |(key, _): &(&PrivateKey, Scopes)| Witness {
            invocation: Vec::new(),
            verification: key.public().verification_script(),
        };
        let height = self.chain.height().await.unwrap() as u32;
        let mut transaction = Transaction {
            nonce: height,
            system_fee: run.gas_consumed,
            valid_until_block: height + 100,
            signers: all,
            script: run.script,
            witnesses: signers.iter().map(proof).collect(),
            ..Transaction::default()
        };
        transaction.network_fee = self.chain.network_fee(&transaction).await.unwrap();
        signers.iter().for_each(|(key, _)| transaction.sign(self.chain.magic(), key).unwrap());
        transaction
    }

    pub(crate) async fn send(&self, transaction: &Transaction) -> Executed {
        let id = self.chain.send(&transaction.to_bytes()).await.unwrap();
        let wait = async {
            loop {
                if let Receipt::Executed(done) = self.chain.receipt(&id).await.unwrap() {
                    return *done;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WITHIN, wait).await.expect("a block takes it in time")
    }

    pub(crate) async fn end(self) {
        self.process.halt().await;
        self.process.evidence_is_whole().await;
        self.process.end().await;
        self.node.stop().await.unwrap();
    }
}

pub(crate) fn script(contract: &Hash160, method: &str, args: &[Param]) -> Vec<u8> {
    let mut script = Builder::new();
    script.call(contract, method, CallFlags::ALL, args);
    script.finish().unwrap()
}

pub(crate) fn transfer_args(from: Hash160, to: Hash160, amount: u64) -> [Param; 4] {
    [Param::Hash160(from), Param::Hash160(to), Param::Integer(amount.into()), Param::Null]
}

/// The signature of one key, as a page hands it back.
pub(crate) fn signature(key: &PrivateKey, prepared: &Prepared) -> Proof {
    let message = hex::decode(&prepared.message).unwrap();
    let signature = Some(hex::encode(key.sign(&message)));
    Proof { signature, public_key: Some(key.public().to_string()), ..Proof::default() }
}
