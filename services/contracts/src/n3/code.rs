//! NEF and manifest as they come from a caller.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use neo::{
    Hash160,
    manifest::{Manifest, missing},
    native,
    nef::{Nef, contract_hash},
    stack::Param,
    wire::Wire as _,
};
use nsl_api::contracts::{Artefact, Deploy, Difference, Weight};
use nsl_core::{Error, Result};

use super::shape::{MOST_SCRIPT, data, script};
use crate::place::n3_account;

/// What a caller wants to have on the chain: both parts for a deployment, at least one for an update.
pub(crate) struct Code {
    pub(crate) nef: Option<Nef>,
    pub(crate) manifest: Option<Manifest>,
}

/// Reads the parts that are there, as a node does.
pub(crate) fn code(artefact: &Artefact) -> Result<Code> {
    if artefact.artefact.is_some() {
        return Err(unfit(
            "a contract of Neo N3 comes as nef and manifest, not as the artefact of a compiler for Neo X",
        ));
    }
    let nef = artefact.nef.as_deref().map(nef).transpose()?;
    let manifest = artefact.manifest.as_ref().map(manifest).transpose()?;
    Ok(Code { nef, manifest })
}

fn nef(text: &str) -> Result<Nef> {
    let refused = |why: &str| Error::invalid("contracts.nef_invalid", format!("the NEF can't be deployed: {why}"));
    let bytes = BASE64.decode(text.trim()).map_err(|_| refused("it is not base64"))?;
    Nef::from_bytes(&bytes).map_err(|error| refused(&error.to_string()))
}

fn manifest(json: &serde_json::Value) -> Result<Manifest> {
    Manifest::from_json(json.to_string().as_bytes()).map_err(|error| manifest_refused(&error))
}

pub(super) fn manifest_refused(error: &neo::Error) -> Error {
    Error::invalid("contracts.manifest_invalid", format!("the manifest can't be deployed: {error}"))
}

pub(super) fn unfit(why: &str) -> Error {
    Error::invalid("contracts.artefact_unfit", why)
}

/// A deployment that a node takes, as far as can be told without one.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Where it will stand.
    pub(crate) hash: Hash160,
    pub(crate) nef: Nef,
    pub(crate) manifest: Manifest,
    pub(crate) script: Vec<u8>,
}

pub(crate) fn deployment(deploy: &Deploy) -> Result<Deployment> {
    if !deploy.args.is_empty() || deploy.value.is_some() {
        return Err(unfit("a deployment on Neo N3 takes data; args and value are for Neo X"));
    }
    let (nef, manifest) = match code(&deploy.artefact)? {
        Code { nef: Some(nef), manifest: Some(manifest) } => (nef, manifest),
        Code { nef: None, .. } => return Err(unfit("the NEF is missing")),
        Code { manifest: None, .. } => return Err(unfit("the manifest is missing")),
    };
    manifest.check_with(&nef).map_err(|error| manifest_refused(&error))?;
    let hash = contract_hash(n3_account(&deploy.account)?, nef.checksum(), &manifest.name);
    manifest.check_for(&hash).map_err(|error| manifest_refused(&error))?;
    let mut args = vec![Param::ByteArray(nef.to_bytes()), Param::String(manifest.to_json())];
    if let Some(given) = &deploy.data {
        args.push(data(given)?);
    }
    let script = fitting(&native::CONTRACT_MANAGEMENT, "deploy", &args)?;
    Ok(Deployment { hash, nef, manifest, script })
}

/// What a manifest claims and does not keep. Nodes take it; who relies on the standard is let down.
pub(crate) fn unkept(manifest: &Manifest) -> Vec<Difference> {
    let claims = manifest.standards.iter().filter_map(|standard| Some((standard, missing(manifest, standard)?)));
    let each = claims.flat_map(|(standard, lacks)| {
        lacks.into_iter().map(move |lack| Difference {
            weight: Weight::Breaks,
            text: format!("{standard} is claimed and not kept: {lack}"),
        })
    });
    each.collect()
}

/// The script of a call; one that no transaction has room for is refused.
pub(super) fn fitting(contract: &Hash160, method: &str, args: &[Param]) -> Result<Vec<u8>> {
    let script = script(contract, method, args)?;
    let size = script.len();
    if size > MOST_SCRIPT {
        let message =
            format!("NEF and manifest take a script of {size} bytes, and a transaction has room for {MOST_SCRIPT}");
        return Err(Error::invalid("contracts.artefact_too_large", message).detail("limit_bytes", MOST_SCRIPT));
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use nsl_api::Chain;
    use serde_json::{Value, json};

    use super::*;

    const NEF: &[u8] = include_bytes!("../../../../contracts/n3/store.nef");
    const MANIFEST: &str = include_str!("../../../../contracts/n3/store.manifest.json");
    const ACCOUNT: &str = "NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU";

    fn with(nef: &[u8], manifest: Value) -> Result<Deployment> {
        let artefact = Artefact { nef: Some(BASE64.encode(nef)), manifest: Some(manifest), artefact: None };
        let (account, chain) = (ACCOUNT.to_owned(), Chain::NeoN3);
        let (args, data, value) = (Vec::new(), None, None);
        deployment(&Deploy { chain, account, artefact, args, data, value, max_fee: None, valid_for_ms: None })
    }

    fn store() -> Value {
        serde_json::from_str(MANIFEST).unwrap()
    }

    #[test]
    fn what_nodes_refuse_is_refused_before_it_is_sent() {
        assert_eq!(with(NEF, store()).unwrap().manifest.name, "Store");
        let mut bent = NEF.to_vec();
        *bent.last_mut().unwrap() ^= 1;
        let error = with(&bent, store()).unwrap_err();
        assert_eq!(error.slug, "contracts.nef_invalid");
        assert!(error.message.contains("checksum"), "{error}");
        let error = with(b"\x7fELF", store()).unwrap_err();
        assert!(error.message.contains("NEF3") || error.message.contains("magic"), "{error}");
        assert_eq!(with(&NEF[..100], store()).unwrap_err().slug, "contracts.nef_invalid");

        let mut beyond = store();
        beyond["abi"]["methods"][0]["offset"] = json!(60_000);
        let error = with(NEF, beyond).unwrap_err();
        assert_eq!(error.slug, "contracts.manifest_invalid");
        assert!(error.message.contains("60000"), "{error}");
        let mut nameless = store();
        nameless["name"] = json!("");
        let mut featured = store();
        featured["features"] = json!({"storage": true});
        let mut stranger = store();
        stranger["permissions"] = json!([{"contract": "0x12", "methods": "*"}]);
        for wrong in [nameless, featured, stranger, json!({}), json!([])] {
            assert_eq!(with(NEF, wrong).unwrap_err().slug, "contracts.manifest_invalid");
        }
    }

    #[test]
    fn the_hash_follows_from_sender_checksum_and_name() {
        let one = with(NEF, store()).unwrap().hash;
        let mut other = store();
        other["name"] = json!("Store2");
        assert_ne!(with(NEF, other).unwrap().hash, one);
        assert_eq!(with(NEF, store()).unwrap().hash, one);
    }
    #[test]
    fn a_standard_that_is_claimed_and_not_kept_is_told() {
        let token = include_str!("../../../../contracts/n3/token.manifest.json");
        let mut token = Manifest::from_json(token.as_bytes()).unwrap();
        assert_eq!(unkept(&token), []);
        token.abi.events.clear();
        let told = unkept(&token);
        assert!(told.len() == 1 && told[0].text.starts_with("NEP-17 is claimed") && told[0].text.contains("Transfer"));
    }
}
