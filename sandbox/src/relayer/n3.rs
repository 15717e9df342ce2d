//! A neo-go at ten blocks a second under one account: GAS counts what arrives.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    hash::Hash160,
    keys::PrivateKey,
    native,
    script::{Builder, CallFlags, Opcode},
    stack::Param,
    tx::{Signer, Transaction, Witness},
    wire::Wire as _,
};
use nsl_devnet::{Database, N3, N3Options};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    ground::{Direct, Ground, Seen, foreign_place, place},
    luck::Luck,
};

/// More than the node takes in one request is refused.
const TOGETHER: usize = 50;

pub(super) struct NeoGo {
    n3: N3,
    node: Direct,
    key: PrivateKey,
    luck: Luck,
}

impl NeoGo {
    pub(super) async fn start(dir: &Path) -> Result<Self> {
        let options = N3Options { database: Database::LevelDb, ..N3Options::default() };
        let n3 = N3::start(&dir.join("n3"), options).await?;
        let key = PrivateKey::from_wif(&n3.accounts[0].key)?;
        Ok(Self { n3, node: Direct::new()?, key, luck: Luck::new()? })
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value> {
        self.node.ask(&self.n3.rpc, method, params).await
    }

    async fn all(&self, calls: Vec<(&str, Value)>) -> Result<Vec<Value>> {
        let mut all = Vec::with_capacity(calls.len());
        for part in calls.chunks(TOGETHER) {
            all.extend(self.node.all(&self.n3.rpc, part.to_vec()).await?);
        }
        Ok(all)
    }

    fn signal(&self, signal: &str) -> Result<()> {
        Command::new("kill").arg(signal).arg(self.n3.pid().to_string()).status().context("running kill")?;
        Ok(())
    }

    async fn check_balances(&self, requests: u64, seen: &Seen) -> Result<()> {
        let gas = native::GAS.to_string();
        let calls = (0..requests).map(|number| {
            let account = json!([{ "type": "Hash160", "value": format!("0x{}", place(number)) }]);
            ("invokefunction", json!([gas, "balanceOf", account]))
        });
        for (number, balance) in (0..requests).zip(self.all(calls.collect()).await?) {
            let held = balance["stack"][0]["value"].as_str().and_then(|held| held.parse::<u64>().ok());
            let told = seen.requests.get(&number).copied().unwrap_or_default();
            ensure!(held == Some(told), "events tell {told} of request {number}, and its account holds {held:?}");
        }
        Ok(())
    }
}

impl Ground for NeoGo {
    const CHAIN: &'static str = "neo-n3";

    fn rpc(&self) -> String {
        self.n3.rpc.clone()
    }

    fn settings(&self, url: &str) -> Vec<(&'static str, String)> {
        vec![("NSL_CHAIN__NEO_N3__ENDPOINTS", url.to_owned()), ("NSL_CHAIN__NEO_N3__MAGIC", self.n3.magic.to_string())]
    }

    fn account(&self) -> (String, String) {
        (self.n3.accounts[0].address.clone(), self.n3.accounts[0].key.clone())
    }

    fn body(&self, number: u64) -> Value {
        let from = self.key.public().script_hash().to_string();
        let args = json!([
            { "type": "Hash160", "value": from },
            { "type": "Hash160", "value": format!("0x{}", place(number)) },
            { "type": "Integer", "value": "1" },
            { "type": "Any" },
        ]);
        // Some go alone, some may share.
        json!({
            "account": self.n3.accounts[0].address,
            "contract": native::GAS.to_string(),
            "method": "transfer",
            "args": args,
            "share": number.is_multiple_of(2),
        })
    }

    async fn upset(&mut self, turn: u64) -> Result<()> {
        if turn % 3 == 2 {
            return self.n3.restart().await;
        }
        self.signal("-STOP")?;
        sleep(Duration::from_millis(300 + self.luck.below(1_200))).await;
        self.signal("-CONT")
    }

    async fn calm(&mut self) -> Result<()> {
        self.signal("-CONT")
    }

    async fn foreign(&self, number: u64) -> Result<()> {
        let from = self.key.public().script_hash();
        let to = Hash160::from_text(&format!("0x{}", foreign_place(number)))?;
        let mut script = Builder::new();
        let arguments = [Param::Hash160(from), Param::Hash160(to), Param::Integer(1.into()), Param::Null];
        script.call(&native::GAS, "transfer", CallFlags::ALL, &arguments).op(Opcode::ASSERT);
        let script = script.finish()?;
        let height = self.ask("getblockcount", json!([])).await?.as_u64().context("no height")?;
        let mut transaction = Transaction {
            version: 0,
            nonce: self.luck.below(u64::from(u32::MAX)) as u32,
            system_fee: 20_000_000,
            network_fee: 5_000_000,
            valid_until_block: u32::try_from(height + 100)?,
            signers: vec![Signer::called_by_entry(from)],
            attributes: Vec::new(),
            script,
            witnesses: Vec::new(),
        };
        transaction.witnesses = vec![Witness::single(&self.key, &transaction.message(self.n3.magic))];
        self.ask("sendrawtransaction", json!([STANDARD.encode(transaction.to_bytes())])).await.map(drop)
    }

    async fn seen(&self, requests: u64) -> Result<Seen> {
        let count = self.ask("getblockcount", json!([])).await?.as_u64().context("no height")?;
        let blocks = self.all((0..count).map(|height| ("getblock", json!([height, true]))).collect()).await?;
        let hashes = blocks.iter().flat_map(|block| block["tx"].as_array().into_iter().flatten());
        let logs = self.all(hashes.map(|tx| ("getapplicationlog", json!([tx["hash"]]))).collect()).await?;
        let mut seen = Seen::default();
        for log in &logs {
            let execution = &log["executions"][0];
            if execution["vmstate"] != "HALT" {
                continue;
            }
            for told in execution["notifications"].as_array().into_iter().flatten() {
                let Some(to) = receiver(told) else { continue };
                seen.note(&to)?;
            }
        }
        self.check_balances(requests, &seen).await?;
        Ok(seen)
    }

    async fn end(&self) {
        self.n3.kill();
    }
}

// Whom a transfer of GAS went to, as 40 hex digits.
fn receiver(told: &Value) -> Option<String> {
    if told["contract"] != native::GAS.to_string() || told["eventname"] != "Transfer" {
        return None;
    }
    let mut bytes = STANDARD.decode(told["state"]["value"][1]["value"].as_str()?).ok()?;
    bytes.reverse();
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
