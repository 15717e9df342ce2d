//! Keys, accounts, wallets.

use neo::{
    Hash160, PrivateKey, PublicKey, account,
    nep2::{self, Scrypt},
    nep6::{Kind, Wallet},
};
use serde_json::{Value, json};

use crate::{Answer, bare, bytes, digits, number, text};

/// From `wif` or `private_key`; where both are there, they must be the same key.
pub(crate) fn private_key(asked: &Value) -> Result<PrivateKey, Box<dyn std::error::Error>> {
    let key = match asked["wif"].is_string() {
        true => PrivateKey::from_wif(text(asked, "wif")?)?,
        false => bare_key(asked)?,
    };
    if asked["private_key"].is_string() && bare_key(asked)?.public() != key.public() {
        return Err("private_key: another than that of wif".into());
    }
    Ok(key)
}

fn bare_key(asked: &Value) -> Result<PrivateKey, Box<dyn std::error::Error>> {
    let bytes = bytes(asked, "private_key")?;
    Ok(PrivateKey::from_bytes(&bytes.try_into().map_err(|_| "private_key: not 32 bytes")?)?)
}

pub(crate) fn address(asked: &Value) -> Answer {
    if asked["private_key"].is_string() || asked["wif"].is_string() {
        return Ok(secret(&private_key(asked)?));
    }
    for name in ["public_key", "public_key_uncompressed"] {
        if asked[name].is_string() {
            return Ok(public(&digits(text(asked, name)?).parse()?));
        }
    }
    if asked["verification_script"].is_string() {
        return Ok(of_script(&bytes(asked, "verification_script")?));
    }
    let hash = if asked["address"].is_string() {
        Hash160::from_address(text(asked, "address")?)?
    } else {
        text(asked, "script_hash_be")?.parse()?
    };
    Ok(json!({"script_hash_be": bare(&hash), "address": hash.address()}))
}

fn secret(key: &PrivateKey) -> Value {
    let mut shown = public(&key.public());
    shown["private_key"] = hex::encode(key.to_bytes().as_slice()).into();
    shown["wif"] = key.to_wif().as_str().into();
    shown
}

fn public(key: &PublicKey) -> Value {
    json!({
        "public_key": key,
        "script_hash_be": bare(&key.script_hash()),
        "address": key.address(),
        "verification_script": hex::encode(key.verification_script()),
    })
}

fn of_script(script: &[u8]) -> Value {
    let hash = Hash160::of_script(script);
    let mut shown = json!({
        "verification_script": hex::encode(script),
        "script_hash_be": bare(&hash),
        "address": hash.address(),
    });
    if let Some(key) = account::read_single(script) {
        shown["public_key"] = json!(key);
    } else if let Some((threshold, keys)) = account::read_multi(script) {
        shown["threshold"] = threshold.into();
        shown["public_keys"] = json!(keys);
    }
    shown
}

pub(crate) fn multisig(asked: &Value) -> Answer {
    let keys = asked["public_keys"].as_array().ok_or("public_keys: a list is needed")?.iter();
    let keys = keys.map(|key| Ok(digits(key.as_str().ok_or("public_keys: text is needed")?).parse()?));
    let keys = keys.collect::<Result<Vec<PublicKey>, Box<dyn std::error::Error>>>()?;
    let threshold = usize::try_from(number(asked, "threshold")?)?;
    Ok(of_script(&account::multi(threshold, &keys)?))
}

/// From `scrypt`, or from `n`, `r` and `p` beside the rest.
fn scrypt(asked: &Value) -> Result<Scrypt, serde_json::Error> {
    match &asked["scrypt"] {
        Value::Null if ["n", "r", "p"].iter().all(|name| asked[name].is_null()) => Ok(Scrypt::STANDARD),
        Value::Null => serde_json::from_value(asked.clone()),
        given => serde_json::from_value(given.clone()),
    }
}

/// Programs call it either way.
fn passphrase(asked: &Value) -> Result<&str, Box<dyn std::error::Error>> {
    text(asked, if asked["passphrase"].is_null() { "password" } else { "passphrase" })
}

pub(crate) fn nep2_encrypt(asked: &Value) -> Answer {
    let key = private_key(asked)?;
    let encrypted = nep2::encrypt(&key, passphrase(asked)?, &scrypt(asked)?)?;
    Ok(json!({"nep2": encrypted, "address": key.public().address()}))
}

pub(crate) fn nep2_decrypt(asked: &Value) -> Answer {
    Ok(secret(&nep2::decrypt(text(asked, "nep2")?, passphrase(asked)?, &scrypt(asked)?)?))
}

pub(crate) fn nep6_open(asked: &Value) -> Answer {
    let wallet = match &asked["nep6"] {
        Value::String(file) => Wallet::from_json(file.as_bytes())?,
        file => Wallet::from_json(file.to_string().as_bytes())?,
    };
    let opened = wallet.open(passphrase(asked)?)?;
    let accounts: Vec<_> = wallet
        .accounts
        .iter()
        .map(|account| {
            let kind = match account.kind() {
                Kind::Single(_) => "single",
                Kind::Multi { .. } => "multi",
                Kind::Deployed => "deployed",
                Kind::Script => "script",
                Kind::WatchOnly => "watch_only",
            };
            let key = opened.iter().find(|one| one.hash == account.hash).map(|one| secret(&one.key));
            json!({
                "address": account.hash.address(), "label": account.label, "kind": kind, "key": key,
                "isDefault": account.is_default, "lock": account.lock,
            })
        })
        .collect();
    let keys: Vec<_> = opened.iter().map(|one| hex::encode(one.key.to_bytes().as_slice())).collect();
    let written: Value = serde_json::from_str(&wallet.to_json())?;
    Ok(json!({"private_keys": keys, "accounts": accounts, "nep6": written}))
}
