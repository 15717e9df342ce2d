//! Blocks and their headers: reading them, and proving that the consensus nodes signed them.

use std::collections::HashSet;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use crate::{
    error::{Error, Result, malformed},
    hash::{Hash160, Hash256, sha256, sha256d},
    tx::{Transaction, Witness, signed_message},
    wire::{Reader, Wire, write_list, write_var_uint},
};

/// Transactions of a block, at most.
pub const MOST_TRANSACTIONS: u64 = 0xffff;

/// The head of a block. Its JSON is what nodes show.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Form")]
pub struct Header {
    /// Always 0 so far.
    pub version: u32,
    /// The hash of the block before.
    pub previous: Hash256,
    /// Stands for all transactions.
    pub merkle_root: Hash256,
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// A random number of the proposing node.
    pub nonce: u64,
    /// Its height.
    pub index: u32,
    /// Which consensus node proposed it.
    pub primary: u8,
    /// The account of the nodes that must sign the next block.
    pub next_consensus: Hash160,
    /// The signatures of the account that the block before names.
    pub witness: Witness,
}

impl Header {
    /// The block's name.
    pub fn hash(&self) -> Hash256 {
        let mut out = Vec::with_capacity(128);
        self.write_unsigned(&mut out);
        Hash256::from_le(sha256(&out))
    }

    /// What the consensus nodes sign, on the network of this number.
    pub fn message(&self, magic: u32) -> Vec<u8> {
        signed_message(magic, &self.hash())
    }

    /// Proves that the consensus nodes signed it: `consensus` is what the block before names as `next_consensus`.
    pub fn verify(&self, magic: u32, consensus: &Hash160) -> Result<()> {
        self.witness.verify(consensus, &self.message(magic))
    }

    /// Proves that it comes right after `before`, which is known to be good.
    pub fn follows(&self, magic: u32, before: &Self) -> Result<()> {
        let next = before.index.checked_add(1) == Some(self.index);
        if !next || self.previous != before.hash() || self.timestamp <= before.timestamp {
            return Err(malformed("block", format!("{} does not follow {}", self.index, before.index)));
        }
        self.verify(magic, &before.next_consensus)
    }

    fn write_unsigned(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_le_bytes());
        self.previous.write(out);
        self.merkle_root.write(out);
        out.extend_from_slice(&self.timestamp.to_le_bytes());
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.push(self.primary);
        self.next_consensus.write(out);
    }

    fn show<M: SerializeMap>(&self, size: usize, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("hash", &self.hash())?;
        map.serialize_entry("size", &size)?;
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry("previousblockhash", &self.previous)?;
        map.serialize_entry("merkleroot", &self.merkle_root)?;
        map.serialize_entry("time", &self.timestamp)?;
        map.serialize_entry("nonce", &format!("{:016X}", self.nonce))?;
        map.serialize_entry("index", &self.index)?;
        map.serialize_entry("primary", &self.primary)?;
        map.serialize_entry("nextconsensus", &self.next_consensus.address())?;
        map.serialize_entry("witnesses", std::slice::from_ref(&self.witness))
    }
}

impl Wire for Header {
    fn write(&self, out: &mut Vec<u8>) {
        self.write_unsigned(out);
        write_var_uint(1, out);
        self.witness.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let version = from.u32("block")?;
        let previous = Hash256::read(from)?;
        let merkle_root = Hash256::read(from)?;
        let timestamp = from.u64("block")?;
        let nonce = from.u64("block")?;
        let index = from.u32("block")?;
        let primary = from.u8("block")?;
        let next_consensus = Hash160::read(from)?;
        if version != 0 {
            return Err(malformed("block", format!("version {version}")));
        }
        if from.var_uint(1, "witnesses of a block")? != 1 {
            return Err(malformed("block", "no witness"));
        }
        let witness = Witness::read(from)?;
        Ok(Self { version, previous, merkle_root, timestamp, nonce, index, primary, next_consensus, witness })
    }
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.show(self.to_bytes().len(), &mut map)?;
        map.end()
    }
}

#[derive(Deserialize)]
struct Form {
    hash: Option<Hash256>,
    version: u32,
    previousblockhash: Hash256,
    merkleroot: Hash256,
    time: u64,
    nonce: String,
    index: u32,
    primary: u8,
    nextconsensus: String,
    witnesses: Vec<Witness>,
}

impl TryFrom<Form> for Header {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self> {
        let [witness] = <[Witness; 1]>::try_from(form.witnesses).map_err(|_| malformed("block", "not one witness"))?;
        witness.check()?;
        let header = Self {
            version: form.version,
            previous: form.previousblockhash,
            merkle_root: form.merkleroot,
            timestamp: form.time,
            nonce: u64::from_str_radix(&form.nonce, 16).map_err(|_| malformed("block", "its nonce is not hex"))?,
            index: form.index,
            primary: form.primary,
            next_consensus: Hash160::from_text(&form.nextconsensus)?,
            witness,
        };
        if form.hash.is_some_and(|hash| hash != header.hash()) {
            return Err(malformed("block", "its hash is not the one that it is said to have"));
        }
        Ok(header)
    }
}

