//! What the tests of wallets have at hand: a running platform, and the wallets.

use std::sync::atomic::{AtomicUsize, Ordering};

use nsl_devnet::{Cache, NEO_GO};
use nsl_sandbox::{Reply, http};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, ok},
    neo_go_wallet::Wallet,
    peer::{Peer, text},
};

/// Requests of people without a credential, to one process after the other.
pub(crate) struct Street<'a> {
    pub(crate) ground: &'a Ground,
    next: AtomicUsize,
}

impl<'a> Street<'a> {
    pub(crate) fn of(ground: &'a Ground) -> Self {
        Self { ground, next: AtomicUsize::new(0) }
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Reply {
        let nodes = &self.ground.nodes;
        let node = &nodes[self.next.fetch_add(1, Ordering::Relaxed) % nodes.len()];
        let headers = ["Content-Type: application/json".to_owned()];
        http("POST", node.public(), path, &headers, &body.to_string()).unwrap()
    }

    pub(crate) fn challenge(&self, chain: &str, address: &str) -> Value {
        ok(&self.post("/v1/auth/wallet/challenge", &json!({ "chain": chain, "address": address })))
    }

    pub(crate) fn login(&self, proof: &Value) -> Reply {
        self.post("/v1/auth/wallet/login", proof)
    }

    /// Who the account is here, as every process says it.
    pub(crate) fn enter(&self, proof: &Value) -> String {
        let tokens = ok(&self.login(proof));
        assert_eq!(tokens["token_type"], json!("Bearer"), "{tokens}");
        let who = |node: &nsl_sandbox::Nsl| {
            let headers = [format!("Authorization: Bearer {}", text(&tokens, "access_token"))];
            let whoami = ok(&http("GET", node.public(), "/v1/identity/whoami", &headers, "").unwrap());
            assert_eq!((&whoami["kind"], &whoami["tenant"]), (&json!("token"), &tokens["tenant"]));
            text(&whoami, "subject").to_owned()
        };
        let mut said: Vec<String> = self.ground.nodes.iter().map(who).collect();
        said.dedup();
        assert_eq!(said.len(), 1, "{said:?}");
        said.remove(0)
    }
}

/// An account of Neo X, in ethers.
pub(crate) struct Ether {
    pub(crate) private_key: String,
    pub(crate) address: String,
}

impl Ether {
    pub(crate) fn new(peer: &mut Peer, number: u8) -> Self {
        let private_key = format!("0x{}", format!("{number:02x}").repeat(32));
        let made = peer.ask("ethers", json!({ "private_key": private_key, "message": "" }));
        Self { private_key, address: text(&made, "address").to_owned() }
    }

    pub(crate) fn sign(&self, peer: &mut Peer, message: &str) -> String {
        let signed = peer.ask("ethers", json!({ "private_key": self.private_key, "message": message }));
        text(&signed, "signature").to_owned()
    }

    pub(crate) fn proof(&self, peer: &mut Peer, message: &str) -> Value {
        let signature = self.sign(peer, message);
        json!({ "chain": "neo-x", "address": self.address, "message": message, "signature": signature })
    }
}

/// An account of Neo N3, in neon-js.
pub(crate) struct Neon {
    pub(crate) private_key: String,
    pub(crate) public_key: String,
    pub(crate) address: String,
}

/// How wallets of Neo N3 sign a text.
pub(crate) const WAYS: [(&str, Value); 6] = [
    ("neon", Value::Null),
    ("dappkit", Value::Bool(true)),
    ("dappkit", Value::Bool(false)),
    ("dappkit", Value::Null),
    ("neoline2", Value::Bool(true)),
    ("neoline2", Value::Bool(false)),
];

impl Neon {
    pub(crate) fn new(peer: &mut Peer, number: u8) -> Self {
        let private_key = format!("{number:02x}").repeat(32);
        let made = peer.ask("account", json!({ "private_key": private_key }));
        Self {
            private_key,
            public_key: text(&made, "public_key").to_owned(),
            address: text(&made, "address").to_owned(),
        }
    }

    /// A signature with its key, and the salt where the wallet gave one.
    pub(crate) fn sign(&self, peer: &mut Peer, way: usize, message: &str) -> Value {
        let (op, flag) = &WAYS[way % WAYS.len()];
        let mut question = json!({ "private_key": self.private_key, "message": message });
        match (*op, flag) {
            ("dappkit", Value::Bool(true)) => question["version"] = json!(1),
            ("dappkit", Value::Bool(false)) => question["version"] = json!(3),
            ("dappkit", _) => question["version"] = json!(2),
            ("neoline2", Value::Bool(true)) => question["salt"] = json!("543e66d70a56506f0a69aff35f25f794"),
            _ => {}
        }
        peer.ask(op, question)
    }

    pub(crate) fn proof(&self, peer: &mut Peer, way: usize, message: &str) -> Value {
        let mut proof = self.sign(peer, way, message);
        proof["chain"] = json!("neo-n3");
        proof["address"] = json!(self.address);
        proof["message"] = json!(message);
        proof
    }
}

/// Wallets of neo-go in this directory.
pub(crate) fn neo_go<const N: usize>(dir: &std::path::Path, names: [&str; N]) -> [Wallet; N] {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let program = runtime.block_on(async { Cache::of_user().unwrap().program(&NEO_GO).await.unwrap() });
    names.map(|name| Wallet::fresh(&program, dir, name))
}

/// The message with another text in one of its lines, which begins so.
pub(crate) fn with_line(message: &str, begins: &str, line: &str) -> String {
    assert!(message.contains(&format!("\n{begins}")), "{begins} in {message}");
    let lines = message.split('\n').map(|old| if old.starts_with(begins) { line } else { old });
    lines.collect::<Vec<_>>().join("\n")
}
