//! What must not let anybody in, each with its slug.

use serde_json::{Value, json};

use crate::{
    ground::{Cut, Engines, Ground, ok, problem},
    hands::{Ether, Neon, Street, with_line},
    peer::{Peer, text},
};

/// The proof with one field changed, or left out.
fn changed(proof: &Value, field: &str, value: Value) -> Value {
    let mut other = proof.clone();
    match value {
        Value::Null => drop(other.as_object_mut().unwrap().remove(field)),
        value => other[field] = value,
    }
    other
}

/// The hex digits with one bit turned.
fn turned(hex: &str, at: usize) -> String {
    let mut bytes = hex.as_bytes().to_vec();
    let digit = (bytes[at] as char).to_digit(16).unwrap() ^ 1;
    bytes[at] = char::from_digit(digit, 16).unwrap() as u8;
    String::from_utf8(bytes).unwrap()
}

fn neo_x(street: &Street<'_>, peer: &mut Peer) -> usize {
    let (me, other) = (Ether::new(peer, 7), Ether::new(peer, 8));
    let given = street.challenge("neo-x", &me.address);
    let others = street.challenge("neo-x", &other.address);
    let message = text(&given, "message").to_owned();
    let good = me.proof(peer, &message);
    let signature = text(&good, "signature").to_owned();
    let mut count = 0;
    let mut refused = |proof: &Value, status: u16, slug: &str| {
        problem(&street.login(proof), status, slug);
        count += 1;
    };
    // Signed by the account itself, and still not what was given.
    let first = |domain: &str| message.replacen("localhost wants", &format!("{domain} wants"), 1);
    let lines = [
        (first("evil.example"), 401, "wallet.domain"),
        (first("localhost:8443"), 401, "wallet.domain"),
        (message.replacen("http://localhost wants", "https://localhost wants", 1), 401, "wallet.domain"),
        (message.replace("Ethereum", "Neo N3"), 400, "wallet.message"),
        (message.replace(&me.address, &other.address), 401, "wallet.address_other"),
        (message.replace(&me.address, &me.address.to_lowercase()), 400, "wallet.message"),
        (with_line(&message, "URI: ", "URI: http://evil.example/"), 401, "wallet.uri"),
        (with_line(&message, "URI: ", "URI: http://localhost.evil.example/"), 401, "wallet.uri"),
        (with_line(&message, "Version: ", "Version: 2"), 400, "wallet.message"),
        (with_line(&message, "Chain ID: ", "Chain ID: 1"), 401, "wallet.network"),
        (with_line(&message, "Chain ID: ", "Chain ID: 12227332"), 401, "wallet.network"),
        (with_line(&message, "Chain ID: ", "Chain ID: 047763"), 400, "wallet.message"),
        (with_line(&message, "Nonce: ", &format!("Nonce: {}", text(&others, "nonce"))), 401, "wallet.nonce_other"),
        (with_line(&message, "Nonce: ", "Nonce: 00000000000000000000000000000000"), 401, "wallet.nonce_unknown"),
        (with_line(&message, "Nonce: ", "Nonce: short"), 400, "wallet.message"),
        (with_line(&message, "Issued At: ", "Issued At: 2020-01-01T00:00:00Z"), 401, "wallet.expired"),
        (with_line(&message, "Issued At: ", "Issued At: 2099-01-01T00:00:00Z"), 401, "wallet.not_yet"),
        (with_line(&message, "Issued At: ", "Issued At: yesterday"), 400, "wallet.message"),
        (with_line(&message, "Expiration Time: ", "Expiration Time: 2020-01-01T00:00:00Z"), 401, "wallet.expired"),
        (format!("{message}\nNot Before: 2099-01-01T00:00:00Z"), 401, "wallet.not_yet"),
        (format!("{message}\n"), 400, "wallet.message"),
        (message.replace('\n', "\r\n"), 400, "wallet.message"),
        (format!("{message}\nURI: http://localhost/"), 400, "wallet.message"),
    ];
    for (bent, status, slug) in &lines {
        assert_ne!(*bent, message, "{slug}");
        refused(&me.proof(peer, bent), *status, slug);
    }
    // Signed once, changed afterwards: what is checked before the signature says so itself.
    for (bent, status, slug) in lines {
        refused(&changed(&good, "message", json!(bent)), status, slug);
    }
    let text_of_page = message.replace("moves nothing", "moves all");
    refused(&changed(&good, "message", json!(text_of_page)), 401, "wallet.signature");
    let later = with_line(&message, "Expiration Time: ", "Expiration Time: 2099-01-01T00:00:00Z");
    refused(&changed(&good, "message", json!(later)), 401, "wallet.signature");
    refused(&changed(&good, "message", json!(format!("{message}\nResources:\n- urn:x:y"))), 401, "wallet.signature");
    // Signatures.
    let twin = peer.ask("twin", json!({ "private_key": me.private_key, "message": message }));
    let same = peer.ask("recovered", json!({ "message": message, "signature": signature }));
    assert_eq!(same, json!(me.address));
    refused(&changed(&good, "signature", twin["signature"].clone()), 401, "wallet.signature_twin");
    refused(&changed(&good, "signature", json!(other.sign(peer, &message))), 401, "wallet.signature");
    let flipped = if signature.ends_with("1b") { "1c" } else { "1b" };
    refused(&changed(&good, "signature", json!(format!("{}{flipped}", &signature[..130]))), 401, "wallet.signature");
    for v in ["02", "1d", "25", "ff"] {
        let bent = format!("{}{v}", &signature[..130]);
        refused(&changed(&good, "signature", json!(bent)), 400, "wallet.signature_form");
    }
    for at in [2, 33, 65, 66, 97] {
        let reply = street.login(&changed(&good, "signature", json!(turned(&signature, at))));
        assert_eq!(reply.status, 401, "{at}: {}", reply.body);
    }
    for bent in ["0x", "", &signature[..130], &format!("{signature}00"), "0xzz"] {
        refused(&changed(&good, "signature", json!(bent)), 400, "wallet.signature_form");
    }
    refused(&changed(&good, "signature", Value::Null), 400, "wallet.proof");
    refused(&changed(&good, "public_key", json!("02")), 400, "wallet.proof");
    refused(&changed(&good, "chain", json!("neo-n3")), 400, "wallet.message");
    refused(&changed(&good, "address", json!(other.address)), 401, "wallet.address_other");
    refused(&changed(&good, "address", json!("0x00")), 400, "wallet.address");
    // None of it did anything; and what worked works no more.
    street.enter(&good);
    refused(&good, 401, "wallet.nonce_spent");
    let with_zero = format!("{}{}", &signature[..130], if signature.ends_with("1b") { "00" } else { "01" });
    refused(&changed(&good, "signature", json!(with_zero)), 401, "wallet.nonce_spent");
    count
}

