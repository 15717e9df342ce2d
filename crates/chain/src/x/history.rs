//! Blocks and what they tell.

use std::{pin::pin, time::Duration};

use alloy_primitives::{Address, B256, Bloom, keccak256};
use futures_util::{StreamExt, TryStreamExt, stream};
use nsl_core::{Error, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    NeoX,
    node::{Header, Log, Node, quantity},
    value::address,
};
use crate::{
    chain::{Bytes, ChainKind, Stretch},
    error::Trouble,
    event::{BlockRef, Body, Event, Filter, Position},
};

/// So far behind, many blocks are asked for their logs at once.
const FAR: u64 = 64;
/// How many.
const RANGE: u64 = 1_000;
/// How many blocks are read beside each other.
const ABREAST: usize = 4;
/// How long one stretch reads on; what is not read by then is left to the next one.
const SLICE: Duration = Duration::from_secs(3);

// A filter in the terms of the node.
struct Wanted {
    contracts: Vec<Address>,
    topics: Vec<B256>,
}

impl NeoX {
    pub(super) async fn history(&self, from: u64, most: u32, filter: &Filter) -> Result<Option<Stretch>> {
        let wanted = Wanted::of(filter)?;
        let settled = u64::from(self.config.reorg_blocks);
        let wanted = &wanted;
        self.pool
            .run(|node| async move {
                let head = node.height().await?;
                if from > head {
                    return Ok(None);
                }
                if most > 1 && head - from > settled + FAR {
                    let to = (from + RANGE - 1).min(head - settled);
                    if let Some(stretch) = range(&node, from, to, wanted).await? {
                        return Ok(Some(stretch));
                    }
                }
                let to = head.min(from + u64::from(most.max(1)) - 1);
                one_by_one(&node, from, to, wanted).await.map(Some)
            })
            .await
            .map_err(|trouble| trouble.into_error(ChainKind::NeoX, "its blocks"))
    }
}

impl Wanted {
    fn of(filter: &Filter) -> Result<Self> {
        let bad = |what: &str, text: &str| {
            Error::invalid("chain.filter_invalid", format!("a filter for events of Neo X: {text:?} is no {what}"))
        };
        let contracts = filter
            .contracts
            .iter()
            .map(|text| address(&text.to_ascii_lowercase()).ok_or_else(|| bad("address", text)))
            .collect::<Result<_>>()?;
        let topics = filter.names.iter().map(|text| match text.strip_prefix("0x") {
            Some(_) => text.parse().map_err(|_| bad("topic", text)),
            None if text.contains('(') && text.ends_with(')') => Ok(keccak256(text.replace(' ', ""))),
            None => Err(bad("topic or signature", text)),
        });
        Ok(Self { contracts, topics: topics.collect::<Result<_>>()? })
    }

    fn takes(&self, log: &Log) -> bool {
        (self.contracts.is_empty() || self.contracts.contains(&log.address))
            && (self.topics.is_empty() || log.topics.first().is_some_and(|topic| self.topics.contains(topic)))
    }

    fn over(&self, from: u64, to: u64) -> Value {
        let mut form = json!({ "fromBlock": quantity(from), "toBlock": quantity(to) });
        if !self.contracts.is_empty() {
            form["address"] = json!(self.contracts);
        }
        if !self.topics.is_empty() {
            form["topics"] = json!([self.topics]);
        }
        form
    }
}

// Every block with its own hash, so that a replaced one can't lend its logs to another.
async fn one_by_one(node: &Node, from: u64, to: u64, wanted: &Wanted) -> Result<Stretch, Trouble> {
    let mut reading = pin!(stream::iter(from..=to).map(|height| block(node, height, wanted)).buffered(ABREAST));
    let mut read: Vec<(Header, Vec<Event>)> = Vec::new();
    let began = Instant::now();
    while began.elapsed() < SLICE
        && let Some(next) = reading.try_next().await?
    {
        read.push(next);
    }
    // Blocks that were replaced while they were read don't follow each other: what comes after is left for later.
    let broken = (1..read.len()).find(|at| read[*at].0.parent_hash != read[at - 1].0.hash);
    read.truncate(broken.unwrap_or(read.len()));
    let before = before(&read[0].0);
    let blocks = read.iter().map(|(header, _)| reference(header)).collect();
    Ok(Stretch { before, blocks, events: read.into_iter().flat_map(|(_, events)| events).collect() })
}

