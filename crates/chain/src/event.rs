//! What blocks tell, and where in a chain it stands.

use neo::stack::StackItem;
use serde::{Deserialize, Serialize};

use crate::chain::{Bytes, ChainKind, TxId};

/// A block by height and hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    pub height: u64,
    /// `0x` and 64 hex digits, as nodes of the chain show it.
    pub hash: String,
}

/// Where in a chain an event stands; positions of one chain are ordered as its events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub height: u64,
    /// Which run of the block: on Neo X the place of the transaction; on N3 the block itself runs something before
    /// (0) and after (the last) its transactions, so they count from 1.
    pub tx: u32,
    /// Which event of that run.
    pub index: u32,
}

impl Position {
    /// After everything that a block tells.
    pub fn end_of(height: u64) -> Self {
        Self { height, tx: u32::MAX, index: u32::MAX }
    }

    pub fn is_end(&self) -> bool {
        self.tx == u32::MAX && self.index == u32::MAX
    }
}

/// Something that a contract told in a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub chain: ChainKind,
    pub block: BlockRef,
    pub at: Position,
    /// None for what an N3 block runs on its own.
    pub tx: Option<TxId>,
    /// Who told it: a contract hash on N3, a checksummed address on Neo X.
    pub contract: String,
    pub body: Body,
}

/// What was told, in the terms of its chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// `state` is none when the node can't show it, since it contains itself, say.
    Notification {
        name: String,
        state: Option<Vec<StackItem>>,
    },
    Log {
        topics: Vec<Bytes>,
        data: Bytes,
    },
}

/// Which events to tell; an empty list lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Contract hashes on N3, addresses on Neo X; capitals don't matter.
    pub contracts: Vec<String>,
    /// Names on N3. On Neo X the first topic as 0x and hex, or a signature such as `Transfer(address,address,uint256)`.
    pub names: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered_as_events_are() {
        let at = |height, tx, index| Position { height, tx, index };
        let sorted = [at(1, 0, 0), at(1, 0, 7), at(1, 3, 0), Position::end_of(1), at(2, 0, 0)];
        assert!(sorted.is_sorted());
        assert!(Position::end_of(1).is_end() && !at(1, u32::MAX, 0).is_end());
    }
}