fn neo_n3(street: &Street<'_>, peer: &mut Peer) -> usize {
    let (me, other) = (Neon::new(peer, 7), Neon::new(peer, 8));
    let given = street.challenge("neo-n3", &me.address);
    let others = street.challenge("neo-n3", &other.address);
    let message = text(&given, "message").to_owned();
    let mut count = 0;
    let mut refused = |proof: &Value, status: u16, slug: &str| {
        problem(&street.login(proof), status, slug);
        count += 1;
    };
    let lines = [
        (message.replacen("localhost wants", "evil.example wants", 1), 401, "wallet.domain"),
        (message.replace("Neo N3", "Ethereum"), 400, "wallet.message"),
        (message.replace(&me.address, &other.address), 401, "wallet.address_other"),
        (with_line(&message, "URI: ", "URI: https://localhost/"), 401, "wallet.uri"),
        (with_line(&message, "Network: ", "Network: 894710606"), 401, "wallet.network"),
        (with_line(&message, "Network: ", "Chain ID: 860833102"), 400, "wallet.message"),
        (with_line(&message, "Nonce: ", &format!("Nonce: {}", text(&others, "nonce"))), 401, "wallet.nonce_other"),
        (with_line(&message, "Expiration Time: ", "Expiration Time: 2020-01-01T00:00:00Z"), 401, "wallet.expired"),
    ];
    for (at, (bent, status, slug)) in lines.iter().enumerate() {
        refused(&me.proof(peer, at, bent), *status, slug);
    }
    for way in 0..6 {
        let good = me.proof(peer, way, &message);
        let signature = text(&good, "signature").to_owned();
        let forged = other.sign(peer, way, &message);
        refused(&changed(&good, "public_key", forged["public_key"].clone()), 401, "wallet.public_key");
        refused(&changed(&good, "signature", forged["signature"].clone()), 401, "wallet.signature");
        refused(&changed(&good, "signature", json!(turned(&signature, 5))), 401, "wallet.signature");
        refused(&changed(&good, "signature", json!(turned(&signature, 127))), 401, "wallet.signature");
        let salt = json!("00000000000000000000000000000000");
        refused(&changed(&good, "salt", salt), 401, "wallet.signature");
        let bent = message.replace("moves nothing", "moves all");
        refused(&changed(&good, "message", json!(bent)), 401, "wallet.signature");
    }
    let good = me.proof(peer, 0, &message);
    refused(&changed(&good, "public_key", Value::Null), 400, "wallet.proof");
    refused(&changed(&good, "public_key", json!("02ff")), 400, "wallet.public_key_form");
    refused(&changed(&good, "salt", json!("pay me\n")), 400, "wallet.signature_form");
    refused(&changed(&good, "context", given["context"].clone()), 400, "wallet.proof");
    let unsigned = json!({ "chain": "neo-n3", "address": me.address, "message": message, "context": given["context"] });
    refused(&unsigned, 401, "wallet.signatures");
    refused(&changed(&unsigned, "context", others["context"].clone()), 401, "wallet.context_other");
    refused(&changed(&unsigned, "context", json!({})), 400, "wallet.context");
    let mut elsewhere = given["context"].clone();
    elsewhere["network"] = json!(894_710_606);
    let reply = street.login(&changed(&unsigned, "context", elsewhere));
    assert!(matches!(reply.status, 400 | 401), "{}", reply.body);
    street.enter(&good);
    // Another wallet of the same account signs the same message: it has been used.
    for way in 0..6 {
        refused(&me.proof(peer, way, &message), 401, "wallet.nonce_spent");
    }
    count
}

