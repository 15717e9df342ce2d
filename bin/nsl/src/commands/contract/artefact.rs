//! Compiled contracts as their files hold them.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use neo::{manifest::Manifest, nef::Nef, wire::Wire as _};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Chain, Done, IDEMPOTENCY_KEY, described};
use crate::{client::Client, commands::input, exit::Failure, show};

#[derive(Args)]
pub(crate) struct Add {
    chain: Chain,
    hash: String,
    /// The ABI, or an artefact that has it
    #[arg(value_name = "FILE.json")]
    file: PathBuf,
    /// Which contract of the file, where it has several
    #[arg(long, value_name = "NAME")]
    contract: Option<String>,
    /// What to call it
    #[arg(long)]
    name: Option<String>,
}

impl Add {
    pub(super) async fn run(self, client: &Client) -> Result<Done, Failure> {
        let name = self.chain.name();
        if self.chain == Chain::NeoN3 {
            return Err(Failure::usage("contracts of neo-n3 tell their manifest themselves: nothing has to be added"));
        }
        let mut body = json!({ "abi": abi(&self.file, self.contract.as_deref())? });
        if let Some(name) = &self.name {
            body["name"] = name.as_str().into();
        }
        let ask = client.ask(Method::PUT, &["v1", "contracts", name, &self.hash]).body(&body);
        let reply = ask.header(IDEMPOTENCY_KEY, Some(nsl_core::fresh("cli"))).send().await?;
        Ok(Done::one(reply, described))
    }
}

/// Puts the files of a contract into a request, checked as far as that is possible without the chain.
pub(super) fn fill(
    chain: Chain,
    files: &[PathBuf],
    contract: Option<&str>,
    body: &mut Map<String, Value>,
) -> Result<(), Failure> {
    if let Some(source) = files.iter().find(|file| file.extension().is_some_and(|ending| ending == "sol")) {
        let compile = "is a source: compile it, and give the .json of Hardhat, Foundry or solc";
        return Err(Failure::usage(show::clean(&format!("{} {compile}", source.display()))));
    }
    match (chain, files) {
        (Chain::NeoN3, [nef, manifest]) => {
            input::one_stdin([Some(nef), Some(manifest)])?;
            let (nef, manifest) = n3(nef, manifest)?;
            body.insert("nef".to_owned(), nef.into());
            body.insert("manifest".to_owned(), manifest);
        }
        (Chain::NeoX, [file]) => drop(body.insert("artefact".to_owned(), read(file, contract)?)),
        (Chain::NeoN3, _) => return Err(Failure::usage("on neo-n3 two files are given: FILE.nef FILE.manifest.json")),
        (Chain::NeoX, _) => return Err(Failure::usage("on neo-x one file is given: FILE.json with abi and bytecode")),
    }
    Ok(())
}

fn n3(nef: &Path, manifest: &Path) -> Result<(String, Value), Failure> {
    let wrong =
        |file: &Path, why: &dyn std::fmt::Display| Failure::usage(show::clean(&format!("{}: {why}", file.display())));
    let bytes = input::read(nef)?;
    let read = Nef::from_bytes(&bytes);
    let text = input::read(manifest)?;
    if read.is_err() && Nef::from_bytes(&text).is_ok() {
        return Err(wrong(nef, &"the NEF comes first, then the manifest: these two are the other way round"));
    }
    let read = read.map_err(|error| wrong(nef, &error))?;
    let rules = Manifest::from_json(&text).map_err(|error| wrong(manifest, &error))?;
    rules.check_with(&read).map_err(|error| wrong(manifest, &error))?;
    let json = serde_json::from_slice(&text).map_err(|error| wrong(manifest, &error))?;
    Ok((STANDARD.encode(&*bytes), json))
}

fn read(file: &Path, contract: Option<&str>) -> Result<Value, Failure> {
    compiled(input::json(file)?, contract).map_err(|why| Failure::usage(format!("{}: {why}", file.display())))
}

/// The ABI of an artefact, or of a file that is one.
pub(crate) fn abi(file: &Path, contract: Option<&str>) -> Result<Value, Failure> {
    read(file, contract).map(|mut found| found["abi"].take())
}

