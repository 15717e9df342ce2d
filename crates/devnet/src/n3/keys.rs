//! The keys of a network: made at random at its first start, kept beside its chain.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use neo::{
    hash::Hash160,
    keys::{PrivateKey, PublicKey},
    nep2::{self, Scrypt},
    nep6::{self, Wallet},
};
use serde::{Deserialize, Serialize};

use super::config::PASSWORD;
use crate::{account::Account, cache::write_whole};

/// A wallet file with all keys of the network.
pub(super) const WALLET: &str = "wallet.json";
const KEYS: &str = "keys.json";
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
// The passphrase is in the configuration beside it, so more work would protect nothing.
const LIGHT: Scrypt = Scrypt { n: 2, r: 8, p: 8 };

#[derive(Debug)]
pub(super) struct Keys {
    pub(super) node: PrivateKey,
    pub(super) users: Vec<PrivateKey>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    node: String,
    users: Vec<String>,
}

impl Keys {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let file = dir.join(KEYS);
        let read = || -> Result<Self> {
            let written: Written = serde_json::from_slice(&fs::read(&file)?)?;
            let users = written.users.iter().map(|wif| PrivateKey::from_wif(wif)).collect::<Result<_, _>>()?;
            Ok(Self { node: PrivateKey::from_wif(&written.node)?, users })
        };
        read().with_context(|| format!("reading {}", file.display()))
    }

    pub(super) fn open_or_make(dir: &Path, users: usize) -> Result<Self> {
        if dir.join(KEYS).exists() {
            return Self::open(dir);
        }
        let made = Self { node: random()?, users: (0..users).map(|_| random()).collect::<Result<_>>()? };
        write_whole(&dir.join(WALLET), wallet(&made)?.to_json().as_bytes(), 0o600)?;
        let wif = |key: &PrivateKey| key.to_wif().to_string();
        let written = Written { node: wif(&made.node), users: made.users.iter().map(wif).collect() };
        write_whole(&dir.join(KEYS), &serde_json::to_vec_pretty(&written)?, 0o600)?;
        Ok(made)
    }

    pub(super) fn accounts(&self) -> Vec<Account> {
        let of = |(number, key): (usize, &PrivateKey)| Account {
            chain: "neo-n3".to_owned(),
            name: name(number),
            address: key.public().address(),
            key: key.to_wif().to_string(),
        };
        self.users.iter().enumerate().map(of).collect()
    }

    pub(super) fn committee(&self) -> Account {
        Account {
            chain: "neo-n3".to_owned(),
            name: "committee".to_owned(),
            address: Hash160::of_script(&committee_script(&self.node.public())).address(),
            key: self.node.to_wif().to_string(),
        }
    }
}

/// What committee and validators, all one key, sign by.
pub(super) fn committee_script(key: &PublicKey) -> Vec<u8> {
    neo::account::multi(1, &[*key]).expect("one of one is an account")
}

fn random() -> Result<PrivateKey> {
    let mut bytes = [0; 32];
    loop {
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("this machine gives no random bytes"))?;
        // All but a few of the numbers below 2^256 are keys.
        if let Ok(key) = PrivateKey::from_bytes(&bytes) {
            return Ok(key);
        }
    }
}

// One file for the node and for people: it has the node's key twice, alone and as the committee.
fn wallet(keys: &Keys) -> Result<Wallet> {
    let mut wallet = Wallet::new(Some("development".to_owned()), LIGHT);
    let public = keys.node.public();
    let encrypted = nep2::encrypt(&keys.node, PASSWORD, &LIGHT)?;
    wallet.add(nep6::Account::single(&public, Some(encrypted.clone()), Some("node".to_owned())))?;
    wallet.add(nep6::Account::multi(1, &[public], Some(encrypted), Some("committee".to_owned()))?)?;
    for (number, user) in keys.users.iter().enumerate() {
        wallet.add_key(user, PASSWORD, Some(name(number)))?;
    }
    Ok(wallet)
}

fn name(number: usize) -> String {
    NAMES.get(number).map_or_else(|| format!("user{number}"), |name| (*name).to_owned())
}
