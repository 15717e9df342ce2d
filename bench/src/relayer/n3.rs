use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    fee::{Prices, Verification, network_fee},
    hash::Hash160,
    keys::PrivateKey,
    native,
    script::{Builder, CallFlags, Opcode},
    stack::Param,
    tx::{Signer, Transaction, Witness},
    wire::Wire as _,
};
use nsl_devnet::{N3, N3Options};
use serde_json::json;
use tokio::time::sleep;

use super::{load::Relay, node::Node};
use crate::report::Part;

struct Ground {
    n3: N3,
    node: Node,
    key: PrivateKey,
    _room: tempfile::TempDir,
}

impl Ground {
    async fn fresh() -> Result<Self> {
        let room = tempfile::tempdir()?;
        let n3 = N3::start(&room.path().join("n3"), N3Options::default()).await?;
        let (node, key) = (Node::at(&n3.rpc)?, PrivateKey::from_wif(&n3.accounts[0].key)?);
        Ok(Self { n3, node, key, _room: room })
    }

    fn transfer(&self, number: u64) -> Result<Vec<u8>> {
        let (from, to) = (self.key.public().script_hash(), Hash160::from_text(&receiver(number))?);
        let arguments = [Param::Hash160(from), Param::Hash160(to), Param::Integer(1.into()), Param::Null];
        let mut script = Builder::new();
        script.call(&native::GAS, "transfer", CallFlags::ALL, &arguments).op(Opcode::ASSERT);
        Ok(script.finish()?)
    }

    async fn height(&self) -> Result<u64> {
        self.node.ask("getblockcount", json!([])).await?.as_u64().context("a height")
    }

    #[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
    async fn bare(&self, count: u64) -> Result<f64> {
        let from = self.key.public().script_hash();
        let signers = json!([{ "account": from.to_string(), "scopes": "CalledByEntry" }]);
        let run = self.node.ask("invokescript", json!([STANDARD.encode(self.transfer(0)?), signers])).await?;
        let system_fee = run["gasconsumed"].as_str().context("what it takes")?.parse()?;
        let valid_until_block = u32::try_from(self.height().await? + 5_000)?;
        let began = Instant::now();
        let mut last = String::new();
        for number in 0..count {
            let mut transaction = Transaction {
                version: 0,
                nonce: number as u32,
                system_fee,
                network_fee: 0,
                valid_until_block,
                signers: vec![Signer::called_by_entry(from)],
                attributes: Vec::new(),
                script: self.transfer(number)?,
                witnesses: Vec::new(),
            };
            transaction.network_fee =
                network_fee(&transaction, &[Verification::key(&self.key.public())], &Prices::default())?;
            transaction.witnesses = vec![Witness::single(&self.key, &transaction.message(self.n3.magic))];
            self.node.ask("sendrawtransaction", json!([STANDARD.encode(transaction.to_bytes())])).await?;
            last = transaction.hash().to_string();
        }
        // All pay the same, so that the last is not before the others.
        loop {
            match self.node.ask("getapplicationlog", json!([last])).await {
                Ok(log) => {
                    ensure!(log["executions"][0]["vmstate"] == "HALT", "the last transfer failed: {log}");
                    return Ok(count as f64 / began.elapsed().as_secs_f64());
                }
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
    }

    fn bodies(&self, from: u64, count: u64, share: bool) -> Vec<String> {
        let account = self.key.public().script_hash().to_string();
        let body = |number| {
            let args = json!([
                { "type": "Hash160", "value": account },
                { "type": "Hash160", "value": receiver(number) },
                { "type": "Integer", "value": "1" },
                { "type": "Any" },
            ]);
            let contract = native::GAS.to_string();
            json!({ "account": account, "contract": contract, "method": "transfer", "args": args, "share": share })
                .to_string()
        };
        (from..from + count).map(body).collect()
    }
}

fn receiver(number: u64) -> String {
    format!("0x57020000{number:032x}")
}

pub(super) async fn measure(part: &mut Part, count: u64) -> Result<()> {
    let bare = Ground::fresh().await?.bare(count).await.context("the loop by itself, on Neo N3")?;
    let none = String::new;
    part.row(["Neo N3 (neo-go, a block each 100 ms), by itself".into(), format!("{bare:.0}"), none(), none(), none()]);
    let ground = Ground::fresh().await?;
    let settings = [
        ("NSL_CHAIN__NEO_N3__ENDPOINTS", ground.n3.rpc.clone()),
        ("NSL_CHAIN__NEO_N3__MAGIC", ground.n3.magic.to_string()),
    ];
    let relay = Arc::new(Relay::start("neo-n3", &settings, &ground.n3.accounts[0].key).await?);
    let all = relay.run("all", ground.bodies(0, count, false), None).await.context("through nsl, on Neo N3")?;
    part.row(all.row("Neo N3, through nsl, all at once", Some(bare)));
    let paced = relay.run("paced", ground.bodies(count, count, false), Some(0.9 * all.per_second)).await?;
    part.row(paced.row("Neo N3, through nsl, at that load", None));
    let shared = relay.run("shared", ground.bodies(2 * count, count, true), None).await?;
    part.row(shared.row("Neo N3, through nsl, all at once, several calls in one transaction", Some(bare)));
    Ok(())
}
