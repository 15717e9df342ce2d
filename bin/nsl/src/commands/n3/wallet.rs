use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use neo::nep6::{self, Kind};
use serde_json::{Value, json};

use super::{super::Done, refused};
use crate::{
    commands::input,
    exit::{Exit, Failure},
    show,
};

#[derive(Subcommand)]
pub(crate) enum Wallet {
    /// The accounts of a wallet file; no secret is shown
    Show(Show),
}

#[derive(Args)]
pub(crate) struct Show {
    /// The wallet, - for standard input
    file: PathBuf,
    /// File with a passphrase to try on every account; exits 4 unless it opens all that have a key
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Wallet {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let Self::Show(show) = self;
        show.run()
    }
}

impl Show {
    fn run(self) -> Result<Done, Failure> {
        input::one_stdin([Some(&self.file), self.passphrase_file.as_ref()])?;
        let wallet = open(&self.file)?;
        let passphrase = self.passphrase_file.as_ref().map(|file| input::secret(file, "the passphrase")).transpose()?;
        if let Some(passphrase) = &passphrase {
            wallet.open(passphrase).map_err(|error| Failure::new(Exit::Refused, error.to_string()))?;
        }
        let accounts: Vec<Value> = wallet.accounts.iter().map(described).collect();
        let columns = [
            ("ADDRESS", "address"),
            ("LABEL", "label"),
            ("KIND", "kind"),
            ("KEY", "has_key"),
            ("DEFAULT", "default"),
            ("LOCKED", "locked"),
        ];
        let opened = passphrase.map(|_| "the passphrase opens every account that has a key\n").unwrap_or_default();
        let name = wallet.name.as_deref().map(|name| format!("{}, ", show::clean(name))).unwrap_or_default();
        let shown = format!(
            "{name}version {}, scrypt {} {} {}\n{}{opened}",
            show::clean(&wallet.version),
            wallet.scrypt.n,
            wallet.scrypt.r,
            wallet.scrypt.p,
            show::table(&columns, &accounts),
        );
        let mut json = json!({
            "name": wallet.name, "version": wallet.version, "scrypt": wallet.scrypt, "accounts": accounts,
        });
        if !opened.is_empty() {
            json["opened"] = true.into();
        }
        Ok(Done { json: json.to_string(), shown })
    }
}

fn open(file: &Path) -> Result<nep6::Wallet, Failure> {
    nep6::Wallet::from_json(&input::read(file)?).map_err(refused)
}

fn described(account: &nep6::Account) -> Value {
    let mut json = json!({
        "address": account.hash.address(),
        "script_hash": account.hash,
        "label": account.label,
        "has_key": account.key.is_some(),
        "default": account.is_default,
        "locked": account.lock,
    });
    json["kind"] = match account.kind() {
        Kind::Single(key) => {
            json["public_key"] = json!(key);
            "single".into()
        }
        Kind::Multi { threshold, keys } => {
            let kind = format!("{threshold} of {}", keys.len());
            json["threshold"] = threshold.into();
            json["public_keys"] = json!(keys);
            kind.into()
        }
        Kind::Deployed => "contract".into(),
        Kind::Script => "script".into(),
        Kind::WatchOnly => "watch only".into(),
    };
    json
}
