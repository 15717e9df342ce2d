//! What blocks say of the transactions of one account: the one evidence of what spent a nonce.

use alloy_primitives::{Address, B256, U64};
use futures_util::{StreamExt, TryStreamExt, stream};
use nsl_core::Result;
use serde::Deserialize;
use serde_json::json;

use super::{
    NeoX,
    node::{Node, quantity},
};
use crate::{
    chain::{Chain, Receipt, TxId},
    error::Trouble,
};

/// A transaction of an account, in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub height: u64,
    pub nonce: u64,
    pub id: TxId,
    /// Why it was undone; none when it did what it was to do.
    pub fault: Option<String>,
}

/// Blocks that are read at the same time.
const TOGETHER: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    number: U64,
    hash: B256,
    parent_hash: B256,
    transactions: Vec<Tx>,
}

#[derive(Deserialize)]
struct Tx {
    hash: B256,
    from: Address,
    nonce: U64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    transaction_hash: B256,
    status: Option<U64>,
}

impl NeoX {
    /// The transactions of an account in these blocks, in order. All blocks were read and follow each other, or it is
    /// an error.
    pub async fn sent_by(&self, account: Address, from: u64, to: u64) -> Result<Vec<Sent>> {
        let blocks: Vec<(Block, Vec<B256>)> = stream::iter(from..=to)
            .map(|height| self.ask("a block", move |node| async move { read(&node, account, height).await }))
            .buffered(TOGETHER)
            .try_collect()
            .await?;
        if let Some(pair) = blocks.windows(2).find(|pair| pair[1].0.parent_hash != pair[0].0.hash) {
            let broken = Trouble::Garbled(format!("block {} does not follow the one before", pair[1].0.number));
            return Err(broken.into_error(crate::chain::ChainKind::NeoX, "reading blocks"));
        }
        let mut all = Vec::new();
        for (block, failed) in blocks {
            for tx in block.transactions.iter().filter(|tx| tx.from == account) {
                let id: TxId = tx.hash.to_string().parse()?;
                let fault = match failed.contains(&tx.hash) {
                    true => Some(self.why(&id).await?),
                    false => None,
                };
                all.push(Sent { height: block.number.to(), nonce: tx.nonce.to(), id, fault });
            }
        }
        Ok(all)
    }

    async fn why(&self, id: &TxId) -> Result<String> {
        Ok(match self.receipt(id).await? {
            Receipt::Executed(executed) => executed.fault.map(|fault| fault.reason),
            Receipt::Unknown | Receipt::Pending => None,
        }
        .unwrap_or_else(|| "reverted".to_owned()))
    }
}

// The block, and which of the account's transactions in it failed.
async fn read(node: &Node, account: Address, height: u64) -> Result<(Block, Vec<B256>), Trouble> {
    let block: Option<Block> = node.call("eth_getBlockByNumber", json!([quantity(height), true])).await?;
    let block = block.ok_or_else(|| Trouble::Behind(format!("block {height}")))?;
    if block.number.to::<u64>() != height {
        return Err(Trouble::Garbled(format!("another block than {height}")));
    }
    if !block.transactions.iter().any(|tx| tx.from == account) {
        return Ok((block, Vec::new()));
    }
    let receipts: Vec<Status> = node.call("eth_getBlockReceipts", json!([quantity(height)])).await?;
    let told = |tx: &Tx| receipts.iter().any(|receipt| receipt.transaction_hash == tx.hash);
    if !block.transactions.iter().all(told) {
        return Err(Trouble::Garbled(format!("receipts of another block than {height}")));
    }
    let failed = receipts.into_iter().filter(|receipt| receipt.status.is_some_and(|status| status.is_zero()));
    Ok((block, failed.map(|receipt| receipt.transaction_hash).collect()))
}
