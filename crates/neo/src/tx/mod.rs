//! Transactions: who signs, what runs, what it costs, and the proofs that the signers agree.

mod attribute;
mod json;
mod rule;
mod scopes;
mod signer;
mod witness;

use serde::{Deserialize, Serialize};

pub use self::{
    attribute::{Attribute, MOST_ORACLE_RESULT, OracleCode},
    rule::{Action, Condition, MOST_NESTING, WitnessRule},
    scopes::Scopes,
    signer::{MOST_ITEMS, Signer},
    witness::{MOST_SCRIPT as MOST_WITNESS_SCRIPT, Witness},
};
pub(crate) use self::{json::in_base64, witness::signature};
use crate::{
    error::{Error, Result, malformed},
    hash::{Hash160, Hash256, sha256},
    keys::PrivateKey,
    wire::{Reader, Wire, write_list, write_var_bytes},
};

/// Bytes of a transaction, at most.
pub const MOST_SIZE: usize = 102_400;
/// Bytes of its script, at most.
pub const MOST_SCRIPT: u64 = 0xffff;
/// Signers and attributes together, at most.
pub const MOST_SIGNERS_AND_ATTRIBUTES: u64 = 16;

/// A transaction. Its JSON is what nodes show with `getrawtransaction`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "json::Form", into = "json::Shown")]
pub struct Transaction {
    /// Always 0 so far.
    pub version: u8,
    /// Any number, so that equal transactions differ.
    pub nonce: u32,
    /// What running the script may cost, in units of 10⁻⁸ GAS. It is burnt.
    pub system_fee: i64,
    /// What the consensus nodes get for size and witnesses, in units of 10⁻⁸ GAS.
    pub network_fee: i64,
    /// The height of the last block that may take it.
    pub valid_until_block: u32,
    /// Who signs. The first pays.
    pub signers: Vec<Signer>,
    /// What else it asks of the network.
    pub attributes: Vec<Attribute>,
    /// What it runs.
    pub script: Vec<u8>,
    /// One for each signer, in the same order.
    pub witnesses: Vec<Witness>,
}

