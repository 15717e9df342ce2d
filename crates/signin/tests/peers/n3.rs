use neo::{Hash160, PrivateKey, account::multi};
use nsl_signin::wallet::{
    Kind,
    n3::{Signed, account, prove, prove_several},
};
use serde_json::{Value, json};

use crate::{
    message,
    peer::{Peer, text},
};

fn key(number: u32) -> PrivateKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    PrivateKey::from_bytes(&bytes).unwrap()
}

fn secret(key: &PrivateKey) -> String {
    hex::encode(key.to_bytes().as_slice())
}

/// One signature in each way that these wallets know.
fn each_way(peer: &mut Peer, key: &PrivateKey, message: &str) -> Vec<(&'static str, Value)> {
    let ask = |version: u8, salt: Option<&str>| json!({ "private_key": secret(key), "message": message, "version": version, "salt": salt });
    vec![
        ("neon-js", peer.ask("neon", ask(0, None))),
        ("dappkit 1", peer.ask("dappkit", ask(1, None))),
        ("dappkit 2", peer.ask("dappkit", ask(2, None))),
        ("dappkit 3", peer.ask("dappkit", ask(3, None))),
        ("NeoLine V2", peer.ask("neoline2", ask(0, Some("543e66d70a56506f0a69aff35f25f794")))),
        ("NeoLine V2 without salt", peer.ask("neoline2", ask(0, None))),
    ]
}

fn read(answer: &Value) -> Signed {
    Signed::read(text(answer, "public_key"), text(answer, "signature"), answer["salt"].as_str()).unwrap()
}

#[test]
fn what_wallets_of_neo_n3_sign_proves_their_account_and_nothing_else() {
    let mut peer = Peer::start();
    for number in 0..40 {
        let key = key(number);
        let address = peer.ask("account", json!({ "private_key": secret(&key) }));
        let address = text(&address, "address");
        assert_eq!(address, key.public().address());
        let text = message(Kind::NeoN3, address, &format!("{number:032x}"));
        let account = account(address).unwrap();
        for (way, answer) in each_way(&mut peer, &key, &text) {
            assert!(prove(&text, &account, &read(&answer)).is_ok(), "{way}: {answer}");
            let other = message(Kind::NeoN3, address, &format!("{:032x}", number + 1));
            assert!(prove(&other, &account, &read(&answer)).is_err(), "{way}");
            let stranger = crate::n3::key(number + 1).public().script_hash();
            assert!(prove(&text, &stranger, &read(&answer)).is_err(), "{way}");
            if answer["salt"].is_string() {
                let mut without = answer.clone();
                without["salt"] = Value::Null;
                assert!(prove(&text, &account, &read(&without)).is_err(), "{way}");
            }
        }
    }
}

#[test]
fn an_account_of_several_keys_is_the_same_to_neon_js() {
    let mut peer = Peer::start();
    for (threshold, count) in [(1, 1), (1, 2), (2, 3), (3, 4), (5, 7), (15, 21)] {
        let mut keys: Vec<_> = (0..count).map(key).collect();
        keys.sort_by_key(PrivateKey::public);
        let public: Vec<_> = keys.iter().map(PrivateKey::public).collect();
        let made = peer.ask("multisig", json!({ "threshold": threshold, "public_keys": public }));
        assert_eq!(text(&made, "script"), hex::encode(multi(threshold, &public).unwrap()));
        let (script, address) = (text(&made, "script").to_owned(), text(&made, "address").to_owned());
        let text = message(Kind::NeoN3, &address, "00000000");
        let account: Hash160 = account(&address).unwrap();
        // The last ones sign, each by another wallet.
        let signed: Vec<_> = keys[keys.len() - threshold..]
            .iter()
            .enumerate()
            .map(|(at, key)| read(&each_way(&mut peer, key, &text)[at % 6].1))
            .collect();
        assert!(prove_several(&text, &account, &script, &signed).is_ok(), "{threshold} of {count}");
        assert!(prove_several(&text, &account, &script, &signed[1..]).is_err());
        let mut twice = signed.clone();
        if threshold > 1 {
            twice[0] = twice[1].clone();
            assert!(prove_several(&text, &account, &script, &twice).is_err());
        }
    }
}
