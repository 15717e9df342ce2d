//! What compilers of Neo X put out, as it comes from a caller.

use nsl_api::contracts::{self, Deploy};
use nsl_chain::x::{Abi, Artefact, U256, keccak256};
use nsl_core::{Error, Result};
use serde_json::Value;

/// The most that may make a contract (EIP-3860), and the most that a contract may have (EIP-170).
const MOST_INIT_CODE: usize = 49_152;
const MOST_CODE: usize = 24_576;

/// The most that an ABI may take, as JSON.
const MOST_ABI: usize = 256 << 10;

/// The output of a compiler for one contract.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) artefact: Artefact,
    pub(crate) abi: Value,
    pub(crate) name: Option<String>,
    /// What stands on the chain then, with zeros for what is only known there.
    pub(crate) runtime: Option<Vec<u8>>,
}

/// A deployment that a node takes, as far as can be told without one.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) abi: Value,
    pub(crate) name: Option<String>,
    /// The code that makes the contract, and the arguments of its constructor.
    pub(crate) data: Vec<u8>,
    /// Keccak-256 of the code that makes it, without arguments.
    pub(crate) checksum: String,
    pub(crate) value: Option<String>,
}

pub(crate) fn code(artefact: &contracts::Artefact) -> Result<Code> {
    if artefact.nef.is_some() || artefact.manifest.is_some() {
        return Err(unfit("a contract of Neo X comes as the artefact of its compiler, not as nef and manifest"));
    }
    let json = artefact.artefact.as_ref().ok_or_else(|| unfit("the artefact is missing"))?;
    let one = single(json);
    if let Some(missing) = unlinked(one) {
        let message = format!("the bytecode waits to be linked with the libraries {}", missing.join(", "));
        return Err(Error::invalid("contracts.artefact_unlinked", message).detail("libraries", missing));
    }
    let read = Artefact::read(json)?;
    let abi = if one.is_array() { one.clone() } else { one["abi"].clone() };
    bounded(&abi)?;
    let name = one["contractName"].as_str().map(str::to_owned);
    Ok(Code { artefact: read, abi, name, runtime: runtime(one) })
}

/// An ABI by itself, or the artefact that it is in.
pub(crate) fn abi(json: &Value) -> Result<Value> {
    let one = single(json);
    let abi = if one.is_array() { one } else { &one["abi"] };
    Abi::read(abi)?;
    bounded(abi)?;
    Ok(abi.clone())
}

fn bounded(abi: &Value) -> Result<()> {
    let size = abi.to_string().len();
    if size > MOST_ABI {
        let message = format!("the ABI takes {size} bytes, and at most {MOST_ABI} are kept");
        return Err(Error::invalid("contracts.artefact_too_large", message).detail("limit_bytes", MOST_ABI));
    }
    Ok(())
}

pub(crate) fn deployment(deploy: &Deploy) -> Result<Deployment> {
    if deploy.data.is_some() {
        return Err(unfit("a deployment on Neo X takes args and value; data is for Neo N3"));
    }
    let code = code(&deploy.artefact)?;
    let bare =
        code.artefact.bytecode.as_deref().ok_or_else(|| {
            unfit("the artefact has no bytecode: an interface or an abstract contract can't be deployed")
        })?;
    let value = deploy.value.as_deref().map(wei).transpose()?;
    if value.is_some_and(|value| !value.is_zero()) && !pays(&code.abi) {
        return Err(unfit("the constructor takes no money: leave value out"));
    }
    let data = code.artefact.deployment(&deploy.args)?;
    within("the code that makes the contract, with its arguments,", data.len(), MOST_INIT_CODE)?;
    if let Some(runtime) = &code.runtime {
        within("the contract", runtime.len(), MOST_CODE)?;
    }
    let checksum = keccak256(bare).to_string();
    Ok(Deployment { data, checksum, value: value.map(|value| value.to_string()), abi: code.abi, name: code.name })
}

/// A number of wei.
pub(crate) fn wei(text: &str) -> Result<U256> {
    let refused = || Error::invalid("contracts.value_malformed", "the value is not a whole number of wei");
    let sound = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    sound.then(|| text.parse().ok()).flatten().ok_or_else(refused)
}

fn within(what: &str, size: usize, most: usize) -> Result<()> {
    if size > most {
        let message = format!("{what} takes {size} bytes, and the chain takes at most {most}");
        return Err(Error::invalid("contracts.artefact_too_large", message).detail("limit_bytes", most));
    }
    Ok(())
}

fn pays(abi: &Value) -> bool {
    let mut items = abi.as_array().into_iter().flatten();
    items.any(|item| item["type"] == "constructor" && item["stateMutability"] == "payable")
}

fn unfit(why: &str) -> Error {
    Error::invalid("contracts.artefact_unfit", why)
}

/// The part about the contract, where the output of solc holds exactly one.
fn single(json: &Value) -> &Value {
    let Some(files) = json.get("contracts").and_then(Value::as_object) else { return json };
    let mut contracts = files.values().filter_map(Value::as_object).flat_map(|file| file.values());
    match (contracts.next(), contracts.next()) {
        (Some(one), None) => one,
        _ => json,
    }
}

