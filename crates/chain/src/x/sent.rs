//! What blocks say of the transactions of one account: the one evidence of what spent a nonce.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U64};
use futures_util::{StreamExt, TryStreamExt, stream};
use nsl_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    NeoX,
    node::{Node, quantity},
};
use crate::{
    chain::{Chain, ChainKind, Receipt, TxId},
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
    /// What it took, in wei, where the node tells.
    pub fee: Option<u128>,
}

/// The last block that is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub height: u64,
    pub hash: B256,
    /// The height of the last block of all.
    pub tip: u64,
}

/// What a row of blocks has of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The hash of the block before the first.
    pub before: B256,
    /// The hash of the last.
    pub last: B256,
    pub sent: Vec<Sent>,
}

/// Blocks that are read in one request, and such requests at once.
const TOGETHER: usize = 16;
const SIDE_BY_SIDE: usize = 2;

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
    gas_used: U64,
    effective_gas_price: Option<U64>,
}

/// How a transaction ended.
struct Ended {
    hash: B256,
    undone: bool,
    fee: Option<u128>,
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        let fee = status.effective_gas_price.map(|price| price.to::<u128>() * status.gas_used.to::<u128>());
        Self { hash: status.transaction_hash, undone: status.status.is_some_and(|status| status.is_zero()), fee }
    }
}

impl NeoX {
    /// The last block that is final, read from the node that speaks of it. All who ask in the same moment are told the
    /// same.
    pub async fn head(&self) -> Result<Head> {
        let deep = self.finality() - 1;
        let asked = |last: Option<Head>| {
            self.pool.run(move |node| async move {
                let tip = node.height().await?;
                let height = tip.saturating_sub(deep);
                if let Some(last) = last.filter(|last| last.tip == tip) {
                    return Ok(last);
                }
                let none = |why: &str| Trouble::Garbled(format!("no block {height} of {tip}{why}"));
                match node.header(height).await {
                    Ok(Some(header)) => Ok(Head { height, hash: header.hash, tip }),
                    // Who has no block there does not know how high the chain is.
                    Ok(None) => Err(none("")),
                    Err(Trouble::Behind(why)) => Err(none(&format!(": {why}"))),
                    Err(trouble) => Err(trouble),
                }
            })
        };
        let heard = self.head.get(asked).await;
        heard.map_err(|trouble| trouble.into_error(ChainKind::NeoX, "its last block"))
    }

    /// The transactions of an account in these blocks, in order. All blocks were read and follow each other, or it is
    /// an error.
    pub async fn sent_by(&self, account: Address, from: u64, to: u64) -> Result<Blocks> {
        let heights: Vec<u64> = (from..=to).collect();
        let parts: Vec<Arc<[u64]>> = heights.chunks(TOGETHER).map(Arc::from).collect();
        let blocks: Vec<(Block, Vec<Ended>)> = stream::iter(parts)
            .map(|part| {
                self.ask("blocks", move |node| {
                    let part = Arc::clone(&part);
                    async move { read(&node, account, &part).await }
                })
            })
            .buffered(SIDE_BY_SIDE)
            .try_concat()
            .await?;
        if let Some(pair) = blocks.windows(2).find(|pair| pair[1].0.parent_hash != pair[0].0.hash) {
            let broken = Trouble::Garbled(format!("block {} does not follow the one before", pair[1].0.number));
            return Err(broken.into_error(ChainKind::NeoX, "reading blocks"));
        }
        let (Some((first, _)), Some((last, _))) = (blocks.first(), blocks.last()) else {
            return Err(Error::internal(anyhow::anyhow!("no block was asked for")));
        };
        let (before, last) = (first.parent_hash, last.hash);
        let mut all = Vec::new();
        for (block, ended) in blocks {
            for tx in block.transactions.iter().filter(|tx| tx.from == account) {
                let id: TxId = tx.hash.to_string().parse()?;
                let end = ended.iter().find(|end| end.hash == tx.hash);
                let fault = match end.is_some_and(|end| end.undone) {
                    true => Some(self.why(&id).await?),
                    false => None,
                };
                let fee = end.and_then(|end| end.fee);
                all.push(Sent { height: block.number.to(), nonce: tx.nonce.to(), id, fault, fee });
            }
        }
        Ok(Blocks { before, last, sent: all })
    }

    async fn why(&self, id: &TxId) -> Result<String> {
        Ok(match self.receipt(id).await? {
            Receipt::Executed(executed) => executed.fault.map(|fault| fault.reason),
            Receipt::Unknown | Receipt::Pending => None,
        }
        .unwrap_or_else(|| "reverted".to_owned()))
    }
}

// The blocks, and how the transactions in each ended that has one of the account.
async fn read(node: &Node, account: Address, heights: &[u64]) -> Result<Vec<(Block, Vec<Ended>)>, Trouble> {
    let places: Vec<Value> = heights.iter().map(|height| json!([quantity(*height), true])).collect();
    let found: Vec<_> = node.many::<Option<Block>>("eth_getBlockByNumber", &places).await?;
    let mut blocks = Vec::with_capacity(heights.len());
    for (height, block) in heights.iter().zip(found) {
        let block = block?.ok_or_else(|| Trouble::Behind(format!("block {height}")))?;
        if block.number.to::<u64>() != *height {
            return Err(Trouble::Garbled(format!("another block than {height}")));
        }
        blocks.push((block, Vec::new()));
    }
    let ours = |(block, _): &&mut (Block, Vec<Ended>)| block.transactions.iter().any(|tx| tx.from == account);
    let mut ours: Vec<_> = blocks.iter_mut().filter(ours).collect();
    let places: Vec<Value> = ours.iter().map(|(block, _)| json!([quantity(block.number.to())])).collect();
    let receipts = match places.is_empty() {
        true => Vec::new(),
        false => node.many::<Vec<Status>>("eth_getBlockReceipts", &places).await?,
    };
    for ((block, ended), receipts) in ours.iter_mut().zip(receipts) {
        let receipts = receipts?;
        let told = |tx: &Tx| receipts.iter().any(|receipt| receipt.transaction_hash == tx.hash);
        if !block.transactions.iter().all(told) {
            return Err(Trouble::Garbled(format!("receipts of another block than {}", block.number)));
        }
        *ended = receipts.into_iter().map(Ended::from).collect();
    }
    Ok(blocks)
}
