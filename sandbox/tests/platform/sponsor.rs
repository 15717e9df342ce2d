//! Sponsored transactions through the whole program: prepared at one process, completed at another, abused at both.

use std::thread;

use base64::{Engine, engine::general_purpose::STANDARD};
use neo::PrivateKey;
use nsl_devnet::{N3, N3Options};
use nsl_sandbox::Reply;
use serde_json::{Value, json};

use crate::{
    chains::{RUNTIME, adopt, contract, contract_json, settled},
    ground::{Cut, Engines, Ground, make_tenant, ok, problem},
};

const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
const MUCH: &str = "1000000000";

#[test]
fn sponsors_pay_in_one_process_on_embedded_engines() {
    journey(Engines::Embedded, Cut::One);
}

#[test]
fn sponsors_pay_in_two_equal_processes_on_real_engines() {
    journey(Engines::Real, Cut::Pair);
}

struct Scene {
    ground: Ground,
    token: String,
    sponsor: String,
    /// Has tokens and no GAS.
    user: PrivateKey,
}

fn journey(engines: Engines, cut: Cut) {
    let dir = tempfile::tempdir().unwrap();
    let node = RUNTIME.block_on(N3::start(&dir.path().join("n3"), N3Options::default())).unwrap();
    let magic = node.magic.to_string();
    let ground = Ground::start(engines, cut, &[("NEO_N3_RPC_URL", &node.rpc), ("NSL_CHAIN__NEO_N3__MAGIC", &magic)]);
    let scene = Scene::set(ground, &node);
    scene.who_may_not_is_refused();
    scene.a_wallet_without_gas_acts();
    scene.only_the_first_of_equals_counts();
    scene.nobody_overspends_together();
    scene.ground.assert_whole();
}

impl Scene {
    fn set(ground: Ground, node: &N3) -> Self {
        let owner = adopt(&ground, "neo-n3", &node.accounts[0].key);
        let sponsor = adopt(&ground, "neo-n3", &node.accounts[1].key);
        let nef = STANDARD.encode(contract("n3/token.nef"));
        let deploy = json!({ "account": owner, "nef": nef, "manifest": contract_json("n3/token.manifest.json") });
        let made = ground.post("/v1/contracts/neo-n3", &deploy);
        settled(&ground, "neo-n3", &made["transaction"], "final");
        let token = made["hash"].as_str().unwrap().to_owned();
        let user = PrivateKey::from_bytes(&[77; 32]).unwrap();
        let args = [json!(owner), json!(user.public().address()), json!("1000"), Value::Null];
        let give = json!({ "account": owner, "contract": token, "method": "transfer", "args": typed(&args) });
        settled(&ground, "neo-n3", &ground.post("/v1/tx/neo-n3", &give), "final");
        Self { ground, token, sponsor, user }
    }

    fn policy(&self, per_day: &str) -> Value {
        let contracts = json!([{ "contract": self.token, "methods": ["transfer"] }]);
        json!({ "contracts": contracts, "per_transaction": MUCH, "per_day": per_day, "per_user_per_day": MUCH })
    }

    fn put(&self, policy: &Value) -> Value {
        ok(&self.ground.ask("PUT", &format!("/v1/sponsors/neo-n3/{}", self.sponsor), policy))
    }

    fn spent(&self) -> u64 {
        let found = self.ground.get(&format!("/v1/sponsors/neo-n3/{}", self.sponsor));
        found["spent_today"].as_str().unwrap().parse().unwrap()
    }

    fn transfer(&self) -> Value {
        let user = self.user.public().address();
        let args = typed(&[json!(user), json!(self.sponsor), json!("1"), Value::Null]);
        json!({ "sponsor": self.sponsor, "user": user, "contract": self.token, "method": "transfer", "args": args })
    }

    fn sign(&self, prepared: &Value) -> Value {
        let message = hex(prepared["message"].as_str().unwrap());
        let signature = STANDARD.encode(self.user.sign(&message));
        json!({ "signature": signature, "public_key": self.user.public().to_string() })
    }

    fn prepare(&self) -> Value {
        self.ground.post("/v1/sponsored/neo-n3", &self.transfer())
    }

    fn complete(&self, prepared: &Value, proof: &Value) -> Reply {
        self.ground.ask("POST", &path(prepared), proof)
    }

