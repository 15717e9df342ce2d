//! The keys of a network: made at random at its first start, kept beside its chain.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context, Result, bail, ensure};
use neo::{
    hash::Hash160,
    keys::{PrivateKey, PublicKey},
};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::config::PASSWORD;
use crate::{account::Account, cache::write_whole};

pub(super) const WALLET: &str = "node.json";
const KEYS: &str = "keys.json";
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

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

    pub(super) async fn open_or_make(dir: &Path, users: usize, program: &Path) -> Result<Self> {
        if dir.join(KEYS).exists() {
            return Self::open(dir);
        }
        let node = make_wallet(dir, program).await.context("making the wallet of the node")?;
        let users = (0..users).map(|_| random()).collect::<Result<_>>()?;
        let made = Self { node, users };
        let wif = |key: &PrivateKey| key.to_wif().to_string();
        let written = Written { node: wif(&made.node), users: made.users.iter().map(wif).collect() };
        write_whole(&dir.join(KEYS), &serde_json::to_vec_pretty(&written)?, 0o600)?;
        Ok(made)
    }

    pub(super) fn accounts(&self) -> Vec<Account> {
        let name = |number: usize| match NAMES.get(number) {
            Some(name) => (*name).to_owned(),
            None => format!("user{number}"),
        };
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

async fn make_wallet(dir: &Path, program: &Path) -> Result<PrivateKey> {
    let wallet = dir.join(WALLET);
    let _ = fs::remove_file(&wallet);
    let settings = dir.join("wallet.yml");
    write_whole(&settings, format!("Path: {}\nPassword: {PASSWORD}\n", wallet.display()).as_bytes(), 0o600)?;
    let run = async |arguments: &[&str]| -> Result<String> {
        let output = Command::new(program)
            .args(["wallet", arguments[0], "--wallet-config"])
            .arg(&settings)
            .args(&arguments[1..])
            .stdin(Stdio::null())
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    run(&["init", "-a"]).await?;
    let made: serde_json::Value = serde_json::from_slice(&fs::read(&wallet)?)?;
    let address = made["accounts"][0]["address"].as_str().context("neo-go made no account")?;
    let exported = run(&["export", "--decrypt", address]).await?;
    let Some(key) = exported.split_whitespace().find_map(|word| PrivateKey::from_wif(word).ok()) else {
        bail!("neo-go exported no key");
    };
    run(&["import-multisig", "--name", "committee", "--min", "1", &key.public().to_string()]).await?;
    Ok(key)
}
