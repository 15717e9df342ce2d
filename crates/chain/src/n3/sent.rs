//! What blocks have: the one evidence of what became of a transaction. They are proven by their signatures
//! ([`super::signers`]).

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use neo::{Hash160, Hash256};
use neo_rpc::model::{Execution, Trigger};
use nsl_core::{Error, Result};
use parking_lot::Mutex;

use super::{NeoN3, Node, history};
use crate::{chain::ChainKind, error::Trouble};

/// Blocks that are read at the same time.
const TOGETHER: usize = 8;
/// Logs that are asked for in one request.
const LOGS: usize = 50;
/// How many blocks are remembered: several callers look at the same ones.
const REMEMBERED: usize = 128;

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub height: u32,
    pub hash: Hash256,
    /// Who paid.
    pub sender: Hash160,
    /// System fee and network fee together.
    pub fee: i64,
}

/// A transaction in a block, and how its script ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub sent: Sent,
    pub run: Execution,
}

/// A block that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub height: u32,
    pub hash: Hash256,
}

struct Block {
    hash: Hash256,
    previous: Hash256,
    sent: Vec<Sent>,
}

/// The last blocks that were read whole.
#[derive(Default)]
pub(super) struct Read(Mutex<BTreeMap<u32, Arc<Block>>>);

impl NeoN3 {
    /// The transactions of these blocks, in order. All blocks were read and follow each other, or it is an error.
    pub async fn sent(&self, from: u32, to: u32) -> Result<Vec<Sent>> {
        Ok(self.whole(from, to).await?.iter().flat_map(|block| block.sent.iter().cloned()).collect())
    }

    /// The last block, read from the node that speaks of it. All who ask in the same moment are told the same.
    pub async fn head(&self) -> Result<Head> {
        let asked = |last: Option<Head>| {
            self.pool.run(move |node| async move {
                let height = u32::try_from(history::height(&node).await?)
                    .map_err(|_| Trouble::Garbled("a height beyond any of Neo N3".to_owned()))?;
                if let Some(last) = last.filter(|last| last.height == height) {
                    return Ok(last);
                }
                let read = match self.block(&node, height).await {
                    // Who has no block there does not know how high the chain is.
                    Err(Trouble::Node(error)) => Err(Trouble::Garbled(format!("no block {height}: {}", error.message))),
                    Err(Trouble::Behind(why)) => Err(Trouble::Garbled(format!("no block {height}: {why}"))),
                    read => read,
                }?;
                let head = Head { height, hash: read.hash };
                self.read.0.lock().insert(height, Arc::new(read));
                Ok(head)
            })
        };
        let heard = self.head.get(asked).await;
        heard.map_err(|trouble| trouble.into_error(ChainKind::NeoN3, "its last block"))
    }

    /// The hash of a block, as nodes show it now.
    pub async fn hash_of(&self, height: u32) -> Result<Hash256> {
        self.ask("a block", |node| async move { self.block(&node, height).await.map(|block| block.hash) }).await
    }

    /// Those of these transactions that these blocks have, in order, and how their scripts ran; with the last of these
    /// blocks. All blocks were read, follow each other, and the first follows `after`, or it is an error.
    pub async fn ran(
        &self,
        wanted: &HashSet<Hash256>,
        after: Option<Hash256>,
        from: u32,
        to: u32,
    ) -> Result<(Vec<Ran>, Hash256)> {
        let blocks = self.whole(from, to).await?;
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Err(Error::internal(anyhow::anyhow!("no block was asked for")));
        };
        if after.is_some_and(|after| after != first.previous) {
            self.read.0.lock().clear();
            self.head.forget().await;
            return Err(broken(from));
        }
        let last = last.hash;
        let all = blocks.iter().flat_map(|block| &block.sent).filter(|sent| wanted.contains(&sent.hash));
        let sent: Vec<Sent> = all.cloned().collect();
        let parts = sent.chunks(LOGS).map(<[Sent]>::to_vec);
        let parts = stream::iter(parts).map(|part| self.logs(part)).buffered(TOGETHER);
        Ok((parts.try_collect::<Vec<_>>().await?.concat(), last))
    }

    async fn logs(&self, sent: Vec<Sent>) -> Result<Vec<Ran>> {
        let hashes: Vec<Hash256> = sent.iter().map(|sent| sent.hash).collect();
        let hashes = &hashes;
        let logs = self.ask("what ran", |node| async move {
            let logs = node.ask("getapplicationlog", |rpc| rpc.application_logs(hashes)).await?;
            let runs = logs.into_iter().zip(hashes).map(|(log, hash)| {
                let run =
                    log.and_then(|log| log.executions.into_iter().find(|run| run.trigger == Trigger::Application));
                // A node that has the block and not yet its logs.
                run.ok_or_else(|| Trouble::Behind(format!("the log of {hash}")))
            });
            runs.collect::<Result<Vec<_>, _>>()
        });
        Ok(sent.into_iter().zip(logs.await?).map(|(sent, run)| Ran { sent, run }).collect())
    }

    async fn whole(&self, from: u32, to: u32) -> Result<Vec<Arc<Block>>> {
        let read = |height| async move {
            let known = self.read.0.lock().get(&height).cloned();
            match known {
                Some(block) => Ok(block),
                None => self.ask("a block", |node| async move { self.block(&node, height).await.map(Arc::new) }).await,
            }
        };
        let blocks: Vec<Arc<Block>> = stream::iter(from..=to).map(read).buffered(TOGETHER).try_collect().await?;
        if let Some(at) = (1..blocks.len()).find(|at| blocks[*at].previous != blocks[at - 1].hash) {
            // What is remembered may be of a network that has begun anew since.
            self.read.0.lock().clear();
            self.head.forget().await;
            return Err(broken(from.saturating_add(at as u32)));
        }
        let mut known = self.read.0.lock();
        known.extend((from..).zip(blocks.iter().cloned()));
        while known.len() > REMEMBERED {
            known.pop_first();
        }
        Ok(blocks)
    }

    /// A block whose transactions are all there, and that the consensus nodes signed.
    async fn block(&self, node: &Arc<Node>, height: u32) -> Result<Block, Trouble> {
        let block = node.ask("getblock", |rpc| rpc.block(height)).await?;
        if block.header.index != height || block.verify_content().is_err() {
            return Err(Trouble::Garbled(format!("what was given for block {height} is another one")));
        }
        self.prove(node, &block.header).await?;
        let sent = |tx: &neo::tx::Transaction| Sent { height, hash: tx.hash(), sender: tx.sender(), fee: tx.fees() };
        let sent = block.transactions.iter().map(sent).collect();
        Ok(Block { hash: block.hash(), previous: block.header.previous, sent })
    }
}

fn broken(height: u32) -> Error {
    let broken = Trouble::Garbled(format!("block {height} does not follow the one before"));
    broken.into_error(ChainKind::NeoN3, "its blocks")
}
