//! State proofs: that a contract had a value under a key when the chain had a state root, without trust in the node
//! that says so. And state roots: that the state validators signed them.
//!
//! A proof is what `getproof` gives: the key, and the nodes of the Merkle Patricia trie on the way from the root to the
//! value. The key of the trie is the contract's id (four bytes, little-endian) and the storage key; a way through it
//! is taken by half bytes.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{
    account,
    error::{Result, malformed},
    hash::{Hash160, Hash256, sha256, sha256d},
    keys::PublicKey,
    tx::Witness,
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

/// What all contracts' storage hashes to after a block, and who says so. Its JSON is what `getstateroot` gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRoot {
    /// Always 0 so far.
    pub version: u8,
    /// The height of the block.
    pub index: u32,
    /// The root of the trie.
    #[serde(rename = "roothash")]
    pub root: Hash256,
    /// Signatures of the state validators; none while they have not agreed yet.
    #[serde(default)]
    pub witnesses: Vec<Witness>,
}

impl StateRoot {
    /// What the state validators sign on the network of this number.
    pub fn message(&self, magic: u32) -> Vec<u8> {
        let mut unsigned = Vec::with_capacity(37);
        unsigned.push(self.version);
        unsigned.extend_from_slice(&self.index.to_le_bytes());
        self.root.write(&mut unsigned);
        let mut message = magic.to_le_bytes().to_vec();
        message.extend_from_slice(&sha256(&unsigned));
        message
    }

    /// Proves that these state validators (those designated for the height) agreed: more than two thirds of them.
    pub fn verify(&self, magic: u32, validators: &[PublicKey]) -> Result<()> {
        if self.version != 0 {
            return Err(malformed("state root", format!("version {}", self.version)));
        }
        let [witness] = self.witnesses.as_slice() else {
            return Err(malformed("state root", format!("{} witnesses, not one", self.witnesses.len())));
        };
        witness.verify(&validators_account(validators)?, &self.message(magic))
    }
}

impl Wire for StateRoot {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.version);
        out.extend_from_slice(&self.index.to_le_bytes());
        self.root.write(out);
        crate::wire::write_list(&self.witnesses, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let version = from.u8("version of a state root")?;
        let index = from.u32("height of a state root")?;
        let root = Hash256::read(from)?;
        Ok(Self { version, index, root, witnesses: from.list(1, "witnesses of a state root")? })
    }
}

/// The account of so many validators: it asks for all but a third (rounded down) of their signatures.
pub fn validators_account(validators: &[PublicKey]) -> Result<Hash160> {
    let most_faulty = validators.len().saturating_sub(1) / 3;
    account::multi(validators.len() - most_faulty, validators).map(|script| Hash160::of_script(&script))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What a private network of neo-go gave for an account's GAS.
    fn given() -> (Value, StateRoot, Proof) {
        let all: Value = serde_json::from_str(include_str!("../examples/data/proof.json")).unwrap();
        let root = serde_json::from_value(all["stateroot"].clone()).unwrap();
        let proof = Proof::from_base64(all["proof_b64"].as_str().unwrap()).unwrap();
        (all, root, proof)
    }

    #[test]
    fn a_proof_proves_a_value_under_its_root_only() {
        let (all, root, proof) = given();
        let proven = proof.verify(&root.root).unwrap();
        assert_eq!(proven.contract_id, -6);
        assert_eq!(hex::encode(&proven.key), all["storage_key_hex"].as_str().unwrap());
        assert_eq!(hex::encode(&proven.value), all["value_hex"].as_str().unwrap());
        assert_eq!(Proof::from_bytes(&proof.to_bytes()).unwrap(), proof);
        assert!(proof.verify(&Hash256::ZERO).is_err());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (_, root, proof) = given();
        let bytes = proof.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let refused = Proof::from_bytes(&bad).and_then(|proof| proof.verify(&root.root));
            assert!(refused.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn nodes_may_come_in_any_order_but_none_may_lack_or_be_idle() {
        let (_, root, proof) = given();
        let mut turned = proof.clone();
        turned.nodes.reverse();
        assert!(turned.verify(&root.root).is_ok());
        for at in 0..proof.nodes.len() {
            let mut less = proof.clone();
            less.nodes.remove(at);
            assert!(less.verify(&root.root).is_err(), "without node {at}");
        }
        let mut more = proof.clone();
        more.nodes.push(vec![LEAF, 1, 1]);
        assert!(more.verify(&root.root).is_err());
        more.nodes.pop();
        more.nodes.push(more.nodes[0].clone());
        assert!(more.verify(&root.root).is_err());
    }

    #[test]
    fn a_value_within_a_branch_is_the_one_of_the_key_that_ends_there() {
        let leaf = |value: u8| vec![LEAF, 1, value];
        let child = |node: &[u8]| [&[HASH], sha256d(node).as_slice()].concat();
        // Keys 00000000 and 0000000012: an extension to a branch, which holds the first and leads on to the second.
        let tail = [vec![EXTENSION, 1, 2], child(&leaf(8))].concat();
        let mut branch = vec![BRANCH, EMPTY];
        branch.extend(child(&tail));
        branch.extend([EMPTY; 14]);
        branch.extend(child(&leaf(7)));
        let top = [vec![EXTENSION, 8], vec![0; 8], child(&branch)].concat();
        let root = Hash256::from_le(sha256d(&top));
        let short = Proof { key: vec![0; 4], nodes: vec![top.clone(), branch.clone(), leaf(7)] };
        assert_eq!(short.verify(&root).unwrap().value, [7]);
        let long = Proof { key: vec![0, 0, 0, 0, 0x12], nodes: vec![top, branch, tail, leaf(8)] };
        assert_eq!(long.verify(&root).unwrap().value, [8]);
        for key in
            [vec![0, 0, 0, 0, 0x13], vec![0, 0, 0, 0, 0x22], vec![0, 0, 0, 1], vec![0, 0, 0, 0, 0x12, 0], vec![0]]
        {
            assert!(Proof { key, ..long.clone() }.verify(&root).is_err());
        }
    }

    #[test]
    fn a_state_root_is_signed_by_its_validators_for_its_network() {
        let (all, root, _) = given();
        let magic = all["magic"].as_u64().unwrap() as u32;
        let (_, validators) = account::read_multi(&root.witnesses[0].verification).unwrap();
        assert_eq!(root.verify(magic, &validators), Ok(()));
        assert!(root.verify(magic + 1, &validators).is_err());
        assert!(root.verify(magic, &[crate::PrivateKey::from_bytes(&[7; 32]).unwrap().public()]).is_err());
        assert!(root.verify(magic, &[]).is_err());
        for change in [
            |root: &mut StateRoot| root.index += 1,
            |root: &mut StateRoot| root.root = Hash256::ZERO,
            |root: &mut StateRoot| root.version = 1,
            |root: &mut StateRoot| root.witnesses.clear(),
        ] {
            let mut bad = root.clone();
            change(&mut bad);
            assert!(bad.verify(magic, &validators).is_err());
        }
        assert_eq!(StateRoot::from_bytes(&root.to_bytes()).unwrap(), root);
    }

    proptest! {
        #[test]
        fn strangers_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Proof::from_bytes(&bytes).and_then(|proof| proof.verify(&Hash256::ZERO));
            let _ = Node::from_bytes(&bytes);
        }
    }
}
