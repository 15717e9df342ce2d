//! A network of one node, and transfers on it.

use std::path::Path;

use neo::{
    Hash160, Hash256, PrivateKey,
    native::GAS,
    stack::Param,
    token::nep17,
    tx::{Scopes, Signer, Transaction, Witness},
    wire::Wire,
};
use neo_rpc::{
    Client, Code, Error,
    model::{Execution, Trigger, VmState},
};
use nsl_devnet::{Database, N3, N3Options};
use num_bigint::BigInt;
use serde_json::{Value, json};

pub(crate) struct Net {
    pub(crate) node: N3,
    /// Straight to the node.
    pub(crate) client: Client,
    _dir: tempfile::TempDir,
}

impl Net {
    pub(crate) async fn start(database: Database) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = started(dir.path(), database).await;
        let client = Client::new(&node.rpc).unwrap();
        Self { node, client, _dir: dir }
    }

    pub(crate) async fn memory() -> Self {
        Self::start(Database::Memory).await
    }

    pub(crate) fn key(&self, number: usize) -> PrivateKey {
        PrivateKey::from_wif(&self.node.accounts[number].key).unwrap()
    }

    /// The height of the newest block.
    pub(crate) async fn height(&self) -> u32 {
        self.client.block_count().await.unwrap() - 1
    }

    /// A payer whose fees are known.
    pub(crate) async fn payer(&self, number: usize) -> Payer {
        let key = self.key(number);
        let mut payer = Payer { key, magic: self.node.magic, system_fee: 0, network_fee: 0 };
        let mut transfer = payer.transfer(Hash160::from_le([9; 20]), 1, 1, 5000);
        let signers = [transfer.signers[0].clone().into()];
        let run = self.client.invoke_script(&transfer.script, &signers, false).await.unwrap();
        assert_eq!(run.state, VmState::Halt, "{run:?}");
        transfer.system_fee = run.gas_consumed;
        payer.system_fee = run.gas_consumed;
        // A little more than is needed: scripts differ in length.
        payer.network_fee = self.client.calculate_network_fee(&transfer).await.unwrap() + 50_000;
        payer
    }
}

async fn started(dir: &Path, database: Database) -> N3 {
    N3::start(dir, N3Options { database, ..N3Options::default() }).await.unwrap()
}

pub(crate) struct Payer {
    pub(crate) key: PrivateKey,
    magic: u32,
    pub(crate) system_fee: i64,
    pub(crate) network_fee: i64,
}

impl Payer {
    pub(crate) fn account(&self) -> Hash160 {
        self.key.public().script_hash()
    }

    /// A signed transfer of GAS.
    pub(crate) fn transfer(&self, to: Hash160, amount: u64, nonce: u32, until: u32) -> Transaction {
        let script = nep17(GAS).transfer_or_fault(&self.account(), &to, &BigInt::from(amount), Param::Null).unwrap();
        self.signed(script, nonce, until)
    }

    pub(crate) fn signed(&self, script: Vec<u8>, nonce: u32, until: u32) -> Transaction {
        let signer = Signer { account: self.account(), scopes: Scopes::CALLED_BY_ENTRY, ..Signer::default() };
        let mut transaction = Transaction {
            nonce,
            system_fee: self.system_fee,
            network_fee: self.network_fee,
            valid_until_block: until,
            signers: vec![signer],
            script,
            ..Transaction::default()
        };
        let witness = Witness::single(&self.key, &transaction.message(self.magic));
        transaction.witnesses = vec![witness];
        transaction
    }
}

/// Sends transactions, whatever happens to the node meanwhile.
pub(crate) async fn send_all(client: &Client, transactions: &[Transaction]) {
    let mut left: Vec<&Transaction> = transactions.iter().collect();
    while !left.is_empty() {
        let params: Vec<Vec<Value>> = left.iter().map(|tx| vec![json!(in_base64(&tx.to_bytes()))]).collect();
        match client.batch::<Value>("sendrawtransaction", &params).await {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                left.retain(|_| match answers.next().unwrap() {
                    Ok(_) => false,
                    Err(Error::Node(refusal)) => {
                        let known = matches!(refusal.code, Code::AlreadyInPool | Code::AlreadyExists);
                        assert!(known || refusal.code == Code::MempoolCapReached, "{refusal}");
                        !known
                    }
                    Err(error) => panic!("{error}"),
                });
            }
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

fn in_base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

/// A transfer of GAS as the chain has it: block, number of the transaction, number of the notification, hash, receiver,
/// amount.
pub(crate) type Place = (u32, u32, u32, Hash256);

/// Where all transfers to an account are, read call by call, straight from the node.
pub(crate) async fn transfers_to(net: &Net, to: Hash160, from: u32, till: u32) -> Vec<Place> {
    let mut places = Vec::new();
    for height in from..=till {
        let block = net.client.block(height).await.unwrap();
        for (number, transaction) in (0..).zip(&block.transactions) {
            let hash = transaction.hash();
            let log = net.client.application_log(hash, Some(Trigger::Application)).await.unwrap().unwrap();
            let [Execution { state, notifications, .. }] = &log.executions[..] else { panic!("{log:?}") };
            for (at, told) in (0..).zip(notifications) {
                let receiver = told.values().and_then(|values| values[1].as_hash160().ok());
                if *state == VmState::Halt && told.contract == GAS && receiver == Some(to) {
                    places.push((height, number, at, hash));
                }
            }
        }
    }
    places
}
