//! Watching the chain: each event exactly once and in order, whatever happens to connection and node.
//!
//! A websocket of a node tells of events quickly, but not reliably: its kinds of events overtake each other, it drops
//! events when it is overrun, and with some settings of the node it is silent about notifications. So here it only
//! rings: it says that there is a new block. What happened is then read from the block and its application logs,
//! block by block, which needs no second path for what came while the connection was gone.

mod bell;
mod cursor;
mod filter;
mod mempool;
mod read;
mod socket;
mod subscription;

use std::time::Duration;

use neo::{
    Hash256,
    block::{Block, Header},
    tx::Transaction,
};

pub(crate) use self::bell::{Bell, Ring};
pub use self::{
    cursor::{Cursor, Place, Step},
    filter::{BlockFilter, ExecutionFilter, Interest, NotificationFilter, TransactionFilter},
    mempool::{Mempool, MempoolEvent, MempoolFilter},
    subscription::Subscription,
};
use crate::{
    endpoint::Endpoint,
    model::{Execution, Notification},
};

/// Something that happened on the chain, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Its place. A subscription that starts from it goes on with what comes after.
    pub cursor: Cursor,
    /// What happened.
    pub event: Event,
}

/// What happens on the chain, in the order in which it does within a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A script has run: a transaction's, or the network's own before and after the transactions.
    Execution {
        /// The hash of the transaction or block.
        container: Hash256,
        /// The run.
        execution: Box<Execution>,
    },
    /// A script has run, and left more on the stack than this client takes as an answer. Anybody can have that for a
    /// small fee, so it is no failure.
    Oversized {
        /// The hash of the transaction.
        container: Hash256,
    },
    /// A contract told something, in a script that did not fail.
    Notification {
        /// The hash of the transaction or block.
        container: Hash256,
        /// What it told.
        notification: Notification,
    },
    /// A transaction is in a block.
    Transaction(Box<Transaction>),
    /// A block was made: its header.
    Header(Box<Header>),
    /// A block was made.
    Block(Box<Block>),
}

/// How to watch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether to have the node ring over a websocket, and where.
    pub websocket: Websocket,
    /// How often to ask for new blocks while there is no websocket.
    pub poll: Duration,
    /// After how much silence of the websocket to ask all the same.
    pub quiet: Duration,
    /// How many blocks to read at once while behind.
    pub ahead: usize,
    /// How long to try by itself when the node can't be reached, before the caller is told. None: for ever.
    pub patience: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            websocket: Websocket::BesideCalls,
            poll: Duration::from_secs(1),
            quiet: Duration::from_secs(5),
            ahead: 4,
            patience: None,
        }
    }
}

/// Where a node takes websocket connections.
#[derive(Clone, Debug, Default)]
pub enum Websocket {
    /// Where neo-go does: at the path `/ws` beside its calls.
    #[default]
    BesideCalls,
    /// At a URL of its own.
    At(Endpoint),
    /// Nowhere (neo-cli): new blocks are asked for.
    None,
}

impl Websocket {
    pub(crate) fn endpoint(&self, calls: &Endpoint) -> Option<Endpoint> {
        match self {
            Self::BesideCalls => Some(calls.as_websocket()),
            Self::At(endpoint) => Some(endpoint.clone()),
            Self::None => None,
        }
    }
}
