use std::path::PathBuf;

use clap::Args;
use neo::{
    Hash160,
    manifest::{Manifest, missing},
    nef::{Nef, contract_hash},
    wire::Wire as _,
};
use serde_json::json;

use super::{super::Done, refused};
use crate::{commands::input, exit::Failure, show};

#[derive(Args)]
pub(crate) struct Hash {
    /// The contract as it was compiled
    #[arg(value_name = "FILE.nef")]
    nef: PathBuf,
    #[arg(value_name = "FILE.manifest.json")]
    manifest: PathBuf,
    /// Who deploys it: the first signer of the transaction, which is its sender
    #[arg(long, value_name = "ADDRESS")]
    sender: String,
}

impl Hash {
    pub(super) fn run(self) -> Result<Done, Failure> {
        input::one_stdin([Some(&self.nef), Some(&self.manifest)])?;
        let wrong = |file: &PathBuf| {
            let file = file.display().to_string();
            move |error: neo::Error| refused(format!("{file}: {error}"))
        };
        let nef = Nef::from_bytes(&input::read(&self.nef)?).map_err(wrong(&self.nef))?;
        let manifest = Manifest::from_json(&input::read(&self.manifest)?).map_err(wrong(&self.manifest))?;
        manifest.check_with(&nef).map_err(refused)?;
        let hash = contract_hash(Hash160::from_text(&self.sender).map_err(refused)?, nef.checksum(), &manifest.name);
        manifest.check_for(&hash).map_err(refused)?;
        let lacks: Vec<String> = manifest
            .standards
            .iter()
            .filter_map(|standard| Some((standard, missing(&manifest, standard)?)))
            .flat_map(|(standard, lacks)| lacks.into_iter().map(move |what| format!("{standard}: {what}")))
            .collect();
        let mut json = json!({
            "hash": hash,
            "address": hash.address(),
            "name": manifest.name,
            "checksum": nef.checksum(),
        });
        if !lacks.is_empty() {
            json["lacks"] = lacks.into();
        }
        let fields =
            [("hash", "hash"), ("address", "address"), ("name", "name"), ("checksum", "checksum"), ("lacks", "lacks")];
        Ok(Done { shown: show::pairs(&fields, &json), json: json.to_string() })
    }
}