async fn block(node: &Node, height: u64, wanted: &Wanted) -> Result<(Header, Vec<Event>), Trouble> {
    let header = existing(node, height).await?;
    let logs: Vec<Log> = node.call("eth_getLogs", json!([{ "blockHash": header.hash }])).await?;
    // A node that has the header and not yet the logs would make a gap.
    if logs.is_empty() && header.logs_bloom.is_some_and(|bloom| bloom != Bloom::ZERO) {
        return Err(Trouble::Behind(format!("the logs of block {height}")));
    }
    if logs.iter().any(|log| log.block_hash != Some(header.hash)) {
        return Err(Trouble::Garbled(format!("logs of another block than {height}")));
    }
    let events = events_of(logs, wanted)?;
    Ok((header, events))
}

// Many blocks at once, none of which can be replaced any more; none when the node finds them too many.
async fn range(node: &Node, from: u64, to: u64, wanted: &Wanted) -> Result<Option<Stretch>, Trouble> {
    let first = existing(node, from).await?;
    let mut to = to;
    let logs: Vec<Log> = loop {
        match node.call("eth_getLogs", json!([wanted.over(from, to)])).await {
            Ok(logs) => break logs,
            // Too many blocks, or too many logs in them.
            Err(Trouble::Node(_) | Trouble::Garbled(_)) if to > from => to = from + (to - from) / 2,
            Err(Trouble::Node(_) | Trouble::Garbled(_) | Trouble::Slow(_)) => return Ok(None),
            Err(trouble) => return Err(trouble),
        }
    };
    let last = existing(node, to).await?;
    let events = events_of(logs, wanted)?;
    if events.iter().any(|event| event.block.height < from || event.block.height > to) {
        return Err(Trouble::Garbled("logs of blocks that were not asked for".to_owned()));
    }
    Ok(Some(Stretch { before: before(&first), blocks: vec![reference(&last)], events }))
}

async fn existing(node: &Node, height: u64) -> Result<Header, Trouble> {
    let header = node.header(height).await?.ok_or_else(|| Trouble::Behind(format!("block {height}")))?;
    if header.number.to::<u64>() != height {
        return Err(Trouble::Garbled(format!("another block than {height}")));
    }
    Ok(header)
}

fn events_of(logs: Vec<Log>, wanted: &Wanted) -> Result<Vec<Event>, Trouble> {
    let mut events = Vec::with_capacity(logs.len());
    for log in logs.iter().filter(|log| wanted.takes(log)) {
        let (Some(number), Some(hash)) = (log.block_number, log.block_hash) else {
            return Err(Trouble::Garbled("a log without its block".to_owned()));
        };
        let block = BlockRef { height: number.to(), hash: hash.to_string() };
        events.push(event(log, &block).ok_or_else(|| Trouble::Garbled("a log without its place".to_owned()))?);
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}

/// A log as an event of a block; none when the node does not say where it stands.
pub(super) fn event(log: &Log, block: &BlockRef) -> Option<Event> {
    let tx = u32::try_from(log.transaction_index?.to::<u64>()).ok()?;
    let index = u32::try_from(log.log_index?.to::<u64>()).ok()?;
    Some(Event {
        chain: ChainKind::NeoX,
        block: block.clone(),
        at: Position { height: block.height, tx, index },
        tx: log.transaction_hash.and_then(|hash| hash.to_string().parse().ok()),
        contract: log.address.to_checksum(None),
        body: Body::Log {
            topics: log.topics.iter().map(|topic| Bytes(topic.to_vec())).collect(),
            data: Bytes(log.data.to_vec()),
        },
    })
}

fn reference(header: &Header) -> BlockRef {
    BlockRef { height: header.number.to(), hash: header.hash.to_string() }
}

fn before(header: &Header) -> Option<BlockRef> {
    let height = header.number.to::<u64>().checked_sub(1)?;
    Some(BlockRef { height, hash: header.parent_hash.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_read_in_any_writing() {
        let filter = Filter {
            contracts: vec!["0xF39FD6E51AAD88F6F4CE6AB8827279CFFFB92266".into()],
            names: vec![
                "Transfer(address, address, uint256)".into(),
                "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef".into(),
            ],
        };
        let wanted = Wanted::of(&filter).unwrap();
        assert_eq!(wanted.topics[0], wanted.topics[1]);
        for (contract, name) in [("0x12", None), ("Transfer", None), ("", Some("Transfer")), ("", Some("0x12"))] {
            let filter = Filter {
                contracts: if contract.is_empty() { Vec::new() } else { vec![contract.into()] },
                names: name.map(str::to_owned).into_iter().collect(),
            };
            assert!(Wanted::of(&filter).is_err(), "{filter:?}");
        }
    }
}
