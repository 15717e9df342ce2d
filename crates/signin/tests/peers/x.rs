use nsl_signin::wallet::{
    Kind, Message,
    x::{Address, prove},
};
use serde_json::{Value, json};

use crate::{
    message,
    peer::{Peer, text},
};

fn secret(number: u32) -> String {
    format!("0x{number:08x}{}", "07".repeat(28))
}

#[test]
fn what_ethers_signs_proves_its_account_and_nothing_else() {
    let mut peer = Peer::start();
    for number in 1..60 {
        let address = peer.ask("ethers", json!({ "private_key": secret(number), "message": "" }));
        let address = text(&address, "address").to_owned();
        let account = Address::parse_exact(&address).expect("the checksum of ethers");
        let signed = message(Kind::NeoX, &address, &format!("{number:032x}"));
        let answer = peer.ask("ethers", json!({ "private_key": secret(number), "message": signed }));
        let signature = text(&answer, "signature");
        assert!(prove(&signed, account, signature).is_ok());
        let other = message(Kind::NeoX, &address, &format!("{:032x}", number + 1));
        assert!(prove(&other, account, signature).is_err());
        let stranger = peer.ask("ethers", json!({ "private_key": secret(number + 1), "message": signed }));
        assert!(prove(&signed, account, text(&stranger, "signature")).is_err());
        // Its twin has the same signer, for a verifier that is not strict.
        let twin = peer.ask("twin", json!({ "private_key": secret(number), "message": signed }));
        assert_eq!(&*prove(&signed, account, text(&twin, "signature")).unwrap_err().slug, "wallet.signature_twin");
    }
}

#[test]
fn siwe_reads_what_we_write() {
    let mut peer = Peer::start();
    let address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let text = message(Kind::NeoX, address, "0123456789abcdef");
    let read = peer.ask("read", json!({ "message": text }));
    let expected = json!({
        "scheme": "http", "domain": "localhost:8080", "address": address, "uri": "http://localhost:8080/",
        "statement": "Sign in. It's free, isn't it?", "version": "1", "chainId": 47763, "nonce": "0123456789abcdef",
        "issuedAt": "2026-11-21T08:00:00.500Z", "expirationTime": "2026-11-21T08:05:00.500Z",
    });
    assert_eq!(read, expected);
}

#[test]
fn we_read_what_siwe_writes() {
    let mut peer = Peer::start();
    let base = json!({
        "domain": "app.example:8443", "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "version": "1",
        "uri": "https://app.example:8443/login?a=b#c", "chainId": 47763, "nonce": "12345678abcdefgh",
        "issuedAt": "2026-11-21T08:00:00.000Z",
    });
    let more = [
        ("scheme", json!("https")),
        ("statement", json!("I accept: https://app.example/tos?v=1 (all of it)")),
        ("expirationTime", json!("2026-11-21T08:05:00.000Z")),
        ("notBefore", json!("2026-11-21T07:00:00+01:00")),
        ("requestId", json!("a%20b:c@d")),
        ("resources", json!(["ipfs://bafy/", "https://app.example/claim.json", "urn:recap:eyJh"])),
    ];
    for mask in 0..1 << more.len() {
        let mut fields = base.clone();
        let chosen = more.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0);
        chosen.for_each(|(_, (name, value))| fields[*name] = value.clone());
        let written = peer.ask("siwe", json!({ "fields": fields }));
        let written = written.as_str().unwrap();
        let read = Message::parse(Kind::NeoX, written).unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(read.write().unwrap(), written);
        assert_eq!((read.domain.as_str(), read.network), ("app.example:8443", 47_763));
        assert_eq!(read.statement.is_some(), fields.get("statement").is_some());
        assert_eq!(read.resources.map_or(0, |all| all.len()), fields["resources"].as_array().map_or(0, Vec::len));
    }
}

/// What siwe refuses, we refuse; where it is laxer, we are not.
#[test]
fn we_take_nothing_that_siwe_refuses() {
    let mut peer = Peer::start();
    let good = message(Kind::NeoX, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0123456789abcdef");
    let (mut refused, mut laxer) = (0, Vec::new());
    for at in 0..good.len() {
        for change in [Some("\n"), Some(" "), Some("x"), Some(":"), Some("\"")] {
            let mut bent = good.clone();
            bent.replace_range(at..=at, change.unwrap_or_default());
            let theirs: Result<Value, String> = peer.try_ask("read", json!({ "message": bent }));
            let ours = Message::parse(Kind::NeoX, &bent);
            match (ours.is_ok(), theirs.is_ok()) {
                (true, false) => panic!("siwe refuses {bent}: {theirs:?}"),
                (false, true) => laxer.push(bent),
                (false, false) => refused += 1,
                (true, true) => {}
            }
        }
    }
    println!("{refused} refused by both, {} by us alone", laxer.len());
    assert!(refused > 800, "{refused}");
}
