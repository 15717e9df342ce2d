//! The library beside independent wallets: neon-js, the NeonSigner of neon-dappkit, ethers, siwe and neo-go.
//! `scripts/peers.sh` installs those of them that come from npm.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod n3;
mod neo_go;
mod neo_go_wallet;
mod peer;
mod x;

/// A message of this server's.
fn message(kind: nsl_signin::wallet::Kind, address: &str, nonce: &str) -> String {
    use nsl_signin::wallet::{Kind, Message};
    let issued = nsl_core::Timestamp::parse("2026-11-21T08:00:00.5Z").unwrap();
    let message = Message {
        kind,
        scheme: Some("http".to_owned()),
        domain: "localhost:8080".to_owned(),
        address: address.to_owned(),
        statement: Some("Sign in. It's free, isn't it?".to_owned()),
        uri: "http://localhost:8080/".to_owned(),
        network: if kind == Kind::NeoX { 47_763 } else { 860_833_102 },
        nonce: nonce.to_owned(),
        issued_at: issued.into(),
        expiration: Some(issued.plus(std::time::Duration::from_secs(300)).into()),
        not_before: None,
        request_id: None,
        resources: None,
    };
    message.write().unwrap()
}
