use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use neo::{
    Hash256, PublicKey,
    mpt::{Proof as StateProof, Proven, StateRoot},
    native,
    stack::StackItem,
    wire::Wire as _,
};
use serde_json::{Value, json};

use super::{super::Done, address::public_key, refused};
use crate::{
    commands::input,
    exit::{Exit, Failure},
    show,
};

#[derive(Args)]
pub(crate) struct Proof {
    /// What `getproof` gives: base64, or a file with it, - for standard input
    #[arg(value_name = "PROOF")]
    proof: String,
    /// The state root that the proof leads to
    #[arg(long, value_name = "HASH", required_unless_present = "state_root")]
    root: Option<Hash256>,
    /// Or a file with what `getstateroot` gives: then its signatures are verified as well
    #[arg(long, value_name = "FILE", conflicts_with = "root", requires_all = ["validator", "magic"])]
    state_root: Option<PathBuf>,
    /// The public keys of the state validators at that height
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    validator: Vec<String>,
    /// The number of the network
    #[arg(long, value_name = "NUMBER")]
    magic: Option<u32>,
    /// Refuse a proof of another storage key than this, in hex
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// Refuse a proof of another contract than that of this id, or the native one of this hash or name
    #[arg(long, value_name = "CONTRACT", allow_negative_numbers = true)]
    contract: Option<String>,
    /// Refuse a proof of another value than this, in hex
    #[arg(long, value_name = "HEX")]
    value: Option<String>,
}

impl Proof {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let from_stdin = Path::new(&self.proof).to_owned();
        input::one_stdin([Some(&from_stdin), self.state_root.as_ref()])?;
        let root = self.root()?;
        let proof = StateProof::from_bytes(&proof_bytes(&self.proof)?).map_err(nothing)?;
        let proven = proof.verify(&root).map_err(nothing)?;
        self.expect(&proven)?;
        let mut json = json!({
            "contract_id": proven.contract_id,
            "key": hex::encode(&proven.key),
            "value": hex::encode(&proven.value),
            "value_base64": STANDARD.encode(&proven.value),
            "root": root,
        });
        if let Some(contract) = native::of_id(proven.contract_id) {
            json["contract"] = json!(contract);
            json["name"] = native::name(&contract).into();
        }
        // Contracts keep lists and maps in this form; a plain number or text can look like anything, and is left alone.
        if let Ok(item @ (StackItem::Array(_) | StackItem::Struct(_) | StackItem::Map(_))) =
            StackItem::from_storage(&proven.value)
        {
            json["item"] = json!(item);
        }
        let fields = [
            ("contract id", "contract_id"),
            ("contract", "name"),
            ("key", "key"),
            ("value", "value"),
            ("as item", "item"),
            ("under root", "root"),
        ];
        Ok(Done { shown: show::pairs(&fields, &json), json: json.to_string() })
    }

    fn root(&self) -> Result<Hash256, Failure> {
        let Some(file) = &self.state_root else {
            return self.root.ok_or_else(|| Failure::usage("--root or --state-root is needed"));
        };
        let mut told: Value = input::json(file)?;
        if told["jsonrpc"].is_string() {
            told = told["result"].take();
        }
        let root: StateRoot =
            serde_json::from_value(told).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
        let validators: Vec<PublicKey> = self.validator.iter().map(|key| public_key(key)).collect::<Result<_, _>>()?;
        let magic = self.magic.ok_or_else(|| Failure::usage("--state-root needs --magic"))?;
        root.verify(magic, &validators).map_err(nothing)?;
        Ok(root.root)
    }

    fn expect(&self, proven: &Proven) -> Result<(), Failure> {
        if let Some(contract) = &self.contract
            && contract_id(contract)? != proven.contract_id
        {
            return Err(nothing(format!("it is of contract {}, not of {contract}", proven.contract_id)));
        }
        for (name, wanted, found) in [("key", &self.key, &proven.key), ("value", &self.value, &proven.value)] {
            let Some(wanted) = wanted else { continue };
            let bytes = hex::decode(wanted.strip_prefix("0x").unwrap_or(wanted))
                .map_err(|_| Failure::usage(format!("--{name} is not hex")))?;
            if bytes != *found {
                return Err(nothing(format!("it is of {name} {}", hex::encode(found))));
            }
        }
        Ok(())
    }
}

/// The proof may come as a node's whole reply.
fn proof_bytes(given: &str) -> Result<Vec<u8>, Failure> {
    let material = input::material(given)?;
    let text = match serde_json::from_slice::<Value>(&material) {
        Ok(Value::String(text)) => text.into_bytes(),
        Ok(reply) if reply["result"].is_string() => reply["result"].as_str().unwrap_or_default().as_bytes().to_vec(),
        _ => material,
    };
    input::binary(&text, true).ok_or_else(|| Failure::usage("the proof is not base64"))
}

fn contract_id(text: &str) -> Result<i32, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let hash = native::ALL.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, hash)| *hash);
    let hash = match hash {
        Some(hash) => hash,
        None => neo::Hash160::from_text(text).map_err(refused)?,
    };
    (-32..0).find(|id| native::of_id(*id) == Some(hash)).ok_or_else(|| {
        Failure::usage(format!("{text} is no native contract: proofs name the others by their id alone, so give that"))
    })
}

fn nothing(why: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("the proof is refused: {why}"))
}
