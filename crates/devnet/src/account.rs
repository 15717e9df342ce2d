use std::fmt;

use serde::{Deserialize, Serialize};

/// An account with development money. Its key is known to whoever reads the directory: never send real money to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `neo-n3` or `neo-x`.
    pub chain: String,
    pub name: String,
    pub address: String,
    /// A WIF on Neo N3, 32 bytes as 0x-hex on Neo X.
    pub key: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({} {} {})", self.chain, self.name, self.address)
    }
}
