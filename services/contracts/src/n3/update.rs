//! What an update of a contract of Neo N3 changes, and the call that makes it.

use neo::{
    manifest::{self, Manifest, Method, ParameterType},
    nef::Nef,
    stack::Param,
    wire::Wire as _,
};
use nsl_api::contracts::{Artefact, Difference, Differences, Side, Weight};
use nsl_chain::n3::ContractState;
use nsl_core::{Code as ErrorCode, Error, Result};
use serde_json::Value;

use super::{
    code::{Code, code, fitting, manifest_refused, unfit, unkept},
    shape::data,
};

/// What a new artefact would change, checked as a node checks it.
pub(crate) fn compare(now: &ContractState, artefact: &Artefact) -> Result<Differences> {
    checked(now, artefact).map(|(_, differences)| differences)
}

/// The call of the contract's own `update`.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) script: Vec<u8>,
    #[cfg(test)]
    args: Vec<Param>,
    pub(crate) differences: Differences,
    /// Of the code that the contract shall have then.
    pub(crate) checksum: u32,
    pub(crate) manifest: Manifest,
}

pub(crate) fn update(now: &ContractState, artefact: &Artefact, given: Option<&Value>) -> Result<Update> {
    let (code, differences) = checked(now, artefact)?;
    let refused: Vec<&str> = differences
        .changes
        .iter()
        .filter(|change| change.weight == Weight::Refused)
        .map(|change| change.text.as_str())
        .collect();
    if !refused.is_empty() {
        let message = format!("the chain would refuse the update: {}", refused.join("; "));
        return Err(Error::new(ErrorCode::Conflict, "contracts.update_refused", message));
    }
    let method = method(&now.manifest, given.is_some())?;
    let mut args = vec![
        code.nef.as_ref().map_or(Param::Null, |nef| Param::ByteArray(nef.to_bytes())),
        code.manifest.as_ref().map_or(Param::Null, |new| text(method, new)),
    ];
    if method.parameters.len() == 3 {
        args.push(given.map(data).transpose()?.unwrap_or(Param::Null));
    }
    Ok(Update {
        script: fitting(&now.hash, &method.name, &args)?,
        #[cfg(test)]
        args,
        checksum: code.nef.as_ref().unwrap_or(&now.nef).checksum(),
        manifest: code.manifest.unwrap_or_else(|| now.manifest.clone()),
        differences,
    })
}

fn checked(now: &ContractState, artefact: &Artefact) -> Result<(Code, Differences)> {
    let code = code(artefact)?;
    if code.nef.is_none() && code.manifest.is_none() {
        return Err(unfit("an update needs a NEF, a manifest, or both"));
    }
    let nef = code.nef.as_ref().unwrap_or(&now.nef);
    let new = code.manifest.as_ref().unwrap_or(&now.manifest);
    new.check_with(nef).map_err(|error| manifest_refused(&error))?;
    new.check_for(&now.hash).map_err(|error| manifest_refused(&error))?;
    let differences = differences(now, nef, new);
    Ok((code, differences))
}

fn differences(now: &ContractState, nef: &Nef, new: &Manifest) -> Differences {
    let all = manifest::differences(&now.manifest, new).into_iter().chain(manifest::nef_differences(&now.nef, nef));
    let mut changes: Vec<Difference> =
        all.map(|change| Difference { weight: weight(change.weight), text: change.text }).collect();
    let gone = !new.abi.methods.iter().any(|method| method.name == "update");
    if gone && now.manifest.abi.methods.iter().any(|method| method.name == "update") {
        let text = "method update is gone: this is the last update that the contract can have";
        changes.push(Difference { weight: Weight::Breaks, text: text.to_owned() });
    }
    changes.extend(unkept(new));
    if now.nef.script != nef.script {
        let text = "how the new code reads what the contract holds in its storage is not compared";
        changes.push(Difference { weight: Weight::Note, text: text.to_owned() });
    }
    changes.sort_by_key(|change| std::cmp::Reverse(change.weight));
    let side = |nef: &Nef| Side {
        checksum: Some(nef.checksum().to_string()),
        code_bytes: Some(nef.script.len() as u64),
        implementation: None,
    };
    Differences { changes, before: side(&now.nef), after: side(nef) }
}

fn weight(weight: manifest::Weight) -> Weight {
    match weight {
        manifest::Weight::Note => Weight::Note,
        manifest::Weight::Breaks => Weight::Breaks,
        manifest::Weight::Widens => Weight::Widens,
        manifest::Weight::Refused => Weight::Refused,
    }
}

