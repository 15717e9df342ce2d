//! NEP-6: wallet files.
//!
//! Reads what neo-cli, neo-go, neon-js and neo-mamba write, and writes what they all read.

mod form;

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    account,
    error::{Result, malformed},
    hash::{Hash160, base58check},
    keys::{PrivateKey, PublicKey},
    manifest::ParameterType,
    nep2::{self, DecryptError, Scrypt},
};

/// The file of a wallet takes at most so many bytes here.
pub const MOST_BYTES: usize = 16 << 20;

/// A wallet: accounts, most of them with a key under the wallet's passphrase.
#[derive(Clone, Debug, PartialEq)]
pub struct Wallet {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Of the file's form: `1.0`, or as it was read.
    pub version: String,
    /// What its keys were encrypted with.
    pub scrypt: Scrypt,
    /// In the order of the file; no two of the same address.
    pub accounts: Vec<Account>,
    /// What other programs keep in it.
    pub extra: Value,
}

/// An account of a wallet.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// The account or contract.
    pub hash: Hash160,
    /// What its owner calls it.
    pub label: Option<String>,
    /// Whether it is meant when no other is named.
    pub is_default: bool,
    /// Whether its owner locked it against spending; a hint to programs, no protection.
    pub lock: bool,
    /// The encrypted key (NEP-2), if it can sign.
    pub key: Option<String>,
    /// How its signatures are checked, if that is known.
    pub contract: Option<Contract>,
    /// What other programs keep about it.
    pub extra: Value,
}

/// How the signatures of an account are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// The verification script; empty for most contracts that are deployed.
    pub script: Vec<u8>,
    /// What it takes from the invocation script.
    pub parameters: Vec<(String, ParameterType)>,
    /// Whether the account is a contract of the chain, which the node asks itself.
    pub deployed: bool,
}

/// What an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One key signs.
    Single(PublicKey),
    /// So many of these keys sign.
    Multi {
        /// How many signatures it takes.
        threshold: usize,
        /// Whose.
        keys: Vec<PublicKey>,
    },
    /// A contract of the chain decides.
    Deployed,
    /// Some other script decides.
    Script,
    /// Only the address is known.
    WatchOnly,
}

/// An account that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The account.
    pub hash: Hash160,
    /// A key that signs for it, alone or with others.
    pub key: PrivateKey,
    /// How its signatures are checked; of an account whose file does not tell, by this key alone.
    pub verification_script: Vec<u8>,
}

/// Why a wallet could not be opened: which account, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("account {address}: {why}")]
pub struct OpenError {
    /// The account.
    pub address: String,
    /// What was wrong with its key.
    #[source]
    pub why: DecryptError,
}

impl Wallet {
    /// An empty wallet.
    pub fn new(name: Option<String>, scrypt: Scrypt) -> Self {
        Self { name, version: "1.0".to_owned(), scrypt, accounts: Vec::new(), extra: Value::Null }
    }

    /// Reads a wallet file. Wallets of Neo Legacy and of the previews of N3 are told as such.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        form::read(json)
    }

    /// The file: every field that one of the usual programs asks for is there.
    pub fn to_json(&self) -> String {
        form::write(self)
    }

    /// The account of this hash.
    pub fn account(&self, hash: &Hash160) -> Option<&Account> {
        self.accounts.iter().find(|account| account.hash == *hash)
    }

    /// The account that is marked so, else the first.
    pub fn default_account(&self) -> Option<&Account> {
        self.accounts.iter().find(|account| account.is_default).or_else(|| self.accounts.first())
    }

    /// Adds an account, if none of its address is there.
    pub fn add(&mut self, account: Account) -> Result<()> {
        if self.account(&account.hash).is_some() {
            return Err(malformed("wallet", format!("it has {} already", account.hash.address())));
        }
        self.accounts.push(account);
        Ok(())
    }

    /// Adds the account of a key, encrypted under the passphrase.
    pub fn add_key(&mut self, key: &PrivateKey, passphrase: &str, label: Option<String>) -> Result<&Account> {
        let encrypted = nep2::encrypt(key, passphrase, &self.scrypt)?;
        self.add(Account::single(&key.public(), Some(encrypted), label))?;
        Ok(&self.accounts[self.accounts.len() - 1])
    }

    /// Takes an account out.
    pub fn remove(&mut self, hash: &Hash160) -> Option<Account> {
        let at = self.accounts.iter().position(|account| account.hash == *hash)?;
        Some(self.accounts.remove(at))
    }

    /// Opens every account that has a key. A key that several accounts share is decrypted once. Watch-only accounts are
    /// left out; one that a passphrase does not open is an error.
    pub fn open(&self, passphrase: &str) -> Result<Vec<Opened>, OpenError> {
        let mut known: Vec<(&str, PrivateKey)> = Vec::new();
        let mut opened = Vec::new();
        for account in &self.accounts {
            let Some(text) = account.key.as_deref() else { continue };
            let key = match known.iter().find(|(other, _)| *other == text) {
                Some((_, key)) => key.clone(),
                None => {
                    let key = account.decrypt(passphrase, &self.scrypt)?;
                    known.push((text, key.clone()));
                    key
                }
            };
            opened.push(account.opened(key)?);
        }
        Ok(opened)
    }

    fn check(&self) -> Result<()> {
        self.scrypt.check()?;
        let mut seen = HashSet::new();
        for account in &self.accounts {
            if !seen.insert(account.hash) {
                return Err(malformed("wallet", format!("{} is there twice", account.hash.address())));
            }
            account.check()?;
        }
        Ok(())
    }
}

