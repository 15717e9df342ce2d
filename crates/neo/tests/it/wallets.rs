//! Keys, wallets and encrypted keys of other programs.

use neo::{
    PrivateKey,
    nep2::{self, Scrypt},
    nep6::{Kind, Wallet},
};

use crate::vectors::{binary, bytes, json};

fn key(hex: &serde_json::Value) -> PrivateKey {
    PrivateKey::from_bytes(&bytes(hex).try_into().unwrap()).unwrap()
}

#[test]
fn encrypted_keys_are_the_same_text_both_ways() {
    let Some(all) = json("neo-n3/fresh/fresh.json") else { return };
    let all = all["nep2"].as_array().unwrap();
    for case in all {
        let scrypt: Scrypt = serde_json::from_value(case["scrypt"].clone()).unwrap();
        let (key, passphrase) = (key(&case["private_key"]), case["passphrase"].as_str().unwrap());
        assert_eq!(key.public().address(), case["address"].as_str().unwrap());
        assert_eq!(nep2::encrypt(&key, passphrase, &scrypt).unwrap(), case["nep2"].as_str().unwrap());
        let opened = nep2::decrypt(case["nep2"].as_str().unwrap(), passphrase, &scrypt).unwrap();
        assert_eq!(opened.public(), key.public());
    }
    assert_eq!(all.len(), 4);
}

#[test]
fn keys_of_neo_go_are_the_same_and_its_bad_ones_are_refused() {
    let Some(all) = json("neo-n3/neo-go/keytestcases.json") else { return };
    let (mut good, mut bad) = (0, 0);
    for case in all.as_array().unwrap() {
        let text = |name: &str| case[name].as_str().unwrap();
        let Ok(key) = PrivateKey::from_wif(text("wif")) else {
            bad += 1;
            continue;
        };
        assert_eq!(hex::encode(key.to_bytes().as_slice()), text("privatekey"));
        assert_eq!(
            (key.public().to_string(), key.public().address()),
            (text("publickey").into(), text("address").into())
        );
        let encrypted = nep2::encrypt(&key, text("passphrase"), &Scrypt::STANDARD).unwrap();
        assert_eq!(encrypted, text("encryptedwif"));
        let opened = nep2::decrypt(&encrypted, text("passphrase"), &Scrypt::STANDARD).unwrap();
        assert_eq!(opened.public(), key.public());
        good += 1;
    }
    println!("{good} keys, {bad} refused");
    assert_eq!((good, bad), (3, 1));
}

#[test]
fn wallets_of_other_programs_open_and_are_written_so_that_they_read_back() {
    // Some have a passphrase for each account.
    let wallets: &[(&str, &[&str], usize)] = &[
        ("neo-go/cli_testwallet.json", &["testpass"], 1),
        ("neo-go/cli_testwallet_multi.json", &["one", "two", "three"], 3),
        ("neo-go/cli_wallet_testwallet_NEO3.json", &["one"], 2),
        ("neo-go/pkg_consensus_wallet1.json", &["one"], 2),
        ("neo-go/pkg_wallet_wallet1.json", &["one"], 2),
        ("neo-go/pkg_wallet_wallet2.json", &["one", "one", "two"], 3),
        ("neo-go/pkg_services_notary_notary1.json", &["one", "one", "four"], 3),
        ("neo-go/pkg_services_oracle_oracle1.json", &["one"], 1),
        ("neo-mamba/rc2-wallet.json", &["123"], 2),
        ("neon-js/testWallet.json", &["wallet"], 6),
    ];
    for (file, passphrases, accounts) in wallets {
        let Some(text) = binary(&format!("neo-n3/{file}")) else { return };
        let wallet = Wallet::from_json(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(wallet.accounts.len(), *accounts, "{file}");
        assert_eq!(Wallet::from_json(wallet.to_json().as_bytes()).unwrap(), wallet, "{file}");
        let opened: Vec<_> = match passphrases {
            [one] => wallet.open(one).unwrap_or_else(|error| panic!("{file}: {error}")),
            each => {
                let both = wallet.accounts.iter().zip(each.iter());
                both.map(|(account, passphrase)| account.open(passphrase, &wallet.scrypt).unwrap()).collect()
            }
        };
        assert_eq!(opened.len(), *accounts, "{file}");
        for (account, opened) in wallet.accounts.iter().zip(&opened) {
            let fits = match account.kind() {
                Kind::Single(key) => key == opened.key.public(),
                Kind::Multi { keys, .. } => keys.contains(&opened.key.public()),
                _ => false,
            };
            assert!(fits, "{file}: {}", opened.hash.address());
        }
    }
    println!("{} wallets", wallets.len());
}

#[test]
fn the_wallet_of_neon_js_gives_its_keys() {
    let Some(all) = json("neo-n3/fresh/fresh.json") else { return };
    let case = &all["wallets"][0];
    let wallet = Wallet::from_json(case["nep6"].to_string().as_bytes()).unwrap();
    let opened = wallet.open(case["password"].as_str().unwrap()).unwrap();
    let keys: Vec<_> = opened.iter().map(|one| hex::encode(one.key.to_bytes().as_slice())).collect();
    assert_eq!(serde_json::json!(keys), case["private_keys"]);
}

#[test]
fn wallets_of_legacy_and_of_the_previews_are_told_as_such() {
    let Some(legacy) = binary("neo-n3/neo-go/cli_wallet_testwallet_NEO2.json") else { return };
    assert!(Wallet::from_json(&legacy).unwrap_err().to_string().contains("Neo Legacy"));
    for number in 1..=3 {
        let Some(preview) = json(&format!("neo-n3/neon-js/testWallet{number}.json")) else { return };
        let passphrase = preview["accounts"][0]["extra"]["passphrase"].as_str().unwrap();
        let refusal = Wallet::from_json(preview.to_string().as_bytes()).unwrap().open(passphrase).unwrap_err();
        assert!(refusal.to_string().contains("preview"), "{refusal}");
    }
}
