//! Keys, accounts, wallets.

use neo::{
    Hash160, PrivateKey, PublicKey, account,
    nep2::{self, Scrypt},
    nep6::{Kind, Wallet},
};
use serde_json::{Value, json};

use crate::{Answer, bare, bytes, text};

pub(crate) fn private_key(asked: &Value) -> Result<PrivateKey, Box<dyn std::error::Error>> {
    if asked["wif"].is_string() {
        return Ok(PrivateKey::from_wif(text(asked, "wif")?)?);
    }
    let bytes = bytes(asked, "private_key")?;
    Ok(PrivateKey::from_bytes(&bytes.try_into().map_err(|_| "private_key: not 32 bytes")?)?)
}

pub(crate) fn address(asked: &Value) -> Answer {
    if asked["private_key"].is_string() || asked["wif"].is_string() {
        return Ok(secret(&private_key(asked)?));
    }
    for name in ["public_key", "public_key_uncompressed"] {
        if asked[name].is_string() {
            return Ok(public(&text(asked, name)?.parse()?));
        }
    }
    let hash = if asked["address"].is_string() {
        Hash160::from_address(text(asked, "address")?)?
    } else if asked["verification_script"].is_string() {
        Hash160::of_script(&bytes(asked, "verification_script")?)
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

pub(crate) fn multisig(asked: &Value) -> Answer {
    let keys: Vec<PublicKey> = serde_json::from_value(asked["public_keys"].clone())?;
    let threshold = asked["threshold"].as_u64().ok_or("threshold: a number is needed")?;
    let script = account::multi(usize::try_from(threshold)?, &keys)?;
    let hash = Hash160::of_script(&script);
    let (_, sorted) = account::read_multi(&script).ok_or("the script does not read back")?;
    Ok(json!({
        "threshold": threshold,
        "public_keys": sorted,
        "verification_script": hex::encode(&script),
        "script_hash_be": bare(&hash),
        "address": hash.address(),
    }))
}

fn scrypt(asked: &Value) -> Result<Scrypt, serde_json::Error> {
    match &asked["scrypt"] {
        Value::Null => Ok(Scrypt::STANDARD),
        given => serde_json::from_value(given.clone()),
    }
}

pub(crate) fn nep2_encrypt(asked: &Value) -> Answer {
    let key = private_key(asked)?;
    let encrypted = nep2::encrypt(&key, text(asked, "passphrase")?, &scrypt(asked)?)?;
    Ok(json!({"nep2": encrypted, "address": key.public().address()}))
}

pub(crate) fn nep2_decrypt(asked: &Value) -> Answer {
    Ok(secret(&nep2::decrypt(text(asked, "nep2")?, text(asked, "passphrase")?, &scrypt(asked)?)?))
}

pub(crate) fn nep6_open(asked: &Value) -> Answer {
    let wallet = match &asked["nep6"] {
        Value::String(file) => Wallet::from_json(file.as_bytes())?,
        file => Wallet::from_json(file.to_string().as_bytes())?,
    };
    let opened = wallet.open(text(asked, "password")?)?;
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