    fn held(&self, contract: &str) -> String {
        let call = json!({ "method": "balanceOf", "args": [self.user.public().address()] });
        let found = self.ground.post(&format!("/v1/contracts/neo-n3/{contract}/call"), &call);
        found["stack"][0]["value"].as_str().unwrap().to_owned()
    }

    fn who_may_not_is_refused(&self) {
        let ground = &self.ground;
        let sponsor = format!("/v1/sponsors/neo-n3/{}", self.sponsor);
        problem(&ground.ask("GET", &sponsor, &Value::Null), 404, "sponsor.unknown");
        problem(&ground.ask("POST", "/v1/sponsored/neo-n3", &self.transfer()), 404, "sponsor.unknown");
        let writer = ground.make_key(None, &["relay:write"]);
        let as_writer = |method, path: &str, body: &Value| ground.ask_as(&writer, method, path, &[], body);
        problem(&as_writer("PUT", &sponsor, &self.policy(MUCH)), 403, "auth.scope_missing");
        problem(&as_writer("DELETE", &sponsor, &Value::Null), 403, "auth.scope_missing");
        let mut unsaid = self.policy(MUCH);
        unsaid["contracts"][0].as_object_mut().unwrap().remove("methods");
        problem(&ground.ask("PUT", &sponsor, &unsaid), 400, "sponsor.policy_malformed");
        let mut strange = self.policy(MUCH);
        strange["per_week"] = json!("1");
        assert_eq!(ground.ask("PUT", &sponsor, &strange).status, 400);
        let nobody = format!("/v1/sponsors/neo-n3/{}", self.token);
        problem(&ground.ask("PUT", &nobody, &self.policy(MUCH)), 404, "relay.account_unknown");
        let put = self.put(&self.policy(MUCH));
        assert_eq!((&put["account"], &put["spent_today"]), (&json!(self.sponsor), &json!("0")));
        let reader = ground.make_key(None, &["relay:read"]);
        let refused = ground.ask_as(&reader, "POST", "/v1/sponsored/neo-n3", &[], &self.transfer());
        problem(&refused, 403, "auth.scope_missing");
        let mut mint = self.transfer();
        mint["method"] = json!("mint");
        problem(&ground.ask("POST", "/v1/sponsored/neo-n3", &mint), 403, "sponsor.call_refused");
        let mut dear = self.transfer();
        dear["args"][2]["value"] = json!("1001");
        problem(&ground.ask("POST", "/v1/sponsored/neo-n3", &dear), 422, "sponsored.would_fail");
        // Another tenant's key sees neither the sponsor nor what it prepared.
        let prepared = self.prepare();
        let (_, stranger) = make_tenant(&ground.environment);
        let as_stranger = |method, path: &str, body: &Value| ground.ask_as(&stranger, method, path, &[], body);
        problem(&as_stranger("GET", &sponsor, &Value::Null), 404, "sponsor.unknown");
        problem(&as_stranger("POST", "/v1/sponsored/neo-n3", &self.transfer()), 404, "sponsor.unknown");
        problem(&as_stranger("POST", &path(&prepared), &self.sign(&prepared)), 404, "sponsored.not_found");
        // What came back was changed on its way, or is somebody else's.
        let mut bytes = STANDARD.decode(prepared["transaction"].as_str().unwrap()).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let swapped = json!({ "transaction": STANDARD.encode([bytes, vec![0]].concat()) });
        problem(&self.complete(&prepared, &swapped), 409, "sponsored.differs");
        let mut forged = self.sign(&prepared);
        forged["signature"] = json!(STANDARD.encode([1; 64]));
        problem(&self.complete(&prepared, &forged), 422, "sponsored.witness_invalid");
        let mut twice = self.sign(&prepared);
        twice["context"] = prepared["context"].clone();
        problem(&self.complete(&prepared, &twice), 400, "sponsored.proof_malformed");
        problem(
            &self.complete(&prepared, &json!({ "context": prepared["context"] })),
            400,
            "sponsored.proof_malformed",
        );
    }