/// A block: its header and its transactions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Block {
    /// Its head.
    #[serde(flatten)]
    pub header: Header,
    /// What it did, in order.
    #[serde(rename = "tx")]
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// The block's name.
    pub fn hash(&self) -> Hash256 {
        self.header.hash()
    }

    /// Proves that the header stands for exactly these transactions.
    pub fn verify_content(&self) -> Result<()> {
        let hashes: Vec<_> = self.transactions.iter().map(Transaction::hash).collect();
        // The root alone can't tell a list from the same list with its end repeated.
        if hashes.iter().collect::<HashSet<_>>().len() != hashes.len() {
            return Err(malformed("block", "a transaction is in it twice"));
        }
        if merkle_root(hashes) != self.header.merkle_root {
            return Err(malformed("block", "its Merkle root stands for other transactions"));
        }
        Ok(())
    }

    /// Proves the content, and that the consensus nodes signed it. See [`Header::verify`].
    pub fn verify(&self, magic: u32, consensus: &Hash160) -> Result<()> {
        self.verify_content()?;
        self.header.verify(magic, consensus)
    }
}

impl Wire for Block {
    fn write(&self, out: &mut Vec<u8>) {
        self.header.write(out);
        write_list(&self.transactions, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { header: Header::read(from)?, transactions: from.list(MOST_TRANSACTIONS, "transactions")? })
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.header.show(self.to_bytes().len(), &mut map)?;
        map.serialize_entry("tx", &self.transactions)?;
        map.end()
    }
}

/// The root of the tree over these hashes: each pair hashed, the last one paired with itself when it is alone.
pub fn merkle_root(mut hashes: Vec<Hash256>) -> Hash256 {
    while hashes.len() > 1 {
        let pair = |pair: &[Hash256]| {
            let (left, right) = (pair[0], pair[pair.len() - 1]);
            Hash256::from_le(sha256d(&[&left.as_le()[..], right.as_le()].concat()))
        };
        hashes = hashes.chunks(2).map(pair).collect();
    }
    hashes.first().copied().unwrap_or(Hash256::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account, keys::PrivateKey};

    fn key(number: u8) -> PrivateKey {
        PrivateKey::from_bytes(&[number; 32]).unwrap()
    }

    fn header(index: u32, previous: Hash256, next_consensus: Hash160) -> Header {
        Header {
            version: 0,
            previous,
            merkle_root: Hash256::ZERO,
            timestamp: u64::from(index) * 1000,
            nonce: 7,
            index,
            primary: 0,
            next_consensus,
            witness: Witness::default(),
        }
    }

    #[test]
    fn a_block_must_be_signed_by_those_whom_the_block_before_names() {
        let keys: Vec<_> = (1..=4).map(key).collect();
        let script = account::multi(3, &keys.iter().map(PrivateKey::public).collect::<Vec<_>>()).unwrap();
        let consensus = Hash160::of_script(&script);
        let before = header(1, Hash256::ZERO, consensus);
        let mut next = header(2, before.hash(), consensus);
        let message = next.message(5);
        let signed: Vec<_> = keys.iter().map(|key| (key.public(), key.sign(&message))).collect();
        next.witness = Witness::multi(&script, &signed).unwrap();
        assert!(next.follows(5, &before).is_ok());
        assert!(next.follows(6, &before).is_err(), "another network");
        assert!(next.follows(5, &header(1, Hash256::ZERO, key(9).public().script_hash())).is_err());
        assert!(next.follows(5, &header(0, Hash256::ZERO, consensus)).is_err());
        next.timestamp += 1;
        assert!(next.follows(5, &before).is_err(), "changed after signing");
    }

    #[test]
    fn a_root_stands_for_one_list() {
        let transaction = |nonce| Transaction {
            nonce,
            signers: vec![crate::tx::Signer::none(Hash160::ZERO)],
            script: vec![0x40],
            witnesses: vec![Witness::default()],
            ..Transaction::default()
        };
        for count in 0..7 {
            let transactions: Vec<_> = (0..count).map(transaction).collect();
            let mut header = header(1, Hash256::ZERO, Hash160::ZERO);
            header.merkle_root = merkle_root(transactions.iter().map(Transaction::hash).collect());
            let block = Block { header, transactions };
            assert!(block.verify_content().is_ok(), "{count}");
            assert_eq!(Block::from_bytes(&block.to_bytes()).unwrap(), block);
            if count > 0 {
                let mut longer = block.clone();
                longer.transactions.push(block.transactions[count as usize - 1].clone());
                assert!(longer.verify_content().is_err(), "{count}");
            }
            let mut other = block.clone();
            other.transactions.push(transaction(99));
            assert!(other.verify_content().is_err(), "{count}");
        }
    }
}
