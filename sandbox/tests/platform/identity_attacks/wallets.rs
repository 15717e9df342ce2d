use neo::PrivateKey;
use serde_json::{Value, json};

use super::Siege;
use crate::ground::ok;

fn login(siege: &Siege, key: &PrivateKey, address: &str, message: &str) -> nsl_sandbox::Reply {
    let signature: String = key.sign(message.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let body = json!({
        "chain": "neo-n3", "address": address, "message": message, "signature": signature,
        "public_key": key.public().to_string(),
    });
    siege.post("/v1/auth/wallet/login", &body)
}

pub(super) fn replayed_and_misled(siege: &Siege) {
    let (key, other) = (PrivateKey::from_bytes(&[7; 32]).unwrap(), PrivateKey::from_bytes(&[8; 32]).unwrap());
    let own = key.public().address();
    let challenge =
        || -> Value { ok(&siege.post("/v1/auth/wallet/challenge", &json!({ "chain": "neo-n3", "address": own }))) };
    let given = challenge();
    let message = given["message"].as_str().unwrap();
    assert_eq!(ok(&login(siege, &key, &own, message))["token_type"], "Bearer");
    siege.repelled("a wallet's message a second time", &login(siege, &key, &own, message), 401, "wallet.nonce_spent");

    let domain = given["domain"].as_str().unwrap().to_owned();
    let nonce = given["nonce"].as_str().unwrap().to_owned();
    let fresh = || challenge()["message"].as_str().unwrap().to_owned();
    for (what, changed, code) in [
        ("for another domain", fresh().replace(&domain, "evil.example"), "wallet.domain"),
        (
            "with a nonce that was never given",
            {
                let given = challenge();
                let text = given["message"].as_str().unwrap();
                text.replace(given["nonce"].as_str().unwrap(), "abcdefghijklmnopqrstuv")
            },
            "wallet.nonce_unknown",
        ),
        (
            "with a spent nonce",
            {
                let given = challenge();
                let text = given["message"].as_str().unwrap();
                text.replace(given["nonce"].as_str().unwrap(), &nonce)
            },
            "wallet.nonce_spent",
        ),
        ("of another form", "let me in".to_owned(), "wallet.message"),
    ] {
        let reply = login(siege, &key, &own, &changed);
        let status = if code == "wallet.message" { 400 } else { 401 };
        siege.repelled(&format!("a wallet's message {what}"), &reply, status, code);
    }
    let reply = login(siege, &other, &other.public().address(), &fresh());
    assert!(matches!(reply.status, 400 | 401), "{}", reply.body);
    let reply = login(siege, &other, &own, &fresh());
    siege.repelled("a wallet's message signed by another's key", &reply, 401, "wallet.public_key");
}