/// The method that updates: of NEF and manifest, and of data where it takes some.
fn method(now: &Manifest, with_data: bool) -> Result<&Method> {
    let refused = |why: &str| Error::new(ErrorCode::Conflict, "contracts.not_updatable", why);
    match (now.method("update", 3), now.method("update", 2)) {
        (Some(method), _) => Ok(method),
        (None, Some(_)) if with_data => Err(refused("the method update of the contract takes no data")),
        (None, Some(method)) => Ok(method),
        (None, None) if now.abi.methods.iter().any(|method| method.name == "update") => {
            Err(refused("the method update of the contract takes neither NEF and manifest, nor these and data"))
        }
        (None, None) => Err(refused("the contract has no method update: nobody can ever update it")),
    }
}

fn text(method: &Method, manifest: &Manifest) -> Param {
    match method.parameters.get(1).map(|parameter| parameter.kind) {
        Some(ParameterType::String) => Param::String(manifest.to_json()),
        _ => Param::ByteArray(manifest.to_json().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
    use neo::Hash160;
    use serde_json::json;

    use super::*;

    fn state(nef: &[u8], manifest: &str) -> ContractState {
        ContractState {
            id: 1,
            update_counter: 0,
            hash: Hash160::from_le([9; 20]),
            nef: Nef::from_bytes(nef).unwrap(),
            manifest: Manifest::from_json(manifest.as_bytes()).unwrap(),
        }
    }

    fn store() -> ContractState {
        state(
            include_bytes!("../../../../contracts/n3/store.nef"),
            include_str!("../../../../contracts/n3/store.manifest.json"),
        )
    }

    fn newer() -> Artefact {
        Artefact {
            nef: Some(BASE64.encode(include_bytes!("../../../../contracts/n3/store_v2.nef"))),
            manifest: Some(
                serde_json::from_str(include_str!("../../../../contracts/n3/store_v2.manifest.json")).unwrap(),
            ),
            artefact: None,
        }
    }

    #[test]
    fn an_update_says_what_it_adds_and_calls_the_contracts_own_method() {
        let made = update(&store(), &newer(), None).unwrap();
        assert_eq!((made.args.len(), &made.args[2]), (3, &Param::Null));
        let texts: Vec<_> = made.differences.changes.iter().map(|change| change.text.as_str()).collect();
        assert!(texts.iter().any(|text| text.contains("append") && text.contains("added")), "{texts:?}");
        assert!(texts.iter().any(|text| text.contains("storage")), "{texts:?}");
        assert_ne!(made.differences.before.checksum, made.differences.after.checksum);
        assert!(made.differences.changes.iter().all(|change| change.weight == Weight::Note), "{texts:?}");
    }

    #[test]
    fn an_update_that_cannot_be_is_refused_with_the_reason() {
        let mut renamed = newer();
        renamed.manifest.as_mut().unwrap()["name"] = json!("Other");
        assert_eq!(update(&store(), &renamed, None).unwrap_err().slug, "contracts.update_refused");
        assert_eq!(compare(&store(), &renamed).unwrap().changes[0].weight, Weight::Refused);

        let mut fixed = store();
        fixed.manifest.abi.methods.retain(|method| method.name != "update");
        let error = update(&fixed, &newer(), None).unwrap_err();
        assert_eq!((&*error.slug, error.message.contains("no method update")), ("contracts.not_updatable", true));
        let mut plain = store();
        let two = plain.manifest.abi.methods.iter_mut().find(|method| method.name == "update").unwrap();
        two.parameters.truncate(2);
        assert_eq!(update(&plain, &newer(), None).unwrap().args.len(), 2);
        assert_eq!(update(&plain, &newer(), Some(&json!(1))).unwrap_err().slug, "contracts.not_updatable");

        assert_eq!(update(&store(), &Artefact::default(), None).unwrap_err().slug, "contracts.artefact_unfit");
        let alone = Artefact { nef: newer().nef, ..Artefact::default() };
        assert_eq!(compare(&store(), &alone).unwrap_err().slug, "contracts.manifest_invalid", "its offsets are others");
    }

    #[test]
    fn a_contract_that_gives_its_update_away_is_told_so() {
        let mut last = newer();
        let methods = last.manifest.as_mut().unwrap()["abi"]["methods"].as_array_mut().unwrap();
        methods.retain(|method| method["name"] != "update" && method["name"] != "delete");
        let changes = compare(&store(), &last).unwrap().changes;
        assert_eq!(changes[0].weight, Weight::Breaks);
        for part in ["last update", "method delete(key: ByteArray) -> Void is removed"] {
            assert!(changes.iter().any(|change| change.text.contains(part)), "{changes:?}");
        }
    }
}
