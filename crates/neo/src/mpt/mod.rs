//! State proofs: that a contract had a value under a key when the chain had a state root, without trust in the node
//! that says so. And state roots: that the state validators signed them.
//!
//! A proof is what `getproof` gives: the key, and the nodes of the Merkle Patricia trie on the way from the root to the
//! value. The key of the trie is the contract's id (four bytes, little-endian) and the storage key; a way through it
//! is taken by half bytes.

mod root;

use std::collections::HashMap;

pub use root::{StateRoot, validators_account};

use crate::{
    error::{Result, malformed},
    hash::{Hash256, sha256d},
    wire::{Reader, Wire, write_var_bytes, write_var_uint},
};

// A key of storage is at most 64 bytes, with the contract's id 68; a value at most 65,535.
const MOST_KEY: u64 = 68;
const MOST_NIBBLES: u64 = 2 * MOST_KEY;
const MOST_VALUE: u64 = 3 + 65_535 + 1;
const MOST_NODES: u64 = MOST_NIBBLES + 1;
const MOST_NODE: u64 = MOST_VALUE + 8;
const CHILDREN: usize = 17;

/// A state proof, as `getproof` gives it (there in base64).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The contract's id (four bytes) and the storage key.
    pub key: Vec<u8>,
    /// Nodes of the trie, in any order.
    pub nodes: Vec<Vec<u8>>,
}

/// What a proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The contract's id; negative for the contracts that every network has.
    pub contract_id: i32,
    /// The key in the contract's storage.
    pub key: Vec<u8>,
    /// What was stored under it.
    pub value: Vec<u8>,
}

impl Wire for Proof {
    fn write(&self, out: &mut Vec<u8>) {
        write_var_bytes(&self.key, out);
        write_var_uint(self.nodes.len() as u64, out);
        self.nodes.iter().for_each(|node| write_var_bytes(node, out));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let key = from.var_bytes(MOST_KEY, "key of a proof")?.to_vec();
        let count = from.var_uint(MOST_NODES, "nodes of a proof")?;
        let nodes = (0..count).map(|_| from.var_bytes(MOST_NODE, "node of a proof").map(<[u8]>::to_vec));
        Ok(Self { key, nodes: nodes.collect::<Result<_>>()? })
    }
}

impl Proof {
    /// Reads the base64 that `getproof` gives.
    pub fn from_base64(text: &str) -> Result<Self> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .map_err(|_| malformed("state proof", "not base64"))?;
        Self::from_bytes(&bytes)
    }

    /// Proves the value under this state root. A node that the proof does not need is refused as well: a proof says one
    /// thing.
    pub fn verify(&self, root: &Hash256) -> Result<Proven> {
        let (id, key) =
            self.key.split_first_chunk::<4>().ok_or_else(|| malformed("key of a proof", "without a contract's id"))?;
        let mut nodes: HashMap<[u8; 32], &[u8]> = HashMap::with_capacity(self.nodes.len());
        for node in &self.nodes {
            if nodes.insert(sha256d(node), node).is_some() {
                return Err(malformed("state proof", "a node is there twice"));
            }
        }
        let path: Vec<u8> = self.key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
        let mut rest = path.as_slice();
        let mut next = *root.as_le();
        // Each round takes a node out, so there are no more rounds than nodes.
        let value = loop {
            let bytes =
                nodes.remove(&next).ok_or_else(|| malformed("state proof", "a node on the way is not there"))?;
            let off = || malformed("state proof", "the way leads elsewhere than the key says");
            match Node::from_bytes(bytes)? {
                Node::Leaf(value) if rest.is_empty() => break value,
                Node::Leaf(_) => return Err(off()),
                Node::Extension(nibbles, child) => {
                    rest = rest.strip_prefix(nibbles.as_slice()).ok_or_else(off)?;
                    next = child;
                }
                Node::Branch(children) => {
                    let at = match rest.split_first() {
                        Some((&nibble, after)) => {
                            rest = after;
                            usize::from(nibble)
                        }
                        // The last child is the value of the key that ends here.
                        None => CHILDREN - 1,
                    };
                    next = children[at].ok_or_else(off)?;
                }
            }
        };
        if !nodes.is_empty() {
            return Err(malformed("state proof", format!("{} nodes are not on the way", nodes.len())));
        }
        Ok(Proven { contract_id: i32::from_le_bytes(*id), key: key.to_vec(), value })
    }
}

/// A node as it is hashed; its children are known by their hashes only.
enum Node {
    Branch(Box<[Option<[u8; 32]>; CHILDREN]>),
    Extension(Vec<u8>, [u8; 32]),
    Leaf(Vec<u8>),
}

const BRANCH: u8 = 0;
const EXTENSION: u8 = 1;
const LEAF: u8 = 2;
const HASH: u8 = 3;
const EMPTY: u8 = 4;

impl Node {
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut from = Reader::new(bytes);
        let node = match from.u8("type of a node")? {
            BRANCH => {
                let mut children = Box::new([None; CHILDREN]);
                for child in children.iter_mut() {
                    *child = read_child(&mut from)?;
                }
                Self::Branch(children)
            }
            EXTENSION => {
                let nibbles = from.var_bytes(MOST_NIBBLES, "key of an extension")?.to_vec();
                if nibbles.is_empty() || nibbles.iter().any(|nibble| *nibble > 15) {
                    return Err(malformed("key of an extension", "not half bytes"));
                }
                let child = read_child(&mut from)?.ok_or_else(|| malformed("extension", "leads nowhere"))?;
                Self::Extension(nibbles, child)
            }
            LEAF => Self::Leaf(from.var_bytes(MOST_VALUE, "value of a leaf")?.to_vec()),
            other => return Err(malformed("type of a node", format!("{other} is none"))),
        };
        from.finish()?;
        Ok(node)
    }
}

fn read_child(from: &mut Reader<'_>) -> Result<Option<[u8; 32]>> {
    match from.u8("type of a child")? {
        HASH => from.array("hash of a child").map(Some),
        EMPTY => Ok(None),
        other => Err(malformed("type of a child", format!("{other} is neither a hash nor empty"))),
    }
}

#[cfg(test)]
mod tests;