fn several(street: &Street<'_>, peer: &mut Peer) -> usize {
    let mut keys: Vec<_> = (11..14).map(|number| Neon::new(peer, number)).collect();
    keys.sort_by(|one, other| one.public_key[2..].cmp(&other.public_key[2..]));
    let public: Vec<_> = keys.iter().map(|key| key.public_key.clone()).collect();
    let account = peer.ask("multisig", json!({ "threshold": 2, "public_keys": public }));
    let weaker = peer.ask("multisig", json!({ "threshold": 1, "public_keys": public }));
    let given = street.challenge("neo-n3", text(&account, "address"));
    let message = text(&given, "message").to_owned();
    let stranger = Neon::new(peer, 99).sign(peer, 0, &message);
    let signed: Vec<Value> = keys.iter().map(|key| key.sign(peer, 3, &message)).collect();
    let over = |signatures: Value| {
        json!({
            "chain": "neo-n3", "address": account["address"], "message": message,
            "verification_script": account["script"], "signatures": signatures,
        })
    };
    let mut borrowed = signed[0].clone();
    borrowed["public_key"] = signed[1]["public_key"].clone();
    let cases = [
        (over(json!([])), "wallet.signatures"),
        (over(json!([signed[0]])), "wallet.signatures"),
        (over(json!([signed[0], signed[0]])), "wallet.signatures"),
        (over(json!(signed)), "wallet.signatures"),
        (over(json!([signed[0], stranger])), "wallet.public_key"),
        (over(json!([signed[0], borrowed])), "wallet.signature"),
        (changed(&over(json!([signed[0]])), "verification_script", weaker["script"].clone()), "wallet.script"),
        (changed(&over(json!([])), "verification_script", json!("11")), "wallet.script"),
        (
            json!({
                "chain": "neo-n3", "address": account["address"], "message": message,
                "signature": signed[0]["signature"], "public_key": signed[0]["public_key"],
            }),
            "wallet.public_key",
        ),
    ];
    for (proof, slug) in &cases {
        problem(&street.login(proof), 401, slug);
    }
    street.enter(&over(json!([signed[2], signed[1]])));
    problem(&street.login(&over(json!([signed[0], signed[1]]))), 401, "wallet.nonce_spent");
    cases.len() + 1
}

