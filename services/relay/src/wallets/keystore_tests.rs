use serde_json::{Value, json};

use super::*;

/// Keystores that another tool has made (it is named in the file).
fn made() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/keystores.json")).unwrap()
}

fn slug(wallet: &Value, passphrase: &str, address: Option<&str>) -> String {
    open(wallet, passphrase, address).map(|_| ()).unwrap_err().slug.into_owned()
}

#[test]
fn keystores_of_another_tool_open_by_their_passphrase_only() {
    let made = made();
    let (passphrase, account) = (made["passphrase"].as_str().unwrap(), made["account"].as_str().unwrap());
    for kdf in ["scrypt", "pbkdf2"] {
        let (opened, secret) = open(&made[kdf], passphrase, Some(account)).unwrap();
        assert_eq!(opened, account);
        assert_eq!(hex::encode(&*secret), "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        assert_eq!(slug(&made[kdf], "correct horse", None), "relay.wallet_locked");
        let other = "0x0000000000000000000000000000000000000001";
        assert_eq!(slug(&made[kdf], passphrase, Some(other)), "relay.wallet_account");
        let mut moved = made[kdf].clone();
        moved["address"] = json!(&other[2..]);
        assert_eq!(slug(&moved, passphrase, None), "relay.wallet_account");
        // Nobody can turn the key into another one that opens.
        let mut turned = made[kdf].clone();
        let text = turned["crypto"]["ciphertext"].as_str().unwrap();
        let first = if text.starts_with('0') { "1" } else { "0" };
        turned["crypto"]["ciphertext"] = json!(format!("{first}{}", &text[1..]));
        assert_eq!(slug(&turned, passphrase, None), "relay.wallet_locked");
    }
}

#[test]
fn a_keystore_of_a_stranger_takes_no_more_memory_or_time_than_is_usual() {
    let made = made();
    let with = |kdf: &str, name: &str, value: Value| {
        let mut changed = made[kdf].clone();
        changed["crypto"]["kdfparams"][name] = value;
        slug(&changed, "x", None)
    };
    for (kdf, name, value) in [
        ("scrypt", "n", json!(1_u64 << 24)),
        ("scrypt", "n", json!(u64::MAX)),
        ("scrypt", "n", json!(1_000)),
        ("scrypt", "n", json!(0)),
        ("scrypt", "r", json!(1 << 20)),
        ("scrypt", "p", json!(u32::MAX)),
        ("scrypt", "p", json!(0)),
        ("scrypt", "dklen", json!(64)),
        ("scrypt", "dklen", json!(usize::MAX)),
        ("scrypt", "salt", json!("zz")),
        ("scrypt", "salt", json!("00".repeat(LONGEST_SALT + 1))),
        ("pbkdf2", "c", json!(u32::MAX)),
        ("pbkdf2", "c", json!(0)),
        ("pbkdf2", "prf", json!("hmac-sha1")),
    ] {
        assert_eq!(with(kdf, name, value.clone()), "relay.wallet_malformed", "{name} {value}");
    }
    for (place, value) in [
        ("/version", json!(1)),
        ("/crypto/cipher", json!("aes-128-cbc")),
        ("/crypto/kdf", json!("argon2")),
        ("/crypto/mac", json!("x")),
        ("/crypto/ciphertext", json!("00")),
        ("/crypto/cipherparams/iv", json!("00")),
    ] {
        let mut changed = made["scrypt"].clone();
        *changed.pointer_mut(place).unwrap() = value;
        assert_eq!(slug(&changed, "x", None), "relay.wallet_malformed", "{place}");
    }
    assert_eq!(slug(&json!([]), "x", None), "relay.wallet_malformed");
}
