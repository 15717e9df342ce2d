//! The routes over a real listener: forms, statuses and slugs.

use std::{sync::Arc, time::Duration};

use nsl_api::relay::State;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{events::serve, ground::Ground};

async fn ask(base: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method, format!("{base}/v1/{path}"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_route_takes_what_it_says_and_refuses_the_rest_by_name() {
    let ground = Ground::fresh(None, None).await;
    let serving = serve(Arc::clone(&ground.relay), &ground.cx).await;
    let base = serving.url();
    let to = format!("0x{}", "81".repeat(20));
    let call = json!({ "account": ground.account(), "to": to, "value": "5" });
    let with = |name: &str, value: Value| {
        let mut changed = call.clone();
        changed[name] = value;
        Some(changed)
    };
    for (path, body, status, code) in [
        ("tx/neo-x", with("data", json!("0x0")), 400, "relay.data_malformed"),
        ("tx/neo-x", with("max_fee", json!("1.5")), 400, "relay.amount_malformed"),
        ("tx/neo-x", with("max_fee", json!(5)), 400, "json.unfit"),
        ("tx/neo-x", with("valid_for_ms", json!(0)), 400, "relay.valid_for_malformed"),
        ("tx/neo-x", with("method", json!("transfer")), 400, "relay.call_unfit"),
        ("tx/neo-x", with("nonce", json!(1)), 400, "json.unfit"),
        ("tx/neo-x", with("account", json!(to)), 404, "relay.account_unknown"),
        ("tx/neo-x/estimate", with("value", json!("9".repeat(40))), 400, "relay.would_fail"),
        ("tx/neo-n3", Some(json!({ "account": to, "data": "0x11" })), 404, "relay.chain_missing"),
        ("accounts/neo-x", Some(json!({ "key": "00", "wallet": {}, "passphrase": "x" })), 400, "relay.import_unfit"),
        ("accounts/neo-x", Some(json!({ "wallet": {} })), 400, "relay.import_unfit"),
        ("accounts/neo-x", Some(json!({ "wallet": {}, "passphrase": "x" })), 400, "relay.wallet_malformed"),
    ] {
        let (got, told) = ask(base, Method::POST, path, body.clone()).await;
        // Without an edge the table of problems does not narrow a status: what would be 422 is 400 here.
        assert_eq!((got, &told["code"]), (status, &json!(code)), "{path} {body:?} {told}");
    }
    let (status, estimate) = ask(base, Method::POST, "tx/neo-x/estimate", Some(call.clone())).await;
    assert_eq!((status, estimate["gas_limit"].is_u64(), estimate["fee"].is_string()), (200, true, true), "{estimate}");
    let (status, told) = ask(base, Method::POST, "tx/neo-x", Some(call.clone())).await;
    let id = told["id"].as_str().unwrap().to_owned();
    assert_eq!((status, &told["state"]), (202, &json!("accepted")));
    assert_eq!(ground.until(&id, State::Final).await.state, State::Final);
    let (status, told) = ask(base, Method::DELETE, &format!("tx/neo-x/{id}"), None).await;
    assert_eq!(
        (status, &told["code"], &told["details"]["state"]),
        (409, &json!("relay.request_ended"), &json!("final"))
    );
    assert_eq!(ask(base, Method::DELETE, &format!("tx/neo-n3/{id}"), None).await.0, 404);
    let (status, told) = ask(base, Method::GET, &format!("accounts/neo-x/{to}/balance"), None).await;
    assert_eq!((status, &told["gas"], &told["account"]), (200, &json!("5"), &json!(to)), "{told}");
    for (path, status, code) in [
        ("accounts/neo-x/0x12/balance", 400, "relay.account_malformed"),
        (&format!("accounts/neo-n3/{to}/balance"), 404, "relay.chain_missing"),
    ] {
        let (got, told) = ask(base, Method::GET, path, None).await;
        assert_eq!((got, &told["code"]), (status, &json!(code)), "{path}");
    }
    let (status, told) = ask(base, Method::GET, &format!("tx/neo-x/{id}/explain"), None).await;
    assert_eq!((status, &told["state"], told.get("fault")), (200, &json!("final"), None));
    for (path, status) in [
        ("tx/neo-x?limit=1", 200),
        ("tx/neo-x?limit=0", 400),
        ("tx/neo-x?limit=101", 400),
        ("tx/neo-x/rel_none", 404),
        ("tx/neo-x/rel_none/explain", 404),
        ("tx/neo-y", 400),
    ] {
        assert_eq!(ask(base, Method::GET, path, None).await.0, status, "{path}");
    }
    let limits = json!({ "per_transaction": "1000000000000000000", "per_day": "0" });
    let (status, told) = ask(base, Method::PUT, "budgets/neo-x", Some(limits)).await;
    assert_eq!((status, &told["per_day"]), (200, &json!("0")));
    let (_, budget) = ask(base, Method::GET, "budgets/neo-x", None).await;
    assert_eq!((&budget, budget["spent_today"] == "0"), (&told, false));
    let (status, told) = ask(base, Method::POST, "tx/neo-x", Some(call)).await;
    assert_eq!((status, &told["code"]), (403, &json!("relay.budget_spent")));
    assert_eq!(ask(base, Method::PUT, "budgets/neo-x", Some(json!({ "per_week": "1" }))).await.0, 400);
    assert!(serving.drain(Duration::from_secs(5)).await);
    ground.chain_is_whole().await;
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_comes_out_of_its_wallet() {
    let ground = Ground::fresh(None, None).await;
    let serving = serve(Arc::clone(&ground.relay), &ground.cx).await;
    let base = serving.url();
    let made: Value = serde_json::from_str(include_str!("../fixtures/keystores.json")).unwrap();
    let body = |passphrase: &Value| {
        Some(json!({ "label": "from a file", "wallet": made["pbkdf2"], "passphrase": passphrase }))
    };
    let (status, told) = ask(base, Method::POST, "accounts/neo-x", body(&json!("another"))).await;
    assert_eq!((status, &told["code"]), (400, &json!("relay.wallet_locked")));
    // It is the key of the devnet's first account, which is kept already; one key belongs to one tenant.
    let (status, told) = ask(base, Method::POST, "accounts/neo-x", body(&made["passphrase"])).await;
    assert_eq!((status, &told["code"]), (409, &json!("relay.account_taken")), "{told}");
    // A wallet of Neo N3 gives an account although its chain is not set up here.
    let key = neo::PrivateKey::from_bytes(&[9; 32]).unwrap();
    let mut wallet = neo::nep6::Wallet::new(None, neo::nep2::Scrypt { n: 4, r: 1, p: 1 });
    wallet.add_key(&key, "open", None).unwrap();
    let wallet: Value = serde_json::from_str(&wallet.to_json()).unwrap();
    let body = json!({ "label": "of a wallet", "wallet": wallet, "passphrase": "open" });
    let (status, told) = ask(base, Method::POST, "accounts/neo-n3", Some(body)).await;
    assert_eq!(
        (status, &told["address"], &told["label"]),
        (201, &json!(key.public().script_hash().address()), &json!("of a wallet"))
    );
    let (_, listed) = ask(base, Method::GET, "accounts/neo-n3", None).await;
    assert_eq!(listed["items"], json!([told]));
    assert!(serving.drain(Duration::from_secs(5)).await);
    ground.end().await;
}
