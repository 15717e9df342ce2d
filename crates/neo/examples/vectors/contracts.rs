//! Contracts before they are deployed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{
    Hash160,
    manifest::{Manifest, missing},
    nef::{Nef, contract_hash},
    wire::Wire as _,
};
use serde_json::{Value, json};

use crate::{Answer, text};

/// Checks a NEF and its manifest (given as text) as a node does, and tells the hash that `sender` deploys it to.
pub(crate) fn check(asked: &Value) -> Answer {
    let nef = Nef::from_bytes(&STANDARD.decode(text(asked, "nef_b64")?)?)?;
    let manifest = Manifest::from_json(text(asked, "manifest")?.as_bytes())?;
    manifest.check_with(&nef)?;
    let hash = contract_hash(Hash160::from_text(text(asked, "sender")?)?, nef.checksum(), &manifest.name);
    manifest.check_for(&hash)?;
    let lacks: Vec<_> =
        manifest.standards.iter().filter_map(|standard| Some((standard, missing(&manifest, standard)?))).collect();
    Ok(json!({"hash": hash, "nef": nef, "manifest": manifest, "missing": lacks}))
}
