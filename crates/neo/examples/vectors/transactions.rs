//! Transactions and scripts.

use neo::{
    Hash160,
    explain::explain,
    script::{Builder, CallFlags, to_text},
    stack::Param,
    tx::{Transaction, Witness},
    wire::Wire as _,
};
use serde_json::{Value, json};

use crate::{Answer, bare, bytes, keys::private_key, number, text};

/// From `signed_hex`, `unsigned_hex` (with the witnesses that `json` has, if it is there too) or `json`, the first that
/// is there.
fn transaction(asked: &Value) -> Result<Transaction, Box<dyn std::error::Error>> {
    if asked["signed_hex"].is_string() {
        return Ok(Transaction::from_bytes(&bytes(asked, "signed_hex")?)?);
    }
    if asked["unsigned_hex"].is_string() {
        let mut tx = Transaction::from_unsigned_bytes(&bytes(asked, "unsigned_hex")?)?;
        if let Some(witnesses) = asked["json"]["witnesses"].as_array() {
            tx.witnesses = witnesses.iter().map(witness).collect::<Result<_, _>>()?;
            tx.check()?;
        }
        return Ok(tx);
    }
    match &asked["json"] {
        Value::Null => Err("signed_hex, unsigned_hex or json is needed".into()),
        given => Ok(serde_json::from_value(given.clone())?),
    }
}

/// As neon-js writes it, or as nodes do.
fn witness(given: &Value) -> Result<Witness, Box<dyn std::error::Error>> {
    if given["invocation"].is_string() {
        return Ok(serde_json::from_value(given.clone())?);
    }
    Ok(Witness { invocation: bytes(given, "invocationScript")?, verification: bytes(given, "verificationScript")? })
}

fn magic(asked: &Value) -> Result<Option<u32>, Box<dyn std::error::Error>> {
    match &asked["magic"] {
        Value::Null => Ok(None),
        _ => Ok(Some(u32::try_from(number(asked, "magic")?)?)),
    }
}

fn shown(tx: &Transaction, magic: Option<u32>) -> Value {
    let signers: Vec<_> = tx.signers.iter().map(|signer| signer.account).collect();
    let mut shown = json!({
        "hash_be": bare(&tx.hash()),
        "unsigned_hex": hex::encode(tx.unsigned_bytes()),
        "json": as_neon_shows(tx),
        "node_json": tx,
        "explained": explain(&tx.script, &signers),
    });
    if !tx.witnesses.is_empty() {
        shown["signed_hex"] = hex::encode(tx.to_bytes()).into();
    }
    if let Some(magic) = magic {
        shown["magic"] = magic.into();
        shown["message_to_sign"] = hex::encode(tx.message(magic)).into();
        shown["verified"] = tx.verify(magic).is_ok().into();
    }
    shown
}

/// The form that neon-js writes: camel case, scopes as a number, bare hex. Rules and attributes are as nodes show them.
fn as_neon_shows(tx: &Transaction) -> Value {
    let signers: Vec<_> = tx
        .signers
        .iter()
        .map(|signer| {
            let mut shown = json!({"account": bare(&signer.account), "scopes": signer.scopes.bits()});
            if !signer.allowed_contracts.is_empty() {
                shown["allowedContracts"] = signer.allowed_contracts.iter().map(bare).collect();
            }
            if !signer.allowed_groups.is_empty() {
                shown["allowedGroups"] = json!(signer.allowed_groups);
            }
            if !signer.rules.is_empty() {
                shown["rules"] = json!(signer.rules);
            }
            shown
        })
        .collect();
    let witness = |witness: &Witness| {
        json!({
            "invocationScript": hex::encode(&witness.invocation),
            "verificationScript": hex::encode(&witness.verification),
        })
    };
    json!({
        "version": tx.version,
        "nonce": tx.nonce,
        "systemFee": tx.system_fee.to_string(),
        "networkFee": tx.network_fee.to_string(),
        "validUntilBlock": tx.valid_until_block,
        "attributes": tx.attributes,
        "signers": signers,
        "witnesses": tx.witnesses.iter().map(witness).collect::<Vec<_>>(),
        "script": hex::encode(&tx.script),
    })
}

pub(crate) fn decode(asked: &Value) -> Answer {
    Ok(shown(&transaction(asked)?, magic(asked)?))
}

pub(crate) fn sign(asked: &Value) -> Answer {
    let mut tx = transaction(asked)?;
    let magic = magic(asked)?.ok_or("magic: a number is needed")?;
    let key = private_key(asked)?;
    tx.sign(magic, &key)?;
    let mut shown = shown(&tx, Some(magic));
    let at = tx.signers.iter().position(|signer| signer.account == key.public().script_hash());
    let signature = at.and_then(|at| tx.witnesses[at].signatures()).and_then(|all| all.first().copied());
    shown["signature"] = signature.map(hex::encode).into();
    Ok(shown)
}

/// A call of a contract, or, when `script` alone is given, what a script says.
pub(crate) fn script(asked: &Value) -> Answer {
    let script = if asked["contract_be"].is_string() {
        let contract: Hash160 = text(asked, "contract_be")?.parse()?;
        let flags = match &asked["call_flags"] {
            Value::Null => CallFlags::ALL,
            _ => CallFlags::try_from(u8::try_from(number(asked, "call_flags")?)?)?,
        };
        let none = Vec::new();
        let args = match &asked["args"] {
            Value::Null => &none,
            given => given.as_array().ok_or("args: a list is needed")?,
        };
        let args = args.iter().map(Param::from_json).collect::<neo::Result<Vec<_>>>()?;
        Builder::new().call(&contract, text(asked, "operation")?, flags, &args).finish()?
    } else {
        bytes(asked, "script")?
    };
    Ok(json!({"script": hex::encode(&script), "text": to_text(&script)?, "explained": explain(&script, &[])}))
}
