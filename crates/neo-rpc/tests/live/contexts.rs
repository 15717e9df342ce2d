//! Signing contexts go round between this library and the program neo-go.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use neo::{
    Hash160, PrivateKey, account,
    context::Context,
    fee::{Verification, network_fee},
    native,
    nep2::{Scrypt, encrypt},
    nep6::{Account, Wallet},
    script::{Builder, CallFlags},
    stack::Param,
    tx::{Signer, Transaction},
    wire::Wire,
};
use nsl_devnet::{Cache, N3, N3Options, NEO_GO};
use serde_json::json;

use crate::node::{Node, base64};

/// The program, with a wallet that has one key and its share of an account of several.
struct NeoGo {
    program: PathBuf,
    dir: PathBuf,
    rpc: String,
}

impl NeoGo {
    fn new(program: PathBuf, dir: &Path, rpc: &str, key: &PrivateKey, script: &[u8]) -> Self {
        let mut wallet = Wallet::new(None, Scrypt::STANDARD);
        let encrypted = encrypt(key, "one", &Scrypt::STANDARD).unwrap();
        wallet.add(Account::single(&key.public(), Some(encrypted.clone()), None)).unwrap();
        let (threshold, keys) = account::read_multi(script).unwrap();
        wallet.add(Account::multi(threshold, &keys, Some(encrypted), None).unwrap()).unwrap();
        fs::write(dir.join("wallet.json"), wallet.to_json()).unwrap();
        let config = format!("Path: {}\nPassword: one\n", dir.join("wallet.json").display());
        fs::write(dir.join("wallet.yml"), config).unwrap();
        Self { program, dir: dir.into(), rpc: rpc.into() }
    }

    fn run(&self, words: &[&str]) {
        let mut command = Command::new(&self.program);
        let done = command.args(words).current_dir(&self.dir).env_remove("HTTP_PROXY").output().unwrap();
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{words:?}: {told} {}", String::from_utf8_lossy(&done.stdout));
    }

    fn read(&self, file: &str) -> Context {
        serde_json::from_slice(&fs::read(self.dir.join(file)).unwrap()).unwrap()
    }

    fn write(&self, file: &str, context: &Context) {
        fs::write(self.dir.join(file), serde_json::to_vec(context).unwrap()).unwrap();
    }
}

/// An account of three of seven keys, of which neo-go has the second.
struct Shared {
    keys: Vec<PrivateKey>,
    script: Vec<u8>,
    node: Node,
    neo_go: NeoGo,
    _dir: tempfile::TempDir,
    _network: N3,
}

impl Shared {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let network = N3::start(&dir.path().join("node"), N3Options::default()).await.unwrap();
        let keys: Vec<_> = (1..=7).map(|number| PrivateKey::from_bytes(&[number; 32]).unwrap()).collect();
        let script = account::multi(3, &keys.iter().map(PrivateKey::public).collect::<Vec<_>>()).unwrap();
        for account in [Hash160::of_script(&script), keys[0].public().script_hash()] {
            network.fund_gas(&account.address(), 100 * 100_000_000).await.unwrap();
        }
        let program = Cache::of_user().unwrap().program(&NEO_GO).await.unwrap();
        let neo_go = NeoGo::new(program, dir.path(), &network.rpc, &keys[1], &script);
        Self { keys, script, node: Node::of(&network), neo_go, _dir: dir, _network: network }
    }

    fn account(&self) -> Hash160 {
        Hash160::of_script(&self.script)
    }

    /// A transfer by the shared account, which a sponsor pays for.
    fn sponsored(&self) -> Transaction {
        let sponsor = &self.keys[0].public();
        let to = Param::from(Hash160::of_script(b"somebody"));
        let args = [self.account().into(), to, 123.into(), Param::Null];
        let script = Builder::new().call(&native::GAS, "transfer", CallFlags::ALL, &args).finish().unwrap();
        let mut tx = Transaction {
            nonce: 5,
            system_fee: 10_000_000,
            valid_until_block: self.node.height() + 1000,
            signers: vec![Signer::none(sponsor.script_hash()), Signer::called_by_entry(self.account())],
            script,
            ..Transaction::default()
        };
        let ways = [Verification::key(sponsor), Verification::Script(self.script.clone())];
        tx.network_fee = network_fee(&tx, &ways, &self.node.prices()).unwrap();
        tx
    }
}

#[tokio::test]
async fn neo_go_signs_and_sends_what_we_began() {
    let shared = Shared::start().await;
    let mut context = Context::new(shared.node.magic, shared.sponsored()).unwrap();
    context.add_script(&shared.script).unwrap();
    assert_eq!(context.sign(&shared.keys[0]).unwrap(), 2, "as the sponsor, and as one of seven");
    assert_eq!(context.sign(&shared.keys[6]).unwrap(), 1);
    shared.neo_go.write("ours.json", &context);

    let address = shared.account().address();
    let (config, rpc) = (["--wallet-config", "wallet.yml"], shared.neo_go.rpc.clone());
    let sign = ["wallet", "sign", config[0], config[1], "-a", &address, "--in", "ours.json", "--out", "both.json"];
    shared.neo_go.run(&sign);
    shared.neo_go.run(&["util", "sendtx", "-r", &rpc, "--await", "both.json"]);
    let signed = shared.neo_go.read("both.json").complete().unwrap();
    signed.verify(shared.node.magic).unwrap();
    let log = shared.node.call("getapplicationlog", json!([signed.hash()])).unwrap();
    assert_eq!(log["executions"][0]["vmstate"], "HALT");

    // Read and written again it is the same, but that neo-go does not name who signed alone.
    let theirs = fs::read(shared.neo_go.dir.join("both.json")).unwrap();
    let theirs: serde_json::Value = serde_json::from_slice(&theirs).unwrap();
    let mut ours = serde_json::to_value(shared.neo_go.read("both.json")).unwrap();
    for (account, item) in theirs["items"].as_object().unwrap() {
        if item["signatures"].as_object().unwrap().is_empty() {
            ours["items"][account]["signatures"] = json!({});
        }
    }
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn we_sign_and_send_what_neo_go_began() {
    let shared = Shared::start().await;
    let (address, to) = (shared.account().address(), Hash160::of_script(b"somebody").address());
    shared.neo_go.run(&[
        "contract",
        "invokefunction",
        "-r",
        &shared.neo_go.rpc,
        "--wallet-config",
        "wallet.yml",
        "-a",
        &address,
        "--out",
        "theirs.json",
        "--force",
        &native::GAS.to_string(),
        "transfer",
        &address,
        &to,
        "123",
        "a note",
        "--",
        &format!("{address}:CalledByEntry"),
    ]);
    let mut context = shared.neo_go.read("theirs.json");
    assert_eq!(context.missing(), [shared.account()], "one of three signed");
    for key in [5, 3] {
        assert_eq!(context.sign(&shared.keys[key]).unwrap(), 1);
    }
    let signed = context.complete().unwrap();
    signed.verify(shared.node.magic).unwrap();
    let sent = shared.node.call("sendrawtransaction", json!([base64(&signed.to_bytes())])).unwrap();
    assert_eq!(sent["hash"], signed.hash().to_string());
}
