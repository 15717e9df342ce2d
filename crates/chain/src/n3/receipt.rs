//! What became of transactions.

use std::{collections::VecDeque, sync::Arc};

use neo::{Hash256, tx::Transaction};
use neo_rpc::model::{Execution, Shown, Trigger, VmState};
use nsl_core::Result;
use parking_lot::Mutex;

use super::{NeoN3, Node, history::events_of};
use crate::{
    chain::{Executed, Fault, Output, Receipt, TxId},
    error::Trouble,
    event::BlockRef,
};

/// How many blocks are remembered with the ids of their transactions.
const REMEMBERED: usize = 32;

/// Which transactions the last blocks hold that were asked for: many receipts are of few blocks.
#[derive(Default)]
pub(super) struct Blocks(Mutex<VecDeque<Arc<Held>>>);

struct Held {
    block: BlockRef,
    transactions: Vec<Hash256>,
}

enum Sight {
    Unknown,
    Pending,
    Executed(Box<Seen>),
}

struct Seen {
    held: Arc<Held>,
    transaction: Transaction,
    run: Execution,
}

impl NeoN3 {
    pub(super) async fn outcome(&self, id: &TxId) -> Result<Receipt> {
        let hash: Hash256 = id.as_str().parse().map_err(super::refused)?;
        let look = |node: Arc<Node>| self.look(node, hash);
        let seen = match self.ask("a receipt", look).await? {
            // One endpoint may not have heard of what another one holds.
            Sight::Unknown => {
                let all = self.pool.everywhere(look).await;
                all.into_iter().filter_map(Result::ok).max_by_key(Sight::weight).unwrap_or(Sight::Unknown)
            }
            seen => seen,
        };
        Ok(match seen {
            Sight::Unknown => Receipt::Unknown,
            Sight::Pending => Receipt::Pending,
            Sight::Executed(seen) => Receipt::Executed(Box::new(executed(id, *seen))),
        })
    }

    /// A transaction in a block or in the pool of a node; none when the endpoint has not heard of it.
    pub async fn transaction(&self, id: &TxId) -> Result<Option<Transaction>> {
        let hash: Hash256 = id.as_str().parse().map_err(super::refused)?;
        let look =
            move |node: Arc<Node>| async move { node.ask("getrawtransaction", |rpc| rpc.transaction_view(hash)).await };
        Ok(self.ask("a transaction", look).await?.map(|view| view.transaction))
    }

    async fn look(&self, node: Arc<Node>, hash: Hash256) -> Result<Sight, Trouble> {
        let Some(view) = node.ask("getrawtransaction", |rpc| rpc.transaction_view(hash)).await? else {
            return Ok(Sight::Unknown);
        };
        let Some(block) = view.block else { return Ok(Sight::Pending) };
        let held = self.held(&node, block).await?;
        let log = node.ask("getapplicationlog", |rpc| rpc.application_log(hash, None)).await?;
        let run = log.and_then(|log| log.executions.into_iter().find(|run| run.trigger == Trigger::Application));
        let run = run.ok_or_else(|| Trouble::Behind(format!("the log of {hash}")))?;
        Ok(Sight::Executed(Box::new(Seen { held, transaction: view.transaction, run })))
    }

    async fn held(&self, node: &Arc<Node>, hash: Hash256) -> Result<Arc<Held>, Trouble> {
        let text = hash.to_string();
        if let Some(held) = self.blocks.0.lock().iter().find(|held| held.block.hash == text) {
            return Ok(Arc::clone(held));
        }
        let block = node.ask("getblock", |rpc| rpc.block(hash)).await?;
        let held = Arc::new(Held {
            block: BlockRef { height: block.header.index.into(), hash: text },
            transactions: block.transactions.iter().map(Transaction::hash).collect(),
        });
        let mut blocks = self.blocks.0.lock();
        blocks.truncate(REMEMBERED - 1);
        blocks.push_front(Arc::clone(&held));
        Ok(held)
    }
}

fn executed(id: &TxId, seen: Seen) -> Executed {
    let Seen { held, transaction, run } = seen;
    let hash = transaction.hash();
    let place = held.transactions.iter().position(|other| *other == hash).unwrap_or_default() as u32;
    let failed = run.state != VmState::Halt;
    // What a failed script told did not happen.
    let told = if failed { Vec::new() } else { run.notifications };
    Executed {
        id: id.clone(),
        index: place,
        fault: failed.then(|| fault(run.exception.as_deref())),
        fee: u128::try_from(transaction.fees()).unwrap_or_default(),
        gas: u64::try_from(run.gas_consumed).unwrap_or_default(),
        events: events_of(&held.block, place + 1, Some(hash), told).map(|(event, _)| event).collect(),
        contract: None,
        output: match run.stack {
            Shown::Known(items) => Some(Output::N3(items)),
            Shown::Unshown(_) => None,
        },
        is_final: true,
        block: held.block.clone(),
    }
}

pub(super) fn fault(exception: Option<&str>) -> Fault {
    Fault { reason: exception.map_or_else(|| "faulted without a reason".to_owned(), crate::error::shown), data: None }
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