impl Transaction {
    /// What is hashed and signed: everything but the witnesses.
    pub fn unsigned_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.script.len());
        self.write_unsigned(&mut out);
        out
    }

    /// Reads what [`Transaction::unsigned_bytes`] writes.
    pub fn from_unsigned_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let read = Self::read_unsigned(&mut reader)?;
        reader.finish()?;
        Ok(read)
    }

    /// Its name in the chain.
    pub fn hash(&self) -> Hash256 {
        Hash256::from_le(sha256(&self.unsigned_bytes()))
    }

    /// What its signers sign, on the network of this number.
    pub fn message(&self, magic: u32) -> Vec<u8> {
        signed_message(magic, &self.hash())
    }

    /// The account that pays: the first signer's, or zero when there is none.
    pub fn sender(&self) -> Hash160 {
        self.signers.first().map_or(Hash160::ZERO, |signer| signer.account)
    }

    /// System fee and network fee together; the most there can be where a node made up more than that.
    pub fn fees(&self) -> i64 {
        self.system_fee.saturating_add(self.network_fee)
    }

    /// Bytes of its whole wire form.
    pub fn size(&self) -> usize {
        self.to_bytes().len()
    }

    /// Sets the witness of the account that this key alone signs for. Call it once everything else stands.
    pub fn sign(&mut self, magic: u32, key: &PrivateKey) -> Result<()> {
        let witness = Witness::single(key, &self.message(magic));
        self.set_witness(&key.public().script_hash(), witness)
    }

    /// Sets the witness of a signer.
    pub fn set_witness(&mut self, account: &Hash160, witness: Witness) -> Result<()> {
        witness.check()?;
        let at = self.signers.iter().position(|signer| signer.account == *account);
        let at = at.ok_or_else(|| malformed("transaction", format!("{} does not sign it", account.address())))?;
        self.witnesses.resize(self.signers.len(), Witness::default());
        self.witnesses[at] = witness;
        Ok(())
    }

    /// Proves that all signers signed it for the network of this number. Refused as well when one is a contract or
    /// has a script that only a node can run.
    pub fn verify(&self, magic: u32) -> Result<()> {
        self.check()?;
        let message = self.message(magic);
        let mut each = self.signers.iter().zip(&self.witnesses);
        each.try_for_each(|(signer, witness)| witness.verify(&signer.account, &message))
    }

    /// Refuses what nodes refuse without looking at the chain.
    pub fn check(&self) -> Result<()> {
        self.check_unsigned()?;
        if self.witnesses.len() != self.signers.len() {
            let (witnesses, signers) = (self.witnesses.len(), self.signers.len());
            return Err(malformed("transaction", format!("{witnesses} witnesses of {signers} signers")));
        }
        self.witnesses.iter().try_for_each(Witness::check)?;
        check_size(self.size())
    }

    /// Like [`Transaction::check`], for one that is still to be signed.
    pub fn check_unsigned(&self) -> Result<()> {
        if self.version != 0 {
            return Err(malformed("transaction", format!("version {}", self.version)));
        }
        if self.system_fee < 0 || self.network_fee < 0 || self.system_fee.checked_add(self.network_fee).is_none() {
            return Err(malformed("transaction", "a fee is negative, or both together are too large"));
        }
        if self.signers.is_empty() {
            return Err(malformed("transaction", "nobody signs it"));
        }
        let both = (self.signers.len() + self.attributes.len()) as u64;
        if both > MOST_SIGNERS_AND_ATTRIBUTES {
            let most = MOST_SIGNERS_AND_ATTRIBUTES;
            return Err(Error::TooLarge { what: "number of signers and attributes", size: both, most });
        }
        for (at, signer) in self.signers.iter().enumerate() {
            signer.check()?;
            if self.signers[..at].iter().any(|other| other.account == signer.account) {
                return Err(malformed("transaction", format!("{} signs it twice", signer.account.address())));
            }
        }
        for (at, attribute) in self.attributes.iter().enumerate() {
            attribute.check()?;
            let same = |other: &Attribute| other.tag() == attribute.tag();
            if !attribute.may_repeat() && self.attributes[..at].iter().any(same) {
                return Err(malformed("transaction", "two attributes of one type"));
            }
        }
        match self.script.len() as u64 {
            0 => Err(malformed("transaction", "it runs nothing")),
            1..=MOST_SCRIPT => Ok(()),
            size => Err(Error::TooLarge { what: "script", size, most: MOST_SCRIPT }),
        }
    }

    fn write_unsigned(&self, out: &mut Vec<u8>) {
        out.push(self.version);
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.system_fee.to_le_bytes());
        out.extend_from_slice(&self.network_fee.to_le_bytes());
        out.extend_from_slice(&self.valid_until_block.to_le_bytes());
        write_list(&self.signers, out);
        write_list(&self.attributes, out);
        write_var_bytes(&self.script, out);
    }

    fn read_unsigned(from: &mut Reader<'_>) -> Result<Self> {
        let start = from.position();
        let version = from.u8("transaction")?;
        let nonce = from.u32("transaction")?;
        let system_fee = from.i64("transaction")?;
        let network_fee = from.i64("transaction")?;
        let valid_until_block = from.u32("transaction")?;
        let signers: Vec<Signer> = from.list(MOST_SIGNERS_AND_ATTRIBUTES, "number of signers")?;
        let left = MOST_SIGNERS_AND_ATTRIBUTES - signers.len() as u64;
        let attributes = from.list(left, "number of attributes")?;
        let script = from.var_bytes(MOST_SCRIPT, "script")?.to_vec();
        let witnesses = Vec::new();
        let read =
            Self { version, nonce, system_fee, network_fee, valid_until_block, signers, attributes, script, witnesses };
        read.check_unsigned()?;
        check_size(from.position() - start)?;
        Ok(read)
    }
}

impl Wire for Transaction {
    fn write(&self, out: &mut Vec<u8>) {
        self.write_unsigned(out);
        write_list(&self.witnesses, out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let start = from.position();
        let mut read = Self::read_unsigned(from)?;
        read.witnesses = from.list(MOST_SIGNERS_AND_ATTRIBUTES, "number of witnesses")?;
        if read.witnesses.len() != read.signers.len() {
            let (witnesses, signers) = (read.witnesses.len(), read.signers.len());
            return Err(malformed("transaction", format!("{witnesses} witnesses of {signers} signers")));
        }
        check_size(from.position() - start)?;
        Ok(read)
    }
}

/// What is signed of a transaction or a block: the number of the network and the hash.
pub(crate) fn signed_message(magic: u32, hash: &Hash256) -> Vec<u8> {
    [&magic.to_le_bytes()[..], hash.as_le()].concat()
}

fn check_size(size: usize) -> Result<()> {
    if size > MOST_SIZE {
        return Err(Error::TooLarge { what: "transaction", size: size as u64, most: MOST_SIZE as u64 });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
