//! Blocks and what they tell.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use neo::{Hash160, Hash256, block::Block};
use neo_rpc::model::{Contained, Notification, Shown, Trigger, VmState};
use nsl_core::{Error, Result};
use tokio::time::Instant;

use super::{NeoN3, Node};
use crate::{
    chain::{ChainKind, Stretch, TxId},
    error::{METHOD_NOT_FOUND, Trouble},
    event::{BlockRef, Body, Event, Filter, Position},
};

/// How many requests go beside each other.
const ABREAST: usize = 4;
/// How long one stretch reads on; what is not read by then is left to the next one.
const SLICE: Duration = Duration::from_secs(3);
/// The run of a block after its transactions.
const AFTER: u32 = u32::MAX;

// A filter in the terms of the chain.
struct Wanted {
    contracts: Vec<Hash160>,
    names: Vec<String>,
}

impl NeoN3 {
    pub(super) async fn history(&self, from: u64, most: u32, filter: &Filter) -> Result<Option<Stretch>> {
        let wanted = &Wanted::of(filter)?;
        self.ask("its blocks", |node| async move {
            let head = height(&node).await?;
            if from > head {
                return Ok(None);
            }
            let to = head.min(from + u64::from(most.max(1)) - 1);
            let mut reading =
                pin!(stream::iter(from..=to).map(|height| block(&node, height, wanted)).buffered(ABREAST));
            let mut read: Vec<(Block, Vec<Event>)> = Vec::new();
            let began = Instant::now();
            while began.elapsed() < SLICE
                && let Some(next) = reading.try_next().await?
            {
                read.push(next);
            }
            if (1..read.len()).any(|at| read[at].0.header.previous != read[at - 1].0.hash()) {
                return Err(Trouble::Garbled(format!("blocks {from} to {to} don't follow each other")));
            }
            let before = from.checked_sub(1).map(|height| reference(height, read[0].0.header.previous));
            let blocks = (from..).zip(&read).map(|(height, (block, _))| reference(height, block.hash())).collect();
            Ok(Some(Stretch { before, blocks, events: read.into_iter().flat_map(|(_, events)| events).collect() }))
        })
        .await
    }
}

impl Wanted {
    fn of(filter: &Filter) -> Result<Self> {
        let contracts = filter.contracts.iter().map(|text| {
            text.parse().map_err(|_| {
                Error::invalid(
                    "chain.filter_invalid",
                    format!("a filter for events of Neo N3: {text:?} is no contract hash"),
                )
            })
        });
        Ok(Self { contracts: contracts.collect::<Result<_>>()?, names: filter.names.clone() })
    }

    fn takes(&self, told: &Notification) -> bool {
        (self.contracts.is_empty() || self.contracts.contains(&told.contract))
            && (self.names.is_empty() || self.names.contains(&told.name))
    }
}

pub(super) async fn height(node: &Node) -> Result<u64, Trouble> {
    let count = node.ask("getblockcount", |rpc| rpc.block_count()).await?;
    u64::from(count).checked_sub(1).ok_or_else(|| Trouble::Behind("not even the first block".to_owned()))
}

async fn block(node: &Arc<Node>, height: u64, wanted: &Wanted) -> Result<(Block, Vec<Event>), Trouble> {
    let place = u32::try_from(height).map_err(|_| Trouble::Behind(format!("block {height}")))?;
    let block = node.ask("getblock", |rpc| rpc.block(place)).await?;
    if u64::from(block.header.index) != height || block.verify_content().is_err() {
        return Err(Trouble::Garbled(format!("what was given for block {height} is another one")));
    }
    let hash = block.hash();
    let runs = match node.ask("getblocknotifications", |rpc| rpc.block_notifications(hash, None)).await {
        Ok(told) => {
            let mut runs = vec![(0, None, plain(told.on_persist))];
            for (run, tx) in (1..).zip(&block.transactions) {
                let id = tx.hash();
                let of_it = told.application.iter().filter(|told| told.container == id);
                runs.push((run, Some(id), of_it.map(|told| told.notification.clone()).collect()));
            }
            let placed: usize = runs[1..].iter().map(|(_, _, told)| told.len()).sum();
            if placed != told.application.len() {
                return Err(Trouble::Garbled(format!("block {height} has events of transactions that it has not")));
            }
            runs.push((AFTER, None, plain(told.post_persist)));
            runs
        }
        // Only neo-go has it; any node with its logs can say the same in more requests.
        Err(Trouble::Node(error)) if error.code == METHOD_NOT_FOUND => by_logs(node, &block).await?,
        Err(trouble) => return Err(trouble),
    };
    let reference = reference(height, hash);
    let events = runs
        .into_iter()
        .flat_map(|(run, tx, told)| events_of(&reference, run, tx, told))
        .filter(|(_, told)| wanted.takes(told))
        .map(|(event, _)| event)
        .collect();
    Ok((block, events))
}

type Run = (u32, Option<Hash256>, Vec<Notification>);

async fn by_logs(node: &Arc<Node>, block: &Block) -> Result<Vec<Run>, Trouble> {
    let mut asked = vec![(0, block.hash(), Some(Trigger::OnPersist))];
    asked.extend((1..).zip(&block.transactions).map(|(run, tx)| (run, tx.hash(), None)));
    asked.push((AFTER, block.hash(), Some(Trigger::PostPersist)));
    stream::iter(asked)
        .map(|(run, hash, trigger)| async move {
            let log = node.ask("getapplicationlog", |rpc| rpc.application_log(hash, trigger)).await?;
            // A node that has the block and not yet its logs would make a gap.
            let log = log.ok_or_else(|| Trouble::Behind(format!("the log of {hash}")))?;
            let wanted = trigger.unwrap_or(Trigger::Application);
            let held = log.executions.into_iter().filter(|run| run.trigger == wanted && run.state == VmState::Halt);
            let told = held.flat_map(|run| run.notifications).collect();
            Ok((run, trigger.is_none().then_some(hash), told))
        })
        .buffered(ABREAST)
        .try_collect()
        .await
}

fn plain(told: Vec<Contained>) -> Vec<Notification> {
    told.into_iter().map(|told| told.notification).collect()
}

/// What one run told, each with where it stands.
pub(super) fn events_of(
    block: &BlockRef,
    run: u32,
    tx: Option<Hash256>,
    told: Vec<Notification>,
) -> impl Iterator<Item = (Event, Notification)> {
    let tx: Option<TxId> = tx.and_then(|tx| tx.to_string().parse().ok());
    let block = block.clone();
    (0..).zip(told).map(move |(index, told)| {
        let state = match &told.state {
            Shown::Known(item) => item.as_list().ok().map(<[_]>::to_vec),
            Shown::Unshown(_) => None,
        };
        let event = Event {
            chain: ChainKind::NeoN3,
            block: block.clone(),
            at: Position { height: block.height, tx: run, index },
            tx: tx.clone(),
            contract: told.contract.to_string(),
            body: Body::Notification { name: told.name.clone(), state },
        };
        (event, told)
    })
}

fn reference(height: u64, hash: Hash256) -> BlockRef {
    BlockRef { height, hash: hash.to_string() }
}
