//! What kind of thing some bytes or some JSON are.

use clap::ValueEnum;
use neo::{block::Block, context::Context, manifest::Manifest, nef::Nef, script, tx::Transaction, wire::Wire as _};
use serde_json::Value;

use super::refused;
use crate::{commands::input, exit::Failure};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Transaction,
    Block,
    Script,
    Nef,
    Manifest,
    /// A transaction that several people sign
    Context,
}

#[derive(Debug)]
pub(super) enum Thing {
    /// Without witnesses where it is not signed.
    Transaction(Transaction),
    Block(Block),
    Script(Vec<u8>),
    Nef(Nef),
    Manifest(Box<Manifest>),
    Context(Box<Context>),
}

/// Reads what is given in hex, in base64, as it is in a file, or as JSON: the thing itself or a node's reply with it.
pub(super) fn recognise(given: &str, base64: bool, kind: Option<Kind>) -> Result<Thing, Failure> {
    let material = input::material(given)?;
    let text = material.trim_ascii_start();
    if text.starts_with(b"{") || text.starts_with(b"\"") {
        let json: Value =
            serde_json::from_slice(text).map_err(|error| Failure::usage(format!("the JSON can't be read: {error}")))?;
        return of_json(json, kind);
    }
    of_bytes(&input::bytes_of(given, material, base64)?, kind)
}

fn of_json(mut json: Value, kind: Option<Kind>) -> Result<Thing, Failure> {
    if json["jsonrpc"].is_string() && !json["result"].is_null() {
        json = json["result"].take();
    }
    if let Value::String(text) = &json {
        let bytes = input::binary(text.as_bytes(), false);
        return of_bytes(&bytes.ok_or_else(|| Failure::usage("the text in the JSON is neither hex nor base64"))?, kind);
    }
    let has = |names: &[&str]| names.iter().all(|name| !json[*name].is_null());
    let kind = kind.or(match () {
        () if has(&["abi"]) => Some(Kind::Manifest),
        () if has(&["data", "items"]) => Some(Kind::Context),
        () if has(&["merkleroot"]) => Some(Kind::Block),
        () if has(&["signers", "script"]) => Some(Kind::Transaction),
        () if has(&["compiler", "script"]) => Some(Kind::Nef),
        () => None,
    });
    let from = |error: serde_json::Error| refused(error);
    match kind {
        Some(Kind::Manifest) => {
            Manifest::from_json(json.to_string().as_bytes()).map(Box::new).map(Thing::Manifest).map_err(refused)
        }
        Some(Kind::Context) => serde_json::from_value(json).map(Box::new).map(Thing::Context).map_err(from),
        Some(Kind::Block) => serde_json::from_value(json).map(Thing::Block).map_err(from),
        Some(Kind::Transaction) => serde_json::from_value(json).map(Thing::Transaction).map_err(from),
        Some(Kind::Nef) => serde_json::from_value(json).map(Thing::Nef).map_err(from),
        Some(Kind::Script) => Err(Failure::usage("a script is given as hex, base64 or a file, not as a JSON object")),
        None => Err(unknown()),
    }
}

fn of_bytes(bytes: &[u8], kind: Option<Kind>) -> Result<Thing, Failure> {
    let transaction = || match Transaction::from_bytes(bytes) {
        Ok(tx) => Ok(tx),
        Err(error) => Transaction::from_unsigned_bytes(bytes).map_err(|_| error),
    };
    match kind {
        Some(Kind::Transaction) => transaction().map(Thing::Transaction).map_err(refused),
        Some(Kind::Block) => Block::from_bytes(bytes).map(Thing::Block).map_err(refused),
        Some(Kind::Nef) => Nef::from_bytes(bytes).map(Thing::Nef).map_err(refused),
        // Also one that nodes would refuse is shown, as far as it reads.
        Some(Kind::Script) => Ok(Thing::Script(bytes.to_vec())),
        Some(Kind::Manifest) => Manifest::from_json(bytes).map(Box::new).map(Thing::Manifest).map_err(refused),
        Some(Kind::Context) => Err(Failure::usage("a signing context is JSON")),
        None if bytes.starts_with(b"NEF3") => Nef::from_bytes(bytes).map(Thing::Nef).map_err(refused),
        None => {
            if let Ok(tx) = transaction()
                && tx.check_unsigned().is_ok()
            {
                return Ok(Thing::Transaction(tx));
            }
            if let Ok(block) = Block::from_bytes(bytes) {
                return Ok(Thing::Block(block));
            }
            match script::check(bytes) {
                Ok(found) if !found.is_empty() => Ok(Thing::Script(bytes.to_vec())),
                _ => Err(unknown()),
            }
        }
    }
}

fn unknown() -> Failure {
    Failure::usage(
        "this is no transaction, block, script, NEF, manifest or signing context: say by --as what it should be to \
         learn what is wrong with it",
    )
}
