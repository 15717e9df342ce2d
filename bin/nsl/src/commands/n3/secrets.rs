use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use neo::{
    PrivateKey,
    nep2::{self, DecryptError, Scrypt},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::{super::Done, address::private_key, refused};
use crate::{
    commands::input,
    exit::{Exit, Failure},
};

#[derive(Subcommand)]
pub(crate) enum Nep2 {
    /// Put a private key under a passphrase
    Encrypt(Encrypt),
    /// Get a private key back: printed as a WIF, or written to --out
    Decrypt(Decrypt),
}

#[derive(Args)]
pub(crate) struct Encrypt {
    /// File with the WIF of the key, - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "key_file", conflicts_with = "key_file")]
    wif_file: Option<PathBuf>,
    /// File with the key as 64 hex digits, - for standard input
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File with the passphrase, - for standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
    #[command(flatten)]
    cost: Cost,
}

#[derive(Args)]
pub(crate) struct Decrypt {
    /// The encrypted key, which begins with 6P
    nep2: String,
    /// File with the passphrase, - for standard input
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
    /// Write the WIF to a new file that only you can read, and print no secret
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    cost: Cost,
}

/// How costly it is to try a passphrase
#[derive(Args)]
#[command(next_help_heading = "Scrypt")]
struct Cost {
    #[arg(long, default_value_t = Scrypt::STANDARD.n)]
    n: u32,
    #[arg(long, default_value_t = Scrypt::STANDARD.r)]
    r: u32,
    #[arg(long, default_value_t = Scrypt::STANDARD.p)]
    p: u32,
}

impl Cost {
    fn scrypt(&self) -> Scrypt {
        Scrypt { n: self.n, r: self.r, p: self.p }
    }
}

impl Nep2 {
    pub(super) fn run(self) -> Result<Done, Failure> {
        match self {
            Self::Encrypt(encrypt) => encrypt.run(),
            Self::Decrypt(decrypt) => decrypt.run(),
        }
    }
}

impl Encrypt {
    fn run(self) -> Result<Done, Failure> {
        input::one_stdin([self.wif_file.as_ref(), self.key_file.as_ref(), Some(&self.passphrase_file)])?;
        let key = private_key(self.wif_file.as_ref(), self.key_file.as_ref())?
            .ok_or_else(|| Failure::usage("--wif-file or --key-file is needed"))?;
        let passphrase = input::secret(&self.passphrase_file, "a passphrase")?;
        let encrypted = nep2::encrypt(&key, &passphrase, &self.cost.scrypt()).map_err(refused)?;
        let json = json!({ "nep2": encrypted, "address": key.public().address() });
        Ok(Done { json: json.to_string(), shown: format!("{encrypted}\n") })
    }
}

impl Decrypt {
    fn run(self) -> Result<Done, Failure> {
        let passphrase = input::secret(&self.passphrase_file, "the passphrase")?;
        let key = decrypt(&self.nep2, &passphrase, &self.cost.scrypt())?;
        let (wif, address) = (key.to_wif(), key.public().address());
        let mut json = json!({ "address": address, "public_key": key.public() });
        let shown = match &self.out {
            Some(file) => {
                write_secret(file, &wif)?;
                json["file"] = file.display().to_string().into();
                format!("the key of {address} is in {}\n", file.display())
            }
            None => {
                json["wif"] = wif.as_str().into();
                format!("{}\n", wif.as_str())
            }
        };
        Ok(Done { json: json.to_string(), shown })
    }
}

/// A wrong passphrase is told apart from a text that none opens.
pub(super) fn decrypt(text: &str, passphrase: &str, scrypt: &Scrypt) -> Result<PrivateKey, Failure> {
    nep2::decrypt(text, passphrase, scrypt).map_err(|error| match error {
        DecryptError::WrongPassphrase => Failure::new(Exit::Refused, error.to_string()),
        DecryptError::Malformed(_) => refused(error),
    })
}

fn write_secret(file: &Path, secret: &Zeroizing<String>) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        out.write_all(secret.as_bytes())?;
        out.write_all(b"\n")?;
        out.sync_all()
    };
    write().map_err(|error| Failure::new(Exit::Failed, format!("cannot write {}: {error}", file.display())))
}