/// What is needed of the output of Hardhat, Foundry or solc: the rest can be megabytes.
fn compiled(json: Value, named: Option<&str>) -> Result<Value, String> {
    if json.is_array() {
        return Ok(json!({ "abi": json }));
    }
    let Some(files) = json["contracts"].as_object() else { return one(&json) };
    let mut found = Vec::new();
    for (file, content) in files {
        // `--combined-json` has FILE:NAME, the standard output a contract by name in each file.
        match (content.get("abi"), file.rsplit_once(':')) {
            (Some(_), short) => found.push((short.map_or(file.as_str(), |(_, name)| name), content)),
            (None, _) => {
                found.extend(content.as_object().into_iter().flatten().map(|(name, one)| (name.as_str(), one)))
            }
        }
    }
    let names = || found.iter().map(|(name, _)| show::clean(name)).collect::<Vec<_>>().join(", ");
    let fits: Vec<_> = found.iter().filter(|(name, _)| named.is_none_or(|named| named == *name)).collect();
    match (fits.as_slice(), named) {
        ([(_, contract)], _) => one(contract),
        ([], Some(named)) => Err(format!("it has no contract {named:?}, only {}", names())),
        ([], None) => Err("it has no contract".to_owned()),
        _ => Err(format!("it has several contracts, say by --contract which: {}", names())),
    }
}

fn one(json: &Value) -> Result<Value, String> {
    let abi = match &json["abi"] {
        // Old solc puts JSON into text here.
        Value::String(text) => serde_json::from_str(text).map_err(|error| format!("its abi can't be read: {error}"))?,
        abi => abi.clone(),
    };
    if !abi.is_array() {
        return Err("it has no \"abi\"".to_owned());
    }
    let mut kept = json!({ "abi": abi });
    if let Some(name) = json["contractName"].as_str() {
        kept["contractName"] = name.into();
    }
    let code = |places: [&str; 3]| {
        let found = places.iter().find_map(|place| json.pointer(place).filter(|code| !code.is_null()));
        found.map(|code| code.get("object").unwrap_or(code).clone())
    };
    for (name, places) in [
        ("bytecode", ["/evm/bytecode", "/bytecode", "/bin"]),
        ("deployedBytecode", ["/evm/deployedBytecode", "/deployedBytecode", "/bin-runtime"]),
    ] {
        if let Some(code) = code(places) {
            kept[name] = code;
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_compiler_s_output_becomes_the_same() {
        let abi = json!([{ "type": "function", "name": "f", "inputs": [] }]);
        let same = json!({ "abi": abi, "bytecode": "0x60", "deployedBytecode": "0x61" });
        let solc = json!({ "abi": abi, "evm": {
            "bytecode": { "object": "0x60", "opcodes": "…" }, "deployedBytecode": { "object": "0x61" } }});
        for given in [
            json!({ "abi": abi, "bytecode": "0x60", "deployedBytecode": "0x61", "linkReferences": {} }),
            json!({ "abi": abi, "bytecode": { "object": "0x60" }, "deployedBytecode": { "object": "0x61" }, "ast": 1 }),
            solc.clone(),
            json!({ "contracts": { "a.sol": { "A": solc } }, "sources": {} }),
            json!({ "contracts": { "a.sol:A": { "abi": abi.to_string(), "bin": "0x60", "bin-runtime": "0x61" } } }),
        ] {
            assert_eq!(compiled(given.clone(), None).unwrap(), same, "{given}");
        }
        let several = json!({ "contracts": { "a.sol": { "A": solc, "B": { "abi": [] } } } });
        assert_eq!(compiled(several.clone(), Some("A")).unwrap(), same);
        assert!(compiled(several.clone(), None).unwrap_err().contains("A, B"));
        assert!(compiled(several, Some("C")).unwrap_err().contains("A, B"));
        assert_eq!(compiled(abi.clone(), None).unwrap(), json!({ "abi": abi }));
        assert!(compiled(json!({ "bytecode": "0x60" }), None).is_err());
    }
}
