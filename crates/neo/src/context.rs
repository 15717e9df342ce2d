//! Signing contexts: how people who sign one transaction together hand it round.
//!
//! The JSON is that of the ecosystem: what neo-go writes with `--out` and signs with `wallet sign`, and what neo-cli
//! prints and takes with `sign` and `relay`.
//!
//! ```
//! # use neo::{Hash160, PrivateKey, account, context::Context, tx::{Signer, Transaction}};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let [one, two] = [PrivateKey::from_bytes(&[1; 32])?, PrivateKey::from_bytes(&[2; 32])?];
//! let script = account::multi(2, &[one.public(), two.public()])?;
//! let transaction = Transaction {
//!     signers: vec![Signer::called_by_entry(Hash160::of_script(&script))],
//!     script: vec![0x40],
//!     ..Transaction::default()
//! };
//!
//! let mut context = Context::new(894710606, transaction)?;
//! context.add_script(&script)?;
//! context.sign(&one)?;
//! let handed_over = serde_json::to_string(&context)?;
//!
//! let mut context: Context = serde_json::from_str(&handed_over)?;
//! context.sign(&two)?;
//! context.complete()?.verify(894710606)?;
//! # Ok(())
//! # }
//! ```

mod item;
mod json;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::item::Item;
use crate::{
    error::{Result, malformed},
    hash::Hash160,
    keys::{PrivateKey, PublicKey},
    stack::Param,
    tx::{Transaction, signature},
};

/// A transaction, and the signatures that were collected so far. Every signature in it was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "json::Form", into = "json::Form")]
pub struct Context {
    network: u32,
    transaction: Transaction,
    items: BTreeMap<Hash160, Item>,
}

impl Context {
    /// For a transaction on the network of this number. Witnesses that it has are left out.
    pub fn new(network: u32, mut transaction: Transaction) -> Result<Self> {
        transaction.check_unsigned()?;
        transaction.witnesses.clear();
        Ok(Self { network, transaction, items: BTreeMap::new() })
    }

    /// The number of the network.
    pub fn network(&self) -> u32 {
        self.network
    }

    /// What is being signed.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The bytes that everybody signs.
    pub fn message(&self) -> Vec<u8> {
        self.transaction.message(self.network)
    }

    /// Says by which script, of one key or of several, one of the signers is going to prove itself. Needed once for
    /// an account of several keys, before anybody signs for it.
    pub fn add_script(&mut self, script: &[u8]) -> Result<()> {
        let account = self.signer(Hash160::of_script(script))?;
        let item = Item::of_script(script)?;
        self.items.entry(account).or_insert(item);
        Ok(())
    }

    /// Says that one of the signers is a contract, and what its method `verify` is given.
    pub fn add_contract(&mut self, contract: Hash160, arguments: Vec<Param>) -> Result<()> {
        let contract = self.signer(contract)?;
        let item = Item::of_contract(arguments)?;
        self.items.insert(contract, item);
        Ok(())
    }

    /// Adds a signature that was made elsewhere. Refused when it does not fit, or when the key is none of the script's.
    pub fn add_signature(&mut self, script: &[u8], key: &PublicKey, signature: [u8; 64]) -> Result<()> {
        self.add_script(script)?;
        let message = self.message();
        match self.items.get_mut(&Hash160::of_script(script)) {
            Some(item) => item.add(key, signature, &message),
            None => Err(malformed("signing context", "the script is of no signer")),
        }
    }

    /// Signs for every account of which this is a key, and says for how many.
    pub fn sign(&mut self, key: &PrivateKey) -> Result<usize> {
        let (public, message) = (key.public(), self.message());
        if self.signer(public.script_hash()).is_ok() {
            self.add_script(&public.verification_script())?;
        }
        let of_key = self.items.values_mut().filter(|item| item.has(&public));
        let signed = signature(key, &message);
        of_key.map(|item| item.add(&public, signed, &message)).try_fold(0, |count, added| added.map(|()| count + 1))
    }

    /// Takes over what another context of the same transaction has.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        if other.network != self.network || other.transaction != self.transaction {
            return Err(malformed("signing context", "the other one is of another transaction"));
        }
        let message = self.message();
        for (account, item) in other.items {
            match self.items.get_mut(&account) {
                Some(mine) => mine.merge(item, &message)?,
                None => drop(self.items.insert(account, item)),
            }
        }
        Ok(())
    }

    /// The signers that have not signed yet, or of several keys not enough.
    pub fn missing(&self) -> Vec<Hash160> {
        let accounts = self.transaction.signers.iter().map(|signer| signer.account);
        accounts.filter(|account| !self.items.get(account).is_some_and(Item::is_complete)).collect()
    }

    /// Whether everybody signed.
    pub fn is_complete(&self) -> bool {
        self.missing().is_empty()
    }

    /// The transaction with its witnesses. Refused while somebody is missing.
    pub fn complete(&self) -> Result<Transaction> {
        let mut transaction = self.transaction.clone();
        for signer in &self.transaction.signers {
            let item = self.items.get(&signer.account).filter(|item| item.is_complete());
            let who = signer.account.address();
            let item = item.ok_or_else(|| malformed("signing context", format!("{who} has not signed")))?;
            transaction.witnesses.push(item.witness()?);
        }
        transaction.check()?;
        Ok(transaction)
    }

    fn signer(&self, account: Hash160) -> Result<Hash160> {
        let signs = self.transaction.signers.iter().any(|signer| signer.account == account);
        let who = || malformed("signing context", format!("{} does not sign the transaction", account.address()));
        signs.then_some(account).ok_or_else(who)
    }
}

#[cfg(test)]
mod tests;
