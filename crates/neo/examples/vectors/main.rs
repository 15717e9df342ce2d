//! Answers questions with the library's own code, so that others can check it: JSON lines `{"op": ...}` come in,
//! JSON lines `{"ok": ...}` or `{"error": ...}` go out, one for each.
//!
//! ```text
//! echo '{"op":"address","wif":"L1aS3HBJPfc8G7vhoEtkHoHWMCoz1kD7TmiiCt3QRhxsUUv49BiB"}' | cargo run -p nsl-neo --example vectors
//! ```

mod contracts;
mod keys;
mod transactions;

use std::io::{BufRead as _, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use neo::{Hash256, block::Block, mpt::Proof, native, wire::Wire as _};
use serde_json::{Value, json};

/// What went wrong is told as text.
type Answer = Result<Value, Box<dyn std::error::Error>>;

type Op = (&'static str, fn(&Value) -> Answer);

const OPS: &[Op] = &[
    ("address", keys::address),
    ("multisig", keys::multisig),
    ("nep2.encrypt", keys::nep2_encrypt),
    ("nep2.decrypt", keys::nep2_decrypt),
    ("nep6.open", keys::nep6_open),
    ("tx.decode", transactions::decode),
    ("tx.sign", transactions::sign),
    ("script", transactions::script),
    ("mpt.verify", mpt_verify),
    ("block.decode", block_decode),
    ("contract.check", contracts::check),
];

fn main() -> std::io::Result<()> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            let reply = match answer(&line) {
                Ok(value) => json!({"ok": value}),
                Err(error) => json!({"error": error.to_string()}),
            };
            writeln!(output, "{reply}")?;
            output.flush()?;
        }
        line.clear();
    }
    Ok(())
}

fn answer(line: &[u8]) -> Answer {
    let asked: Value = serde_json::from_slice(line)?;
    let op = text(&asked, "op")?;
    match OPS.iter().find(|(name, _)| *name == op) {
        Some((_, answer)) => answer(&asked),
        None => {
            let known: Vec<_> = OPS.iter().map(|(name, _)| *name).collect();
            Err(format!("op: {op:?} is none of {}", known.join(", ")).into())
        }
    }
}

fn mpt_verify(asked: &Value) -> Answer {
    let root: Hash256 = text(asked, "roothash")?.parse()?;
    let proven = Proof::from_base64(text(asked, "proof_b64")?)?.verify(&root)?;
    let (key, value) = (hex::encode(&proven.key), hex::encode(&proven.value));
    let contract = native::of_id(proven.contract_id).map(|hash| hash.to_string());
    // What the asker expects must be what was proven.
    let expected = [("storage_key_hex", Some(&key)), ("value_hex", Some(&value)), ("contract", contract.as_ref())];
    for (name, proven) in expected {
        if let (Some(expected), Some(proven)) = (asked[name].as_str(), proven)
            && !digits(expected).eq_ignore_ascii_case(digits(proven))
        {
            return Err(format!("{name}: the proof is of {proven}").into());
        }
    }
    Ok(json!({
        "contract_id": proven.contract_id, "contract": contract, "storage_key_hex": key, "value_hex": value,
        "roothash": root,
    }))
}

fn block_decode(asked: &Value) -> Answer {
    let block = Block::from_bytes(&STANDARD.decode(text(asked, "block_b64")?)?)?;
    block.verify_content()?;
    Ok(json!({"index": block.header.index, "hash": block.hash(), "json": block}))
}

/// A field that is text.
fn text<'a>(asked: &'a Value, name: &str) -> Result<&'a str, Box<dyn std::error::Error>> {
    asked[name].as_str().ok_or_else(|| format!("{name}: text is needed").into())
}

/// A field that is a number, or a number written as text.
fn number(asked: &Value, name: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let number = asked[name].as_u64().or_else(|| asked[name].as_str()?.parse().ok());
    number.ok_or_else(|| format!("{name}: a number is needed").into())
}

/// A field that is bytes in hex, with `0x` before it or without.
fn bytes(asked: &Value, name: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    hex::decode(digits(text(asked, name)?)).map_err(|error| format!("{name}: {error}").into())
}

fn digits(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
}

/// A hash as the test data has it: big-endian without `0x`.
fn bare(hash: &impl ToString) -> String {
    hash.to_string().trim_start_matches("0x").to_owned()
}
