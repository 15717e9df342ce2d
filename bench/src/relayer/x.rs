use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nsl_chain::x::{self, Draft, Fees, Key, U256};
use nsl_core::Secret;
use nsl_devnet::{X, XOptions};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{load::Relay, node::Node};
use crate::report::Part;

const GWEI: u128 = 1_000_000_000;
const TOKEN: &str = include_str!("../../../contracts/x/Token.json");
/// transfer(address,uint256).
const TRANSFER: &str = "a9059cbb";
/// Blocks come with transactions: a loop that sees none for so long is stuck, and begins anew on another node.
const STUCK: Duration = Duration::from_secs(3);
const TRIES: u32 = 20;
/// More than a transfer to somebody new takes.
const GAS: u64 = 70_000;

struct Ground {
    x: X,
    node: Node,
    token: String,
    _room: tempfile::TempDir,
}

impl Ground {
    async fn fresh() -> Result<Self> {
        let room = tempfile::tempdir()?;
        // Neo X fixes its base fee; this keeps anvil's from rising with full blocks until it takes nothing any more.
        let args = vec!["--gas-limit".to_owned(), "1000000000".to_owned()];
        let x = X::start(&room.path().join("x"), XOptions { args, ..XOptions::default() }).await?;
        let node = Node::at(&x.rpc)?;
        let artefact: Value = serde_json::from_str(TOKEN)?;
        let code = artefact["bytecode"].as_str().context("the artefact has no bytecode")?;
        let sent = json!([{ "from": x.accounts[0].address, "data": format!("{code}{:064x}", 1_000_000_000u64) }]);
        let hash = node.ask("eth_sendTransaction", sent).await?;
        loop {
            let receipt = node.ask("eth_getTransactionReceipt", json!([hash])).await?;
            if let Some(token) = receipt["contractAddress"].as_str() {
                let token = token.to_owned();
                return Ok(Self { x, node, token, _room: room });
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn count(&self) -> Result<u64> {
        let count = self.node.ask("eth_getTransactionCount", json!([self.x.accounts[0].address, "latest"])).await?;
        Ok(u64::from_str_radix(count.as_str().context("a count")?.trim_start_matches("0x"), 16)?)
    }

    // None where a transaction is left lying, and this client has nothing to heal that with.
    #[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
    async fn bare(&self, count: u64) -> Result<Option<f64>> {
        let key = hex::decode(self.x.accounts[0].key.trim_start_matches("0x"))?;
        let key = Key::from_secret(&Secret::new(key))?;
        let to = x::address(&self.token).context("the address of the token")?;
        let first = self.count().await?;
        let began = Instant::now();
        for number in 0..count {
            let draft = Draft {
                chain_id: self.x.chain_id,
                nonce: first + number,
                to: Some(to),
                value: U256::ZERO,
                data: hex::decode(transfer(number))?,
                gas_limit: GAS,
                fees: Fees::Dynamic { max_fee: 40 * GWEI, tip: 20 * GWEI },
            };
            let signed = draft.signed_by(&key)?;
            let raw = format!("0x{}", hex::encode(&signed.raw));
            self.node.ask("eth_sendRawTransaction", json!([raw])).await?;
        }
        let (mut taken, mut seen) = (self.count().await?, Instant::now());
        while taken < first + count {
            if seen.elapsed() > STUCK {
                return Ok(None);
            }
            sleep(Duration::from_millis(2)).await;
            let now = self.count().await?;
            if now > taken {
                (taken, seen) = (now, Instant::now());
            }
        }
        Ok(Some(count as f64 / began.elapsed().as_secs_f64()))
    }

    fn bodies(&self, from: u64, count: u64) -> Vec<String> {
        let body = |number| {
            let data = format!("0x{}", transfer(number));
            json!({ "account": self.x.accounts[0].address, "to": self.token, "data": data }).to_string()
        };
        (from..from + count).map(body).collect()
    }
}

// One coin to somebody new.
fn transfer(number: u64) -> String {
    let to = format!("57020000{number:032x}");
    format!("{TRANSFER}{to:0>64}{:064x}", 1)
}

pub(super) async fn measure(part: &mut Part, count: u64) -> Result<()> {
    let mut bare = None;
    for _ in 0..TRIES {
        bare = Ground::fresh().await?.bare(count).await.context("the loop by itself, on Neo X")?;
        if bare.is_some() {
            break;
        }
    }
    let bare = bare.with_context(|| format!("the loop by itself got stuck {TRIES} times on Neo X"))?;
    part.row([
        "Neo X (anvil, a block for each), by itself".into(),
        format!("{bare:.0}"),
        String::new(),
        String::new(),
        String::new(),
    ]);
    let ground = Ground::fresh().await?;
    let settings = [
        ("NSL_CHAIN__NEO_X__ENDPOINTS", ground.x.rpc.clone()),
        ("NSL_CHAIN__NEO_X__CHAIN_ID", ground.x.chain_id.to_string()),
        // Now and then anvil leaves a transaction lying that comes while its predecessor is put into a block, until
        // another one takes its place. With a block for each, a second without one is enough to know.
        ("NSL_RELAY__RAISE_MS", "1000".to_owned()),
    ];
    let relay = Arc::new(Relay::start("neo-x", &settings, &ground.x.accounts[0].key).await?);
    let all = relay.run("all", ground.bodies(0, count), None).await.context("through nsl, on Neo X")?;
    part.row(all.row("Neo X, through nsl, all at once", Some(bare)));
    let paced = relay.run("paced", ground.bodies(count, count), Some(0.9 * all.per_second)).await?;
    part.row(paced.row("Neo X, through nsl, at that load", None));
    Ok(())
}
