//! Wallet files (NEP-6).

use neo::{
    PrivateKey, PublicKey,
    nep2::Scrypt,
    nep6::{Account, Wallet},
};
use serde_json::{Value, json};

use crate::{
    peer::{Peers, question},
    random::Random,
};

struct Made {
    name: String,
    scrypt: Scrypt,
    passphrase: String,
    keys: Vec<PrivateKey>,
    threshold: usize,
    publics: Vec<PublicKey>,
}

#[test]
fn wallets_open_everywhere() {
    let mut random = Random::new("wallets");
    let all: Vec<Made> = (0..100).map(|_| make(&mut random)).collect();
    let mut peers = Peers::start();

    let asked = all.iter().map(|made| {
        let json: Value = serde_json::from_str(&written(made).to_json()).unwrap();
        question("open_wallet", json!({ "json": json, "passphrase": made.passphrase }))
    });
    for (peer, theirs) in peers.ask(&asked.collect::<Vec<_>>()) {
        for (theirs, made) in theirs.iter().zip(&all) {
            let single = |key: &PrivateKey| json!([key.public().address(), hex::encode(key.to_bytes())]);
            let mut accounts: Vec<Value> = made.keys.iter().map(single).collect();
            accounts.push(json!([shared(made).hash.address(), null]));
            assert_eq!(*theirs, json!(accounts), "{peer}");
        }
    }

    let asked = all.iter().map(|Made { name, scrypt, passphrase, keys, threshold, publics }| {
        let keys: Vec<String> = keys.iter().map(|key| hex::encode(key.to_bytes())).collect();
        question(
            "make_wallet",
            json!({
                "name": name,
                "scrypt": scrypt,
                "passphrase": passphrase,
                "private_keys": keys,
                "threshold": threshold,
                "public_keys": publics,
            }),
        )
    });
    for (peer, theirs) in peers.ask(&asked.collect::<Vec<_>>()) {
        for (theirs, made) in theirs.iter().zip(&all) {
            let wallet = Wallet::from_json(theirs.to_string().as_bytes())
                .unwrap_or_else(|error| panic!("{error} in a wallet of {peer}: {theirs}"));
            assert_eq!((wallet.name.as_deref(), wallet.scrypt), (Some(made.name.as_str()), made.scrypt));
            assert!(wallet.account(&shared(made).hash).is_some(), "{peer}");
            let opened = wallet.open(&made.passphrase).unwrap();
            for key in &made.keys {
                let account = key.public().script_hash();
                let found = opened.iter().find(|opened| opened.hash == account).unwrap();
                assert_eq!(found.key.to_bytes(), key.to_bytes(), "{peer}");
            }
            assert!(wallet.open(&format!("{}x", made.passphrase)).is_err(), "{peer}");
        }
    }
    println!("{} wallets open in neon-js and neo-mamba, and {} of each of theirs open here", all.len(), all.len());
}

fn make(random: &mut Random) -> Made {
    let keys = random.some(1, 4, Random::key);
    let mut publics: Vec<PublicKey> = random.some(2, 5, Random::public);
    publics.sort_unstable();
    publics.dedup();
    // neon-js hands r to scrypt as p and p as r, which only shows where they differ.
    let side = 1 + random.below(4) as u32;
    Made {
        name: format!("wallet {}", random.text(8)),
        scrypt: Scrypt { n: 2 << random.below(4), r: side, p: side },
        passphrase: random.text(12),
        keys,
        threshold: 1 + random.below(publics.len() as u64) as usize,
        publics,
    }
}

fn shared(made: &Made) -> Account {
    Account::multi(made.threshold, &made.publics, None, Some("shared".to_owned())).unwrap()
}

fn written(made: &Made) -> Wallet {
    let mut wallet = Wallet::new(Some(made.name.clone()), made.scrypt);
    for key in &made.keys {
        wallet.add_key(key, &made.passphrase, None).unwrap();
    }
    wallet.add(shared(made)).unwrap();
    wallet
}