    fn a_wallet_without_gas_acts(&self) {
        let before = self.held(&self.token).parse::<u64>().unwrap();
        let prepared = self.prepare();
        let sent = self.complete(&prepared, &self.sign(&prepared));
        assert_eq!(sent.status, 202, "{}", sent.body);
        let done = settled(&self.ground, "neo-n3", &sent.json().unwrap(), "final");
        assert_eq!((&done["tx"], &done["id"]), (&prepared["hash"], &prepared["id"]));
        assert_eq!((self.held(&self.token), self.held(GAS)), ((before - 1).to_string(), "0".to_owned()));
        // The user's key is kept here as well: one call.
        adopt(&self.ground, "neo-n3", &self.user.to_wif());
        let mut call = self.transfer();
        let user = call.as_object_mut().unwrap().remove("user").unwrap();
        call["account"] = user;
        settled(&self.ground, "neo-n3", &self.ground.post("/v1/tx/neo-n3", &call), "final");
        assert_eq!((self.held(&self.token), self.held(GAS)), ((before - 2).to_string(), "0".to_owned()));
        call["method"] = json!("mint");
        problem(&self.ground.ask("POST", "/v1/tx/neo-n3", &call), 403, "sponsor.call_refused");
    }

    fn only_the_first_of_equals_counts(&self) {
        let before = self.held(&self.token).parse::<u64>().unwrap();
        let prepared = self.prepare();
        let proof = self.sign(&prepared);
        let replies = at_once(10, || self.complete(&prepared, &proof));
        assert_eq!(replies.iter().filter(|reply| reply.status == 202).count(), 1);
        replies.iter().filter(|reply| reply.status != 202).for_each(|reply| problem(reply, 409, "sponsored.used"));
        settled(&self.ground, "neo-n3", &prepared, "final");
        // Under one key they are one.
        let prepared = self.prepare();
        let proof = self.sign(&prepared);
        let key = ["Idempotency-Key: complete-once"];
        let once = || self.ground.ask_as(&self.ground.key, "POST", &path(&prepared), &key, &proof);
        let replies = at_once(10, once);
        assert!(replies.iter().all(|reply| reply.status == 202 && reply.json().unwrap()["id"] == prepared["id"]));
        settled(&self.ground, "neo-n3", &prepared, "final");
        assert_eq!(self.held(&self.token), (before - 2).to_string());
        problem(&self.complete(&prepared, &proof), 409, "sponsored.used");
    }

    fn nobody_overspends_together(&self) {
        let fee = |prepared: &Value| -> u64 {
            ["system_fee", "network_fee"]
                .iter()
                .map(|name| prepared[name].as_str().unwrap().parse::<u64>().unwrap())
                .sum()
        };
        let fee = fee(&self.prepare());
        let before = self.spent();
        self.put(&self.policy(&(before + 3 * fee).to_string()));
        let replies = at_once(12, || self.ground.ask("POST", "/v1/sponsored/neo-n3", &self.transfer()));
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 3);
        replies.iter().filter(|reply| reply.status != 201).for_each(|reply| problem(reply, 429, "sponsor.over_day"));
        assert_eq!(self.spent(), before + 3 * fee);
        let last = replies.iter().find(|reply| reply.status == 201).unwrap().json().unwrap();
        let deleted = self.ground.ask("DELETE", &format!("/v1/sponsors/neo-n3/{}", self.sponsor), &Value::Null);
        assert_eq!(deleted.status, 204, "{}", deleted.body);
        problem(&self.complete(&last, &self.sign(&last)), 404, "sponsor.unknown");
    }
}

fn path(prepared: &Value) -> String {
    format!("/v1/sponsored/neo-n3/{}", prepared["id"].as_str().unwrap())
}

fn typed(args: &[Value; 4]) -> Value {
    let [from, to, amount, _] = args;
    json!([
        { "type": "Hash160", "value": hash(from) }, { "type": "Hash160", "value": hash(to) },
        { "type": "Integer", "value": amount }, { "type": "Any", "value": null },
    ])
}

fn hash(account: &Value) -> String {
    let text = account.as_str().unwrap();
    neo::Hash160::from_address(text).map_or_else(|_| text.to_owned(), |hash| hash.to_string())
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn at_once(count: usize, ask: impl Fn() -> Reply + Sync) -> Vec<Reply> {
    thread::scope(|scope| {
        let asked: Vec<_> = (0..count).map(|_| scope.spawn(&ask)).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    })
}
