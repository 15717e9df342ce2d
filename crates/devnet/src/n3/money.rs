//! Transfers of the money that genesis gives to the committee.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    hash::{Hash160, Hash256},
    native,
    script::{Builder, CallFlags, Opcode},
    stack::Param,
    tx::{Signer, Transaction, Witness},
    wire::Wire as _,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    N3,
    keys::{Keys, committee_script},
};

const GRANT_GAS: u64 = 100_000 * 100_000_000;
const GRANT_NEO: u64 = 100_000;
const VALID_BLOCKS: u64 = 1000;
const TICK: Duration = Duration::from_millis(10);

/// The script of genesis that gives every account its money, in base64.
pub(super) fn genesis(keys: &Keys) -> Result<String> {
    let from = Hash160::of_script(&committee_script(&keys.node.public()));
    let mut script = Builder::new();
    for user in &keys.users {
        transfer(&mut script, &native::GAS, from, user.public().script_hash(), GRANT_GAS);
        transfer(&mut script, &native::NEO, from, user.public().script_hash(), GRANT_NEO);
    }
    // An empty script is none.
    script.op(Opcode::NOP);
    Ok(STANDARD.encode(script.finish()?))
}

// A transfer that fails faults the whole script.
fn transfer(script: &mut Builder, token: &Hash160, from: Hash160, to: Hash160, amount: u64) {
    let arguments = [Param::Hash160(from), Param::Hash160(to), Param::Integer(amount.into()), Param::Null];
    script.call(token, "transfer", CallFlags::ALL, &arguments).op(Opcode::ASSERT);
}

pub(super) async fn send(network: &N3, token: Hash160, address: &str, amount: u64) -> Result<String> {
    let to = Hash160::from_text(address).with_context(|| format!("{address:?} is no address of Neo N3"))?;
    sent(network, token, to, amount).await.with_context(|| format!("sending {amount} of {token} to {address}"))
}

async fn sent(network: &N3, token: Hash160, to: Hash160, amount: u64) -> Result<String> {
    let keys = Keys::open(&network.dir)?;
    let verification = committee_script(&keys.node.public());
    let from = Hash160::of_script(&verification);
    let mut script = Builder::new();
    transfer(&mut script, &token, from, to, amount);
    let script = script.finish()?;
    let signers = json!([{ "account": from.to_string(), "scopes": "CalledByEntry" }]);
    let tried = network.call("invokescript", json!([STANDARD.encode(&script), signers])).await?;
    if tried["state"] != "HALT" {
        let has = balance(network, token, from).await?;
        let short = match has < u128::from(amount) {
            true => format!("the committee has only {has} to give, in the smallest unit; "),
            false => String::new(),
        };
        bail!("{short}the test run says {}", tried["exception"]);
    }
    let height = network.call("getblockcount", json!([])).await?.as_u64().context("no height")?;
    let mut nonce = [0; 4];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| anyhow::anyhow!("this machine gives no random bytes"))?;
    let mut transaction = Transaction {
        version: 0,
        nonce: u32::from_le_bytes(nonce),
        system_fee: number(&tried["gasconsumed"])?,
        network_fee: 0,
        valid_until_block: u32::try_from(height + VALID_BLOCKS)?,
        signers: vec![Signer::called_by_entry(from)],
        attributes: Vec::new(),
        script,
        witnesses: vec![Witness { invocation: Vec::new(), verification: verification.clone() }],
    };
    let fee = network.call("calculatenetworkfee", json!([STANDARD.encode(transaction.to_bytes())])).await?;
    transaction.network_fee = number(&fee["networkfee"])?;
    let signature = keys.node.sign(&transaction.message(network.magic));
    transaction.witnesses = vec![Witness::multi(&verification, &[(keys.node.public(), signature)])?];
    let hash = transaction.hash();
    network.call("sendrawtransaction", json!([STANDARD.encode(transaction.to_bytes())])).await?;
    wait(network, &hash).await?;
    Ok(hash.to_string())
}

/// What an account has of a token, in its smallest unit.
pub(super) async fn balance(network: &N3, token: Hash160, account: Hash160) -> Result<u128> {
    let of = json!([{ "type": "Hash160", "value": account.to_string() }]);
    let asked = network.call("invokefunction", json!([token.to_string(), "balanceOf", of])).await?;
    let number = asked["stack"][0]["value"].as_str().and_then(|number| number.parse().ok());
    number.with_context(|| format!("the node does not tell what {account} has"))
}

async fn wait(network: &N3, hash: &Hash256) -> Result<()> {
    let until = Instant::now() + 3 * network.options.block_time + Duration::from_secs(10);
    loop {
        match network.call("getapplicationlog", json!([hash.to_string()])).await {
            Ok(log) => {
                let execution = &log["executions"][0];
                if execution["vmstate"] != "HALT" {
                    bail!("{hash} ended with {}", execution["exception"]);
                }
                return Ok(());
            }
            Err(error) if Instant::now() > until => return Err(error.context(format!("{hash} is in no block"))),
            Err(_) => sleep(TICK).await,
        }
    }
}

fn number(value: &Value) -> Result<i64> {
    value.as_str().and_then(|text| text.parse().ok()).with_context(|| format!("{value} is no amount"))
}