fn asking(street: &Street<'_>, peer: &mut Peer) -> usize {
    let (ether, neon) = (Ether::new(peer, 7), Neon::new(peer, 7));
    let cases = [
        (json!({ "chain": "neo-n3", "address": ether.address }), 400, "wallet.address"),
        (json!({ "chain": "neo-x", "address": neon.address }), 400, "wallet.address"),
        (json!({ "chain": "neo-x", "address": ether.address, "domain": "evil.example" }), 403, "wallet.domain_unknown"),
        (json!({ "chain": "neo-x", "address": ether.address, "network": 1 }), 400, "wallet.network_unknown"),
    ];
    for (body, status, slug) in &cases {
        problem(&street.post("/v1/auth/wallet/challenge", body), *status, slug);
    }
    for body in
        [json!({}), json!({ "chain": "bitcoin", "address": "1" }), json!([]), json!({ "chain": "neo-x", "address": 1 })]
    {
        assert_eq!(street.post("/v1/auth/wallet/challenge", &body).status, 400);
        assert_eq!(street.post("/v1/auth/wallet/login", &body).status, 400);
    }
    cases.len() + 8
}

fn tying(street: &Street<'_>, peer: &mut Peer) -> usize {
    let register = json!({ "email": "tie@example.com", "password": "correct horse battery staple" });
    let me = ok(&street.post("/v1/auth/register", &register));
    let token = text(&me, "access_token").to_owned();
    let as_me = |method: &str, path: &str, body: &Value| street.ground.ask_as(&token, method, path, &[], body);
    let ether = Ether::new(peer, 21);
    let ask = json!({ "chain": "neo-x", "address": ether.address });
    problem(&street.post("/v1/auth/wallets/challenge", &ask), 401, "auth.missing");
    problem(&street.ground.ask("POST", "/v1/auth/wallets/challenge", &ask), 403, "auth.person_needed");
    let given = ok(&as_me("POST", "/v1/auth/wallets/challenge", &ask));
    let proof = ether.proof(peer, text(&given, "message"));
    problem(&street.login(&proof), 401, "wallet.nonce_other");
    let login = street.challenge("neo-x", &ether.address);
    let for_login = ether.proof(peer, text(&login, "message"));
    problem(&as_me("POST", "/v1/auth/wallets", &for_login), 401, "wallet.nonce_other");
    let tied = as_me("POST", "/v1/auth/wallets", &proof);
    assert_eq!(tied.status, 201, "{}", tied.body);
    problem(&as_me("POST", "/v1/auth/wallets", &proof), 401, "wallet.nonce_spent");
    let listed = ok(&as_me("GET", "/v1/auth/wallets", &Value::Null));
    assert_eq!(listed["items"][0]["address"], json!(ether.address));
    // The account signs in as the person from now on, with the message that was given for it.
    let subject = ok(&as_me("GET", "/v1/identity/whoami", &Value::Null))["subject"].clone();
    assert_eq!(json!(street.enter(&for_login)), subject);
    let path = format!("/v1/auth/wallets/{}", text(&tied.json().unwrap(), "id"));
    assert_eq!(as_me("DELETE", &path, &Value::Null).status, 200);
    problem(&as_me("DELETE", &path, &Value::Null), 404, "wallet.missing");
    // One who has nothing but a wallet keeps it.
    let given = street.challenge("neo-x", &ether.address);
    let alone = ok(&street.login(&ether.proof(peer, text(&given, "message"))));
    let alone = text(&alone, "access_token");
    let only = ok(&street.ground.ask_as(alone, "GET", "/v1/auth/wallets", &[], &Value::Null));
    let path = format!("/v1/auth/wallets/{}", text(&only["items"][0], "id"));
    problem(&street.ground.ask_as(alone, "DELETE", &path, &[], &Value::Null), 409, "signin.last_way");
    7
}

fn all(engines: Engines) {
    let ground = Ground::start(engines, Cut::Each, &[]);
    let (street, mut peer) = (Street::of(&ground), Peer::start());
    let counts = [
        neo_x(&street, &mut peer),
        neo_n3(&street, &mut peer),
        several(&street, &mut peer),
        asking(&street, &mut peer),
        tying(&street, &mut peer),
    ];
    println!("refused: {counts:?}");
    assert!(counts.iter().sum::<usize>() >= 120, "{counts:?}");
    ground.assert_whole();
}

#[test]
fn what_is_no_proof_lets_nobody_in_on_sqlite() {
    all(Engines::Embedded);
}

#[test]
fn what_is_no_proof_lets_nobody_in_on_postgresql() {
    all(Engines::Real);
}
