//! An anvil under one account: a token of ours counts what arrives.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use nsl_devnet::{X, XOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    ground::{Direct, Ground, Seen, foreign_place, place},
    luck::Luck,
};

static TOKEN: &str = include_str!("../../../contracts/x/Token.json");
/// transfer(address,uint256), and the event Transfer.
const TRANSFER: &str = "a9059cbb";
const TRANSFERRED: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
/// What the other client offers for a unit of gas: more than the relay does at first.
const PRICE: u64 = 100_000_000_000;
const TIP: u64 = 50_000_000_000;
/// How far ahead the other client may be.
const AHEAD: u64 = 20;

pub(super) struct Anvil {
    x: X,
    node: Direct,
    token: String,
    luck: Luck,
}

fn transfer(to: &str) -> String {
    format!("0x{TRANSFER}{to:0>64}{:064x}", 1)
}

impl Anvil {
    pub(super) async fn start(dir: &Path) -> Result<Self> {
        // The chain outlives a restart; it is written down at its end only.
        let state = dir.join("chain.json").display().to_string();
        let args = vec!["--state".to_owned(), state, "--order".to_owned(), "fifo".to_owned()];
        let x = X::start(&dir.join("x"), XOptions { args, ..XOptions::default() }).await?;
        let mut ground = Self { x, node: Direct::new()?, token: String::new(), luck: Luck::new()? };
        ground.token = ground.deploy().await?;
        Ok(ground)
    }

    async fn deploy(&self) -> Result<String> {
        let artefact: Value = serde_json::from_str(TOKEN)?;
        let code = artefact["bytecode"].as_str().context("the artefact has no bytecode")?;
        let data = format!("{code}{:064x}", 1_000_000_000u64);
        let hash = self.ask("eth_sendTransaction", json!([{ "from": self.address(), "data": data }])).await?;
        for _ in 0..500 {
            let receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await?;
            if let Some(address) = receipt["contractAddress"].as_str() {
                return Ok(address.to_owned());
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("the token was not deployed");
    }

    fn address(&self) -> &str {
        &self.x.accounts[0].address
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value> {
        self.node.ask(&self.x.rpc, method, params).await
    }

    async fn count(&self, tag: &str) -> Result<u64> {
        let count = self.ask("eth_getTransactionCount", json!([self.address(), tag])).await?;
        number(&count)
    }

    async fn instant(&self, on: bool) -> Result<()> {
        if on {
            self.ask("evm_setIntervalMining", json!([0])).await?;
        }
        self.ask("evm_setAutomine", json!([on])).await.map(drop)
    }

    // What is in the pool and could be in the next block.
    async fn drop_one(&self) -> Result<()> {
        let content = self.ask("txpool_content", json!([])).await?;
        let hashes: Vec<&Value> = content["pending"]
            .as_object()
            .into_iter()
            .flat_map(|accounts| accounts.values())
            .filter_map(Value::as_object)
            .flat_map(|nonces| nonces.values().map(|tx| &tx["hash"]))
            .collect();
        if !hashes.is_empty() {
            let one = hashes[self.luck.below(hashes.len() as u64) as usize];
            self.ask("anvil_dropTransaction", json!([one])).await?;
        }
        Ok(())
    }
}

fn number(value: &Value) -> Result<u64> {
    let digits =
        value.as_str().and_then(|text| text.strip_prefix("0x")).with_context(|| format!("a number: {value}"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}

impl Ground for Anvil {
    const CHAIN: &'static str = "neo-x";

    fn rpc(&self) -> String {
        self.x.rpc.clone()
    }

    fn settings(&self, url: &str) -> Vec<(&'static str, String)> {
        vec![
            ("NSL_CHAIN__NEO_X__ENDPOINTS", url.to_owned()),
            ("NSL_CHAIN__NEO_X__CHAIN_ID", self.x.chain_id.to_string()),
        ]
    }

    fn account(&self) -> (String, String) {
        (self.address().to_owned(), self.x.accounts[0].key.clone())
    }

    fn body(&self, number: u64) -> Value {
        json!({ "account": self.address(), "to": self.token, "data": transfer(&place(number)) })
    }

    async fn upset(&mut self, turn: u64) -> Result<()> {
        match turn % 6 {
            // Blocks stop, the pool fills, and then some or all of it is gone.
            0 | 3 => {
                self.instant(false).await?;
                sleep(Duration::from_millis(400 + self.luck.below(1_000))).await;
                if turn.is_multiple_of(2) {
                    self.ask("anvil_dropAllTransactions", json!([])).await?;
                } else {
                    self.drop_one().await?;
                }
                self.instant(true).await
            }
            1 => {
                self.instant(false).await?;
                self.ask("evm_setIntervalMining", json!([1])).await.map(drop)
            }
            2 => {
                self.drop_one().await?;
                sleep(Duration::from_millis(300)).await;
                self.ask("anvil_dropAllTransactions", json!([])).await?;
                self.instant(true).await
            }
            4 => self.ask("anvil_dropAllTransactions", json!([])).await.map(drop),
            _ => self.x.restart().await,
        }
    }

    async fn calm(&mut self) -> Result<()> {
        self.instant(true).await?;
        self.ask("evm_mine", json!([])).await.map(drop)
    }

    async fn foreign(&self, number: u64) -> Result<()> {
        // In the place of what the relay has on its way, behind it, or well ahead.
        let nonce = match number % 3 {
            0 => self.count("latest").await?,
            1 => self.count("pending").await?,
            _ => self.count("pending").await? + AHEAD,
        };
        let sent = json!({
            "from": self.address(),
            "to": self.token,
            "data": transfer(&foreign_place(number)),
            "gas": "0x30d40",
            "nonce": format!("{nonce:#x}"),
            "maxFeePerGas": format!("{PRICE:#x}"),
            "maxPriorityFeePerGas": format!("{TIP:#x}"),
        });
        self.ask("eth_sendTransaction", json!([sent])).await.map(drop)
    }

    async fn seen(&self, requests: u64) -> Result<Seen> {
        let mut seen = Seen::default();
        let wanted =
            json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": self.token, "topics": [TRANSFERRED] }]);
        let logs = self.ask("eth_getLogs", wanted).await?;
        for log in logs.as_array().context("a list of events")? {
            let to = log["topics"][2].as_str().and_then(|topic| topic.get(26..)).context("an event without a place")?;
            seen.note(to)?;
        }
        self.check_balances(requests, &seen).await?;
        Ok(seen)
    }

    async fn end(&self) {
        self.x.kill();
    }
}

impl Anvil {
    // What events say must be what the token holds for each place.
    async fn check_balances(&self, requests: u64, seen: &Seen) -> Result<()> {
        let numbers: Vec<u64> = (0..requests).collect();
        for part in numbers.chunks(500) {
            let calls = part.iter().map(|one| {
                let data = format!("0x70a08231{:0>64}", place(*one));
                ("eth_call", json!([{ "to": self.token, "data": data }, "latest"]))
            });
            for (one, balance) in part.iter().zip(self.node.all(&self.x.rpc, calls.collect()).await?) {
                let held =
                    u64::from_str_radix(balance.as_str().and_then(|text| text.get(50..)).context("a balance")?, 16)?;
                let told = seen.requests.get(one).copied().unwrap_or_default();
                anyhow::ensure!(held == told, "events tell {told} of request {one}, and the token holds {held}");
            }
        }
        Ok(())
    }
}