fn part<'a>(one: &'a Value, solc: &str, plain: &str) -> Option<&'a Value> {
    one.pointer(solc).or_else(|| one.get(plain))
}

/// The libraries that the code waits for, by name where the artefact tells them.
fn unlinked(one: &Value) -> Option<Vec<String>> {
    let code = part(one, "/evm/bytecode", "bytecode")?;
    let text = code.get("object").unwrap_or(code).as_str()?;
    if !text.contains("__") {
        return None;
    }
    let references = code.get("linkReferences").or_else(|| one.get("linkReferences")).and_then(Value::as_object);
    let named = references.into_iter().flat_map(|files| files.values()).filter_map(Value::as_object);
    let names: Vec<String> = named.flat_map(|names| names.keys().cloned()).collect();
    Some(if names.is_empty() { vec!["that the compiler marked".to_owned()] } else { names })
}

fn runtime(one: &Value) -> Option<Vec<u8>> {
    let code = part(one, "/evm/deployedBytecode", "deployedBytecode")?;
    let text = code.get("object").unwrap_or(code).as_str()?;
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok().filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use nsl_api::Chain;
    use serde_json::json;

    use super::*;

    const TOKEN: &str = include_str!("../../../../contracts/x/Token.json");

    fn with(artefact: Value, args: Vec<Value>, value: Option<&str>) -> Result<Deployment> {
        deployment(&Deploy {
            chain: Chain::NeoX,
            account: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".into(),
            artefact: contracts::Artefact { artefact: Some(artefact), ..contracts::Artefact::default() },
            args,
            data: None,
            value: value.map(str::to_owned),
            max_fee: None,
            valid_for_ms: None,
        })
    }

    fn token() -> Value {
        serde_json::from_str(TOKEN).unwrap()
    }

    #[test]
    fn the_output_of_each_compiler_gives_the_same_deployment() {
        let hardhat = token();
        let foundry = json!({ "abi": hardhat["abi"], "bytecode": {"object": hardhat["bytecode"]},
            "deployedBytecode": {"object": hardhat["deployedBytecode"]} });
        let bare = hardhat["bytecode"].as_str().unwrap().trim_start_matches("0x");
        let solc = json!({ "contracts": {"Token.sol": {"Token": {"abi": hardhat["abi"],
            "evm": {"bytecode": {"object": bare}}}}} });
        let want = with(hardhat, vec![json!("5")], None).unwrap();
        assert_eq!(want.name.as_deref(), Some("Token"));
        assert!(want.data.ends_with(&[0, 0, 0, 5]));
        for other in [foundry, solc] {
            let made = with(other, vec![json!(5)], None).unwrap();
            assert_eq!(
                (made.data, made.checksum, made.abi),
                (want.data.clone(), want.checksum.clone(), want.abi.clone())
            );
        }
    }

    #[test]
    fn what_no_chain_takes_is_refused_before_it_is_sent() {
        let slug = |artefact: Value, args: Vec<Value>, value| with(artefact, args, value).unwrap_err().slug;
        let one = || vec![json!(1)];
        assert_eq!(slug(token(), vec![], None), "chain.argument_count");
        assert_eq!(slug(token(), vec![json!("a")], None), "chain.argument_invalid");
        assert_eq!(slug(token(), one(), Some("1")), "contracts.artefact_unfit", "the constructor is not payable");
        assert_eq!(slug(token(), one(), Some("-1")), "contracts.value_malformed");
        for empty in [json!("0x"), Value::Null] {
            let mut interface = token();
            interface["bytecode"] = empty;
            assert_eq!(slug(interface, one(), None), "contracts.artefact_unfit");
        }
        let mut large = token();
        large["bytecode"] = json!(format!("0x{}", "00".repeat(MOST_INIT_CODE - 31)));
        let error = with(large, one(), None).unwrap_err();
        assert_eq!(
            (&*error.slug, error.details["limit_bytes"].as_u64()),
            ("contracts.artefact_too_large", Some(49_152))
        );
        let mut fits = token();
        fits["bytecode"] = json!(format!("0x{}", "00".repeat(MOST_INIT_CODE - 32)));
        assert_eq!(with(fits.clone(), one(), None).unwrap().data.len(), MOST_INIT_CODE);
        fits["deployedBytecode"] = json!(format!("0x{}", "00".repeat(MOST_CODE + 1)));
        assert_eq!(slug(fits, one(), None), "contracts.artefact_too_large");
        assert_eq!(slug(json!({"bytecode": "0x00"}), one(), None), "chain.artefact_invalid");
        assert_eq!(slug(json!({"abi": 5, "bytecode": "0x00"}), one(), None), "chain.abi_invalid");
    }

    #[test]
    fn libraries_that_are_missing_are_named() {
        let mut open = token();
        open["bytecode"] = json!("0x73__$1f5d0a1c0f1d2a3b4c5d6e7f8a9b0c1d2e$__63");
        open["linkReferences"] = json!({"Maths.sol": {"Maths": [{"start": 1, "length": 20}]}});
        let error = with(open, vec![json!(1)], None).unwrap_err();
        assert_eq!((&*error.slug, &error.details["libraries"]), ("contracts.artefact_unlinked", &json!(["Maths"])));
    }
}
