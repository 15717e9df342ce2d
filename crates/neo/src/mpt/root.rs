//! State roots: that the state validators signed them.

use serde::{Deserialize, Serialize};

use crate::{
    account,
    error::{Result, malformed},
    hash::{Hash160, Hash256, sha256},
    keys::PublicKey,
    tx::Witness,
    wire::{Reader, Wire, write_list},
};

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
        write_list(&self.witnesses, out);
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
