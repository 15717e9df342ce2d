use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use neo::{Hash160, context::Context, wire::Wire as _};
use serde_json::json;

use super::{
    super::Done,
    address::private_key,
    recognise::{Thing, recognise},
    refused,
};
use crate::{commands::input, exit::Failure};

#[derive(Args)]
pub(crate) struct Sign {
    /// A signing context, or a transaction with --magic: JSON, hex, base64, or a file; - for standard input
    what: String,
    /// File with the WIF of the key that signs, - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "key_file", conflicts_with = "key_file")]
    wif_file: Option<PathBuf>,
    /// File with the key as 64 hex digits, - for standard input
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The number of the network, where a transaction is given
    #[arg(long, value_name = "NUMBER")]
    magic: Option<u32>,
}

impl Sign {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let given = PathBuf::from(&self.what);
        input::one_stdin([Some(&given), self.wif_file.as_ref(), self.key_file.as_ref()])?;
        let mut context = match (recognise(&self.what, false, None)?, self.magic) {
            (Thing::Context(context), None) => *context,
            (Thing::Context(context), Some(magic)) if magic == context.network() => *context,
            (Thing::Context(context), Some(_)) => {
                return Err(Failure::usage(format!("the context is for network {}", context.network())));
            }
            (Thing::Transaction(tx), Some(magic)) => Context::new(magic, tx).map_err(refused)?,
            (Thing::Transaction(_), None) => {
                return Err(Failure::usage("a transaction is signed for a network: --magic"));
            }
            _ => return Err(Failure::usage("only signing contexts and transactions are signed")),
        };
        let key = private_key(self.wif_file.as_ref(), self.key_file.as_ref())?
            .ok_or_else(|| Failure::usage("--wif-file or --key-file is needed"))?;
        if context.sign(&key).map_err(refused)? == 0 {
            let address = key.public().address();
            return Err(Failure::usage(format!(
                "{address} signs for none of its signers: add the account's script first"
            )));
        }
        let missing: Vec<String> = context.missing().iter().map(Hash160::address).collect();
        let mut json = json!({ "context": context, "missing": missing });
        if missing.is_empty() {
            json["transaction"] = STANDARD.encode(context.complete().map_err(refused)?.to_bytes()).into();
        }
        // The context alone, so that it can go to the next one who signs.
        Ok(Done { shown: format!("{}\n", json["context"]), json: json.to_string() })
    }
}
