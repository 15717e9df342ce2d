//! The JSON of a wallet file, as several programs write it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Account, Contract, MOST_BYTES, Wallet, is_of_legacy};
use crate::{
    account,
    error::{Error, Result, malformed},
    hash::Hash160,
    manifest::ParameterType,
    nep2::Scrypt,
};

#[derive(Serialize, Deserialize)]
struct WalletForm {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    scrypt: Scrypt,
    accounts: Vec<AccountForm>,
    #[serde(default)]
    extra: Value,
}

#[derive(Serialize, Deserialize)]
struct AccountForm {
    address: String,
    #[serde(default)]
    label: Option<String>,
    #[serde(rename = "isDefault", alias = "isdefault", default)]
    is_default: Option<bool>,
    #[serde(default)]
    lock: Option<bool>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    contract: Option<ContractForm>,
    #[serde(default)]
    extra: Value,
}

#[derive(Serialize, Deserialize)]
struct ContractForm {
    #[serde(default)]
    script: Option<String>,
    #[serde(default)]
    parameters: Option<Vec<Option<ParameterForm>>>,
    #[serde(default)]
    deployed: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct ParameterForm {
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    kind: ParameterType,
}

pub(super) fn read(json: &[u8]) -> Result<Wallet> {
    if json.len() > MOST_BYTES {
        return Err(Error::TooLarge { what: "wallet", size: json.len() as u64, most: MOST_BYTES as u64 });
    }
    // A wallet may hold keys in plain text, where people put them by mistake: the error gives the place, no content.
    let form: WalletForm = serde_json::from_slice(json).map_err(|error| {
        malformed("wallet", format!("not of NEP-6, line {} column {}", error.line(), error.column()))
    })?;
    let wallet = Wallet {
        name: form.name,
        version: form.version.unwrap_or_else(|| "1.0".to_owned()),
        scrypt: form.scrypt,
        accounts: form.accounts.into_iter().map(read_account).collect::<Result<_>>()?,
        extra: form.extra,
    };
    wallet.check()?;
    Ok(wallet)
}

fn read_account(form: AccountForm) -> Result<Account> {
    if is_of_legacy(&form.address) {
        return Err(malformed("wallet", format!("{} is an account of Neo Legacy, not of N3", form.address)));
    }
    Ok(Account {
        hash: Hash160::from_address(&form.address)?,
        label: form.label,
        is_default: form.is_default.unwrap_or_default(),
        lock: form.lock.unwrap_or_default(),
        // Some programs write an empty text for a key that is not there.
        key: form.key.filter(|key| !key.is_empty()),
        contract: form.contract.map(read_contract).transpose()?,
        extra: form.extra,
    })
}

fn read_contract(form: ContractForm) -> Result<Contract> {
    let script = form.script.unwrap_or_default();
    let script = BASE64.decode(script).map_err(|_| malformed("wallet", "the script of an account is not base64"))?;
    let of_keys = account::read_multi(&script).is_some();
    let parameter = |(at, given): (usize, Option<ParameterForm>)| match given {
        Some(parameter) => Ok((parameter.name, parameter.kind)),
        // neon-js writes nulls for the parameters of an account of several keys: each is a signature.
        None if of_keys => Ok((format!("parameter{at}"), ParameterType::Signature)),
        None => Err(malformed("wallet", "a parameter of an account's script is null")),
    };
    let parameters = form.parameters.unwrap_or_default().into_iter().enumerate();
    let parameters = parameters.map(parameter).collect::<Result<_>>()?;
    Ok(Contract { script, parameters, deployed: form.deployed.unwrap_or_default() })
}

pub(super) fn write(wallet: &Wallet) -> String {
    let form = WalletForm {
        name: wallet.name.clone(),
        version: Some(wallet.version.clone()),
        scrypt: wallet.scrypt,
        accounts: wallet.accounts.iter().map(write_account).collect(),
        extra: wallet.extra.clone(),
    };
    serde_json::to_string_pretty(&form).expect("a wallet has text keys only")
}

fn write_account(account: &Account) -> AccountForm {
    AccountForm {
        address: account.hash.address(),
        label: account.label.clone(),
        is_default: Some(account.is_default),
        lock: Some(account.lock),
        key: account.key.clone(),
        contract: account.contract.as_ref().map(|contract| ContractForm {
            script: Some(BASE64.encode(&contract.script)),
            parameters: Some(
                contract
                    .parameters
                    .iter()
                    .map(|(name, kind)| Some(ParameterForm { name: name.clone(), kind: *kind }))
                    .collect(),
            ),
            deployed: Some(contract.deployed),
        }),
        extra: account.extra.clone(),
    }
}
