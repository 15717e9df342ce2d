//! What became of transactions.

use alloy_primitives::{Address, U256};
use nsl_core::Result;
use serde_json::json;

use super::{
    Call, NeoX,
    fee::Fees,
    history::event,
    node::{Node, RawReceipt, RawTransaction},
};
use crate::{
    chain::{Chain, Executed, Fault, Receipt, TxId},
    error::Trouble,
    event::BlockRef,
};

/// A transaction that a node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub from: Address,
    pub nonce: u64,
    pub fees: Fees,
    /// The block that it is in, if any.
    pub height: Option<u64>,
}

enum Sight {
    Unknown,
    Pending,
    Executed(Box<RawReceipt>),
}

impl NeoX {
    pub(super) async fn outcome(&self, id: &TxId) -> Result<Receipt> {
        let seen = self.ask("a receipt", |node| async move { look(&node, id).await }).await?;
        let seen = match seen {
            // One endpoint may not have heard of what another one holds.
            Sight::Unknown => {
                let all = self.pool.everywhere(|node| async move { look(&node, id).await }).await;
                all.into_iter().filter_map(Result::ok).max_by_key(Sight::weight).unwrap_or(Sight::Unknown)
            }
            seen => seen,
        };
        match seen {
            Sight::Unknown => Ok(Receipt::Unknown),
            Sight::Pending => Ok(Receipt::Pending),
            Sight::Executed(receipt) => self.executed(id, *receipt).await.map(Box::new).map(Receipt::Executed),
        }
    }

    /// A transaction in a block or in the pool of a node; none when no endpoint has heard of it.
    pub async fn transaction(&self, id: &TxId) -> Result<Option<Found>> {
        let first = self.ask("a transaction", |node| async move { fetch(&node, id).await }).await?;
        let found = match first {
            Some(found) => Some(found),
            None => {
                let all = self.pool.everywhere(|node| async move { fetch(&node, id).await }).await;
                all.into_iter().filter_map(Result::ok).flatten().next()
            }
        };
        Ok(found.map(|tx| Found {
            from: tx.from,
            nonce: tx.nonce.to(),
            fees: tx.fees(),
            height: tx.block_number.map(|number| number.to()),
        }))
    }

    pub(super) async fn is_in_a_block(&self, id: &TxId) -> Result<bool> {
        Ok(matches!(self.outcome(id).await?, Receipt::Executed(_)))
    }

    async fn executed(&self, id: &TxId, receipt: RawReceipt) -> Result<Executed> {
        let block = BlockRef { height: receipt.block_number.to(), hash: receipt.block_hash.to_string() };
        let failed = receipt.status.is_some_and(|status| status.is_zero());
        let tx = match failed || receipt.effective_gas_price.is_none() {
            true => self.ask("a transaction", |node| async move { fetch(&node, id).await }).await?,
            false => None,
        };
        let price = receipt.effective_gas_price.or(tx.as_ref().and_then(|tx| tx.gas_price)).unwrap_or_default();
        let fault = match (failed, &tx) {
            (false, _) => None,
            (true, Some(tx)) => Some(self.reason(tx, &receipt).await),
            (true, None) => Some(Fault { reason: "reverted".to_owned(), data: None }),
        };
        let is_final = match self.finality() {
            0 | 1 => true,
            blocks => self.height().await? + 1 >= block.height + blocks,
        };
        let events = receipt.logs.iter().filter_map(|log| event(log, &block)).collect();
        Ok(Executed {
            id: id.clone(),
            index: receipt.transaction_index.to(),
            fault,
            fee: (price * U256::from(receipt.gas_used.to::<u64>())).saturating_to(),
            gas: receipt.gas_used.to(),
            events,
            contract: receipt.contract_address.map(|address| address.to_checksum(None)),
            output: None,
            is_final,
            block,
        })
    }

    // Receipts say that a transaction failed and not why: it is run again on the state before its block, which is
    // what it met unless another transaction of the same block came between.
    async fn reason(&self, tx: &RawTransaction, receipt: &RawReceipt) -> Fault {
        let call =
            Call { from: Some(tx.from), to: tx.to, data: tx.input.to_vec(), value: tx.value, gas: Some(tx.gas.to()) };
        let before = receipt.block_number.to::<u64>().saturating_sub(1);
        let all_used = receipt.gas_used == tx.gas;
        match self.run(&call, Some(before)).await {
            Ok(Err(fault)) => fault,
            _ if all_used => Fault { reason: "out of gas".to_owned(), data: None },
            Ok(Ok(_)) => Fault {
                reason: "reverted; the same call on the block before does not, so another transaction came between"
                    .to_owned(),
                data: None,
            },
            Err(error) => {
                tracing::debug!(%error, "a failed transaction could not be run again");
                Fault { reason: "reverted, for a reason that could not be found out".to_owned(), data: None }
            }
        }
    }
}

async fn look(node: &Node, id: &TxId) -> Result<Sight, Trouble> {
    let receipt: Option<RawReceipt> = node.call("eth_getTransactionReceipt", json!([id])).await?;
    if let Some(receipt) = receipt {
        return Ok(Sight::Executed(Box::new(receipt)));
    }
    Ok(if fetch(node, id).await?.is_some() { Sight::Pending } else { Sight::Unknown })
}

async fn fetch(node: &Node, id: &TxId) -> Result<Option<RawTransaction>, Trouble> {
    node.call("eth_getTransactionByHash", json!([id])).await
}

impl Sight {
    fn weight(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Pending => 1,
            Self::Executed(_) => 2,
        }
    }
}

impl RawTransaction {
    fn fees(&self) -> Fees {
        match (self.max_fee_per_gas, self.max_priority_fee_per_gas) {
            (Some(max_fee), Some(tip)) => Fees::Dynamic { max_fee: max_fee.saturating_to(), tip: tip.saturating_to() },
            _ => Fees::Legacy { gas_price: self.gas_price.unwrap_or_default().saturating_to() },
        }
    }
}
