//! What comes into a node's pool and leaves it.

use neo::{Hash160, tx::Transaction};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::socket::{Socket, Told};
use crate::{
    client::Client,
    endpoint::Endpoint,
    error::{Error, Result},
};

/// A change of a node's pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MempoolEvent {
    /// A transaction came in.
    Added(Box<Transaction>),
    /// A transaction left: into a block, or because it is not valid any more.
    Removed(Box<Transaction>),
    /// The node was faster than this client, and left something out.
    Missed,
}

/// Which transactions of the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MempoolFilter {
    /// Those that this account pays for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Hash160>,
    /// Those that this account signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<Hash160>,
}

/// Tells what comes into a node's pool and leaves it, over a websocket (neo-go). The pool is a matter of one node and
/// moment: there is nothing to resume from, and a lost connection ends it.
pub struct Mempool {
    socket: Socket,
}

impl Mempool {
    /// Subscribes at the websocket beside the calls of a client.
    pub async fn open(client: &Client, filter: &MempoolFilter) -> Result<Self> {
        Self::open_at(client, client.endpoint().as_websocket(), filter).await
    }

    /// Subscribes at a websocket with a URL of its own.
    pub async fn open_at(client: &Client, endpoint: Endpoint, filter: &MempoolFilter) -> Result<Self> {
        let socket = Socket::open(endpoint, client.clone(), "mempool_event", Some(json!(filter))).await?;
        Ok(Self { socket })
    }

    /// The next change. Safe to be dropped while it waits.
    pub async fn next(&mut self) -> Result<MempoolEvent> {
        read(&self.socket.next().await?)
    }
}

fn read(told: &Told) -> Result<MempoolEvent> {
    #[derive(Deserialize)]
    struct Change {
        #[serde(rename = "type")]
        kind: String,
        transaction: Transaction,
    }
    let malformed = |why: String| Error::Malformed { method: "mempool_event", why };
    if told.name == "event_missed" {
        return Ok(MempoolEvent::Missed);
    }
    let change = told.params.first().ok_or_else(|| malformed(format!("nothing in {:?}", told.name)))?;
    let change: Change = serde_json::from_str(change.get()).map_err(|error| malformed(error.to_string()))?;
    match change.kind.as_str() {
        "added" => Ok(MempoolEvent::Added(Box::new(change.transaction))),
        "removed" => Ok(MempoolEvent::Removed(Box::new(change.transaction))),
        other => Err(malformed(format!("a change of type {other:?}"))),
    }
}