impl Account {
    /// The account of one key; watch-only without an encrypted one.
    pub fn single(key: &PublicKey, encrypted: Option<String>, label: Option<String>) -> Self {
        let parameters = vec![("signature".to_owned(), ParameterType::Signature)];
        Self::of_script(key.verification_script(), parameters, encrypted, label)
    }

    /// The account of several keys. `encrypted` is one of theirs, if the wallet's owner has one.
    pub fn multi(
        threshold: usize,
        keys: &[PublicKey],
        encrypted: Option<String>,
        label: Option<String>,
    ) -> Result<Self> {
        let script = account::multi(threshold, keys)?;
        let parameters =
            (0..threshold).map(|number| (format!("parameter{number}"), ParameterType::Signature)).collect();
        Ok(Self::of_script(script, parameters, encrypted, label))
    }

    /// A contract of the chain that has a method `verify`.
    pub fn deployed(contract: Hash160, label: Option<String>) -> Self {
        let contract_form = Contract { script: Vec::new(), parameters: Vec::new(), deployed: true };
        Self { contract: Some(contract_form), ..Self::watch_only(contract, label) }
    }

    /// An address to look at.
    pub fn watch_only(hash: Hash160, label: Option<String>) -> Self {
        Self { hash, label, is_default: false, lock: false, key: None, contract: None, extra: Value::Null }
    }

    fn of_script(
        script: Vec<u8>,
        parameters: Vec<(String, ParameterType)>,
        key: Option<String>,
        label: Option<String>,
    ) -> Self {
        let hash = Hash160::of_script(&script);
        let contract = Some(Contract { script, parameters, deployed: false });
        Self { key, contract, ..Self::watch_only(hash, label) }
    }

    /// What it is, by what the wallet tells of its contract.
    pub fn kind(&self) -> Kind {
        match &self.contract {
            None => Kind::WatchOnly,
            Some(contract) if contract.deployed => Kind::Deployed,
            Some(Contract { script, .. }) if script.is_empty() => Kind::WatchOnly,
            Some(Contract { script, .. }) => match (account::read_single(script), account::read_multi(script)) {
                (Some(key), _) => Kind::Single(key),
                (None, Some((threshold, keys))) => Kind::Multi { threshold, keys },
                (None, None) => Kind::Script,
            },
        }
    }

    /// Opens it. An account without a key can't be opened by any passphrase.
    pub fn open(&self, passphrase: &str, scrypt: &Scrypt) -> Result<Opened, OpenError> {
        let key = self.decrypt(passphrase, scrypt)?;
        self.opened(key)
    }

    fn decrypt(&self, passphrase: &str, scrypt: &Scrypt) -> Result<PrivateKey, OpenError> {
        let text = self.key.as_deref().ok_or_else(|| self.refusal("it has no key: it is watch-only"))?;
        if self.is_of_preview() {
            return Err(self.refusal("its script is that of a preview of N3: import the key anew"));
        }
        nep2::decrypt(text, passphrase, scrypt).map_err(|why| OpenError { address: self.hash.address(), why })
    }

    fn opened(&self, key: PrivateKey) -> Result<Opened, OpenError> {
        let public = key.public();
        let fits = match self.kind() {
            Kind::Single(of) => of == public,
            Kind::Multi { keys, .. } => keys.contains(&public),
            Kind::WatchOnly => self.hash == public.script_hash(),
            Kind::Deployed | Kind::Script => true,
        };
        if !fits {
            return Err(self.refusal("its key is another than its script asks for"));
        }
        let script = match &self.contract {
            Some(contract) if contract.deployed || !contract.script.is_empty() => contract.script.clone(),
            _ => public.verification_script(),
        };
        Ok(Opened { hash: self.hash, key, verification_script: script })
    }

    fn refusal(&self, why: &str) -> OpenError {
        OpenError { address: self.hash.address(), why: malformed("wallet", why).into() }
    }

    /// Accounts of the previews have scripts that N3 does not run: PUSHNULL, and a call that is gone.
    fn is_of_preview(&self) -> bool {
        self.contract.as_ref().is_some_and(|contract| contract.script.ends_with(&[0x0b, 0x41, 0x0a, 0x90, 0x6a, 0xd4]))
    }

    fn check(&self) -> Result<()> {
        if let Some(key) = &self.key {
            nep2::check(key)?;
        }
        match &self.contract {
            Some(Contract { script, deployed: false, .. })
                if !script.is_empty() && Hash160::of_script(script) != self.hash =>
            {
                let (address, of) = (self.hash.address(), Hash160::of_script(script).address());
                Err(malformed("wallet", format!("the script of {address} is that of {of}")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether this is an address of Neo Legacy.
fn is_of_legacy(address: &str) -> bool {
    const LEGACY_VERSION: u8 = 0x17;
    crate::hash::from_base58check("address", address)
        .is_ok_and(|bytes| bytes.len() == 21 && bytes[0] == LEGACY_VERSION && base58check(&bytes) == address)
}

#[cfg(test)]
mod tests;
