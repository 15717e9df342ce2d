//! Keys encrypted by a passphrase (NEP-2).

use neo::{
    PrivateKey,
    nep2::{Scrypt, decrypt, encrypt},
};
use serde_json::{Value, json};

use crate::{
    peer::{Peers, question},
    random::Random,
};

/// So many at the standard's own cost, which takes each side a tenth of a second or more.
const STANDARD: usize = 3;

#[test]
fn encrypted_keys_open_everywhere() {
    let mut random = Random::new("encrypted keys");
    let mut keys: Vec<(PrivateKey, String, Scrypt)> = (0..1000)
        .map(|_| {
            let (r, p) = (1 + random.below(8) as u32, 1 + random.below(4) as u32);
            (random.key(), random.text(20), Scrypt { n: 2 << random.below(5), r, p })
        })
        .collect();
    keys.iter_mut().take(STANDARD).for_each(|(_, _, scrypt)| *scrypt = Scrypt::STANDARD);
    let mut peers = Peers::start();

    let ours: Vec<String> = keys.iter().map(|(key, passphrase, n)| encrypt(key, passphrase, n).unwrap()).collect();
    let asked = keys.iter().map(|(key, passphrase, scrypt)| {
        let key = hex::encode(key.to_bytes());
        question("encrypt", json!({ "private_key": key, "passphrase": passphrase, "scrypt": scrypt }))
    });
    for (peer, theirs) in peers.ask(&asked.collect::<Vec<_>>()) {
        for ((ours, theirs), (_, passphrase, scrypt)) in ours.iter().zip(&theirs).zip(&keys) {
            assert_eq!(ours, theirs, "{peer}: {passphrase:?} {scrypt:?}");
        }
    }

    // What they wrote is what we wrote, so reading ours is reading theirs.
    for (text, (key, passphrase, scrypt)) in ours.iter().zip(&keys) {
        assert_eq!(decrypt(text, passphrase, scrypt).unwrap().to_bytes(), key.to_bytes());
    }
    let asked = ours.iter().zip(&keys).map(|(text, (_, passphrase, scrypt))| {
        question("decrypt", json!({ "nep2": text, "passphrase": passphrase, "scrypt": scrypt }))
    });
    for (peer, theirs) in peers.ask(&asked.collect::<Vec<Value>>()) {
        for (theirs, (key, ..)) in theirs.iter().zip(&keys) {
            assert_eq!(*theirs, hex::encode(key.to_bytes()), "{peer}");
        }
    }
    println!(
        "{} encrypted keys, {STANDARD} of them at full cost, equal those of neon-js and neo-mamba and open there",
        keys.len()
    );
}
