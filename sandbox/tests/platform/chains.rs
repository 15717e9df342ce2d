//! Both chains through the whole program: contracts deployed, called and invoked, transactions sent once, whatever
//! the processes and engines are.

use std::{sync::LazyLock, thread};

use base64::{Engine, engine::general_purpose::STANDARD};
use nsl_devnet::{N3, N3Options, X, XOptions};
use nsl_sandbox::{eventually, http};
use serde_json::{Value, json};

use crate::ground::{Cut, Engines, Ground, problem};

/// Nodes live as long as the runtime that started them.
pub(crate) static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

struct Chains {
    n3: N3,
    x: X,
    _dir: tempfile::TempDir,
}

impl Chains {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let n3_options = N3Options { block_time: std::time::Duration::from_millis(100), ..N3Options::default() };
        let (n3, x) = RUNTIME.block_on(async {
            let (n3_dir, x_dir) = (dir.path().join("n3"), dir.path().join("x"));
            tokio::join!(N3::start(&n3_dir, n3_options), X::start(&x_dir, XOptions::default()))
        });
        Self { n3: n3.unwrap(), x: x.unwrap(), _dir: dir }
    }

    fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("NEO_N3_RPC_URL", self.n3.rpc.clone()),
            ("NSL_CHAIN__NEO_N3__MAGIC", self.n3.magic.to_string()),
            ("NEO_X_RPC_URL", self.x.rpc.clone()),
            ("NSL_CHAIN__NEO_X__CHAIN_ID", self.x.chain_id.to_string()),
        ]
    }
}

pub(crate) fn contract(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../contracts/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub(crate) fn contract_json(path: &str) -> Value {
    serde_json::from_slice(&contract(path)).unwrap()
}

#[test]
pub(crate) fn contracts_live_in_one_process_on_embedded_engines() {
    journey(Engines::Embedded, Cut::One);
}

#[test]
pub(crate) fn contracts_live_as_one_process_a_service_on_real_engines() {
    journey(Engines::Real, Cut::Each);
}

#[test]
pub(crate) fn contracts_live_in_two_equal_processes_on_real_engines() {
    journey(Engines::Real, Cut::Pair);
}

fn journey(engines: Engines, cut: Cut) {
    let chains = Chains::start();
    let settings = chains.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ground = Ground::start(engines, cut, &settings);
    let n3 = adopt(&ground, "neo-n3", &chains.n3.accounts[0].key);
    let x = adopt(&ground, "neo-x", &chains.x.accounts[0].key);
    on_n3(&ground, &n3);
    on_x(&ground, &x);
    equal_requests_are_one(&ground, "neo-x", &json!({ "account": x, "to": x, "value": "1", "data": "0x" }));
    let gas = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
    let transfer = json!({
        "account": n3, "contract": gas, "method": "transfer",
        "args": [{ "type": "Hash160", "value": n3 }, { "type": "Hash160", "value": "0x00000000000000000000000000000000000000aa" },
                 { "type": "Integer", "value": "1" }, { "type": "Any", "value": null }],
    });
    equal_requests_are_one(&ground, "neo-n3", &transfer);
    ground.assert_whole();
}

#[test]
fn while_sending_is_paused_requests_wait_and_can_be_taken_back() {
    let chains = Chains::start();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("nsl.toml");
    std::fs::write(&file, "[relay]\npaused = true\n").unwrap();
    let settings = chains.settings();
    let mut settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("NSL_CONFIG", file.to_str().unwrap()));
    let ground = Ground::start(Engines::Embedded, Cut::One, &settings);
    let x = adopt(&ground, "neo-x", &chains.x.accounts[0].key);
    let body = json!({ "account": x, "to": x, "value": "1", "data": "0x" });
    let (kept, given_up) = (ground.post("/v1/tx/neo-x", &body), ground.post("/v1/tx/neo-x", &body));
    let path = format!("/v1/tx/neo-x/{}", given_up["id"].as_str().unwrap());
    assert_eq!(ground.ask("DELETE", &path, &Value::Null).status, 202);
    let path = format!("/v1/tx/neo-x/{}", kept["id"].as_str().unwrap());
    assert_eq!(ground.get(&path)["state"], json!("accepted"));
    std::fs::write(&file, "[relay]\npaused = false\n").unwrap();
    settled(&ground, "neo-x", &kept, "final");
    settled(&ground, "neo-x", &given_up, "replaced");
}

pub(crate) fn adopt(ground: &Ground, chain: &str, key: &str) -> String {
    let added = ground.post(&format!("/v1/accounts/{chain}"), &json!({ "label": "first", "key": key }));
    added["account"].as_str().unwrap().to_owned()
}

