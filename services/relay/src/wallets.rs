//! Keys out of wallet files: NEP-6 wallets of Neo N3, Web3 keystores of version 3 on Neo X.
//!
//! What opens them takes long and much memory by design, so one is opened at a time, off the threads of requests, and
//! parameters beyond what honest wallets use are refused.

mod keystore;

use std::sync::LazyLock;

use neo::{nep2::DecryptError, nep6::Wallet};
use nsl_api::{
    Chain, Revealed,
    relay::{Account, ImportAccount},
};
use nsl_core::{Code, Cx, Error, Result};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    accounts::{Accounts, account_of},
    rules,
};

/// Wallets that are opened at once in a process.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));
const LONGEST_PASSPHRASE: usize = 1_024;

impl Accounts {
    /// Takes an account over from a wallet file.
    pub(crate) async fn import(&self, cx: &Cx, import: ImportAccount) -> Result<Account> {
        let ImportAccount { chain, label, wallet, passphrase, address } = import;
        if passphrase.0.len() > LONGEST_PASSPHRASE {
            return Err(malformed(format!("its passphrase has more than {LONGEST_PASSPHRASE} bytes")));
        }
        let address = address.map(|address| rules::account(chain, &address)).transpose()?;
        let busy = || Error::new(Code::Unavailable, "relay.wallets_busy", "other wallets are being opened");
        let turn = tokio::time::timeout(cx.deadline.remaining(), TURNS.acquire()).await;
        let turn = turn.map_err(|_| busy())?.map_err(Error::internal)?;
        // It runs to its end even when the caller goes away, and holds its turn until then.
        let opened = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let Revealed(passphrase) = passphrase;
            let passphrase = Zeroizing::new(passphrase);
            match chain {
                Chain::NeoN3 => nep6(&wallet, &passphrase, address.as_deref()),
                Chain::NeoX => keystore::open(&wallet, &passphrase, address.as_deref()),
            }
        });
        let opened = opened.await.map_err(Error::internal)??;
        self.keep(cx, chain, label, opened, true).await
    }
}

type Opened = (String, Zeroizing<Vec<u8>>);

fn malformed(why: impl std::fmt::Display) -> Error {
    Error::invalid("relay.wallet_malformed", format!("the wallet can't be read: {why}"))
}

fn locked() -> Error {
    Error::invalid("relay.wallet_locked", "the passphrase does not fit the wallet")
}

fn unknown(why: &str) -> Error {
    Error::invalid("relay.wallet_account", why)
}

fn nep6(wallet: &serde_json::Value, passphrase: &str, address: Option<&str>) -> Result<Opened> {
    let wallet = Wallet::from_json(wallet.to_string().as_bytes()).map_err(malformed)?;
    let account = match address {
        Some(address) => {
            let hash = address.parse().map_err(Error::internal)?;
            wallet.account(&hash).ok_or_else(|| unknown("the wallet has no such account"))?
        }
        None => {
            let keyed: Vec<_> = wallet.accounts.iter().filter(|account| account.key.is_some()).collect();
            match (&keyed[..], keyed.iter().find(|account| account.is_default)) {
                ([only], _) | (_, Some(only)) => *only,
                _ => return Err(unknown("the wallet has several accounts with keys, or none: name one by address")),
            }
        }
    };
    let opened = account.open(passphrase, &wallet.scrypt).map_err(|error| match error.why {
        DecryptError::WrongPassphrase => locked(),
        DecryptError::Malformed(why) => malformed(why),
    })?;
    let key = Zeroizing::new(opened.key.to_bytes().to_vec());
    let of_key = account_of(Chain::NeoN3, &key)?;
    if of_key != opened.hash.to_string() {
        return Err(unknown(
            "the account of the wallet asks for more than one signature, or another script than a key's",
        ));
    }
    Ok((of_key, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_of_neo_n3_opens_by_its_passphrase_only() {
        let key = neo::PrivateKey::from_wif("L1aS3HBJPfc8G7vhoEtkHoHWMCoz1kD7TmiiCt3QRhxsUUv49BiB").unwrap();
        let light = neo::nep2::Scrypt { n: 4, r: 1, p: 1 };
        let mut wallet = Wallet::new(None, light);
        wallet.add_key(&key, "a passphrase", None).unwrap();
        let json = serde_json::from_str(&wallet.to_json()).unwrap();
        let (account, secret) = nep6(&json, "a passphrase", None).unwrap();
        assert_eq!(account, key.public().script_hash().to_string());
        assert_eq!(secret.as_slice(), key.to_bytes().as_slice());
        assert_eq!(nep6(&json, "a passphrase", Some(&account)).unwrap().0, account);
        assert_eq!(nep6(&json, "another", None).unwrap_err().slug, "relay.wallet_locked");
        let other = "0x0000000000000000000000000000000000000001";
        assert_eq!(nep6(&json, "a passphrase", Some(other)).unwrap_err().slug, "relay.wallet_account");
        assert_eq!(nep6(&serde_json::json!({}), "", None).unwrap_err().slug, "relay.wallet_malformed");
        wallet.add_key(&neo::PrivateKey::from_bytes(&[7; 32]).unwrap(), "a passphrase", None).unwrap();
        for account in &mut wallet.accounts {
            account.is_default = false;
        }
        let json = serde_json::from_str(&wallet.to_json()).unwrap();
        assert_eq!(nep6(&json, "a passphrase", None).unwrap_err().slug, "relay.wallet_account");
    }
}
