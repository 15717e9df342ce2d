use nsl_edge::Entry;

/// The slugs of the service's own.
pub(super) const PROBLEMS: &[Entry] = &[
    Entry::new(
        "contracts.chain_missing",
        404,
        "the chain is not set up here",
        "set [chain.neo_n3] endpoints or [chain.neo_x] endpoints; at a desk, nsl devnet up starts nodes",
    ),
    Entry::new(
        "contracts.hash_malformed",
        400,
        "the hash of the contract has a wrong form",
        "write 0x and 40 hex digits, with the capitals of its checksum or without any",
    ),
    Entry::new(
        "contracts.account_malformed",
        400,
        "the account has a wrong form",
        "write 0x and 40 hex digits, or an address of Neo N3",
    ),
    Entry::new(
        "contracts.not_found",
        404,
        "there is no such contract",
        "check its hash and the chain in the path; one that is being deployed is found by its request",
    ),
    Entry::new(
        "contracts.nef_invalid",
        422,
        "the NEF can't be deployed",
        "send the file as the compiler wrote it, in base64",
    ),
    Entry::new(
        "contracts.manifest_invalid",
        422,
        "the manifest can't be deployed",
        "send the one that the compiler wrote beside this NEF; detail says what is wrong",
    ),
    Entry::new(
        "contracts.artefact_unfit",
        422,
        "the request does not fit its chain or its contract",
        "send nef and manifest on Neo N3, an artefact with abi and bytecode on Neo X",
    ),
    Entry::new(
        "contracts.artefact_unlinked",
        422,
        "the bytecode waits to be linked with libraries",
        "deploy the libraries and link the artefact with them",
    ),
    Entry::new(
        "contracts.artefact_too_large",
        422,
        "the contract is too large",
        "let the compiler optimise it, or split it; details has the limit",
    ),
    Entry::new(
        "contracts.data_malformed",
        400,
        "the data can't be read",
        "write {\"type\", \"value\"} or plain JSON on Neo N3, 0x and hex on Neo X",
    ),
    Entry::new("contracts.value_malformed", 400, "the value is not a whole number", "write wei as a decimal string"),
    Entry::new("contracts.name_too_long", 400, "the name is too long", "use at most 255 characters"),
    Entry::new("contracts.call_unfit", 422, "the call does not fit its chain", "leave out what detail names"),
    Entry::new(
        "contracts.arguments_unfit",
        422,
        "the arguments can't be written into a script",
        "keep integers within 256 bits",
    ),
    Entry::new(
        "contracts.manifest_unread",
        503,
        "no node tells the manifest of the contract",
        "try again after Retry-After; contracts that were deployed from here are invoked all the same",
    ),
    Entry::new(
        "contracts.abi_unknown",
        422,
        "the ABI of the contract is not known",
        "PUT /v1/contracts/neo-x/{hash} with {\"abi\": [...]}",
    ),
    Entry::new(
        "contracts.event_unknown",
        422,
        "the ABI has no such event",
        "look at the ABI of the contract, or name the event by its signature",
    ),
    Entry::new("contracts.cursor_malformed", 400, "after is no cursor", "send next of a page, or cursor of an event"),
    Entry::new(
        "contracts.reverted",
        422,
        "the call came to nothing",
        "details has the reason that the contract or the virtual machine gave",
    ),
    Entry::new(
        "contracts.not_updatable",
        409,
        "the contract can't be updated",
        "deploy a new one; detail says what this one lacks",
    ),
    Entry::new(
        "contracts.update_refused",
        409,
        "the chain would refuse the update",
        "compare by POST /v1/contracts/{chain}/{hash}/diff, and keep what can't change",
    ),
    Entry::new(
        "contracts.implementation_missing",
        409,
        "there is no contract at the address of the implementation",
        "deploy it first, and wait until that is final",
    ),
    Entry::new(
        "contracts.implementation_unfit",
        409,
        "the implementation is not the one of the artefact",
        "send the artefact that was deployed there, or leave it out",
    ),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::PROBLEMS;

    fn slugs(dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                slugs(&path, found);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let source = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                let parts = source.split('"').filter(|part| part.starts_with("contracts.") && !part.contains(' '));
                found.extend(parts.map(str::to_owned));
            }
        }
    }

    #[test]
    fn every_slug_can_be_looked_up() {
        let mut found = Vec::new();
        slugs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let evidence = [
            "contracts.deployment_accepted",
            "contracts.deployment_settled",
            "contracts.update_accepted",
            "contracts.update_settled",
            "contracts.contract_described",
            "contracts.settle",
        ];
        found.retain(|slug| !evidence.contains(&slug.as_str()));
        assert!(found.len() > 20, "{found:?}");
        for slug in found {
            assert!(PROBLEMS.iter().any(|entry| entry.slug == slug), "{slug}");
        }
    }
}