fn on_n3(ground: &Ground, account: &str) {
    let nef = STANDARD.encode(contract("n3/store.nef"));
    let deploy = json!({ "account": account, "nef": nef, "manifest": contract_json("n3/store.manifest.json") });
    let made = ground.post("/v1/contracts/neo-n3", &deploy);
    let hash = made["hash"].as_str().unwrap().to_owned();
    settled(ground, "neo-n3", &made["transaction"], "final");
    let put = json!({ "account": account, "method": "put", "args": ["greeting", "hello"] });
    let sent = ground.post(&format!("/v1/contracts/neo-n3/{hash}/invoke"), &put);
    settled(ground, "neo-n3", &sent, "final");
    let call = json!({ "method": "get", "args": ["greeting"] });
    let found = ground.post(&format!("/v1/contracts/neo-n3/{hash}/call"), &call);
    assert_eq!(found["stack"][0]["value"], json!(STANDARD.encode("hello")), "{found}");
    let events = ground.get(&format!("/v1/contracts/neo-n3/{hash}/events"));
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
    // A witness that is not there: told before anything is sent, and what it cost is nothing.
    let other = "0x00000000000000000000000000000000000000aa";
    let wrong = json!({ "account": account, "method": "putAs", "args": [other, "a", "b"] });
    let sent = ground.post(&format!("/v1/contracts/neo-n3/{hash}/invoke"), &wrong);
    let failed = settled(ground, "neo-n3", &sent, "failed");
    assert!(failed["reason"].as_str().unwrap().contains("not a witness"), "{failed}");
}

fn on_x(ground: &Ground, account: &str) {
    let deploy = json!({ "account": account, "artefact": contract_json("x/Store.json"), "args": [] });
    let made = ground.post("/v1/contracts/neo-x", &deploy);
    settled(ground, "neo-x", &made["transaction"], "final");
    let known = || -> Option<String> {
        let list = ground.get("/v1/contracts/neo-x");
        list["items"].as_array()?.iter().find_map(|one| one["hash"].as_str().map(str::to_owned))
    };
    eventually("a deployed contract is listed", 30, || Ok(known().is_some())).unwrap();
    let hash = known().unwrap();
    let put = json!({ "account": account, "method": "put", "args": ["greeting", "0x68656c6c6f"] });
    let sent = ground.post(&format!("/v1/contracts/neo-x/{hash}/invoke"), &put);
    settled(ground, "neo-x", &sent, "final");
    let call = json!({ "method": "get", "args": ["greeting"] });
    let found = ground.post(&format!("/v1/contracts/neo-x/{hash}/call"), &call);
    assert_eq!(found["stack"], json!(["0x68656c6c6f"]));
    let reply =
        ground.ask("POST", &format!("/v1/contracts/neo-x/{hash}/call"), &json!({ "method": "gone", "args": [] }));
    problem(&reply, 400, "chain.method_unknown");
}

/// Waits for the end of a request, which must be the one that is expected.
pub(crate) fn settled(ground: &Ground, chain: &str, sent: &Value, state: &str) -> Value {
    let path = format!("/v1/tx/{chain}/{}", sent["id"].as_str().unwrap());
    let over = || matches!(ground.get(&path)["state"].as_str(), Some("final" | "failed" | "expired" | "replaced"));
    eventually("a request comes to its end", 60, || Ok(over())).unwrap();
    let found = ground.get(&path);
    assert_eq!(found["state"], json!(state), "{found}");
    found
}

fn equal_requests_are_one(ground: &Ground, chain: &str, body: &Value) {
    let before = ground.get(&format!("/v1/tx/{chain}?limit=100"))["items"].as_array().unwrap().len();
    let ids: Vec<String> = thread::scope(|scope| {
        let asked: Vec<_> = (0..100)
            .map(|at| {
                let node = &ground.nodes[at % ground.nodes.len()];
                scope.spawn(move || {
                    let headers = [
                        format!("Authorization: Bearer {}", ground.key),
                        "Content-Type: application/json".to_owned(),
                        format!("Idempotency-Key: the-same-on-{chain}"),
                    ];
                    let path = format!("/v1/tx/{chain}");
                    let reply = http("POST", node.public(), &path, &headers, &body.to_string()).unwrap();
                    assert_eq!(reply.status, 202, "{}", reply.body);
                    reply.json().unwrap()["id"].as_str().unwrap().to_owned()
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    settled(ground, chain, &json!({ "id": ids[0] }), "final");
    let after = ground.get(&format!("/v1/tx/{chain}?limit=100"))["items"].as_array().unwrap().len();
    assert_eq!(after, before + 1);
}
