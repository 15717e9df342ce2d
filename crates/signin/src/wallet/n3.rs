//! Accounts of Neo N3: of one key, or of several by their verification script.
//!
//! Wallets wrap a message before they sign it, each in its way. All of these are taken:
//! - in the envelope `010001f0 <length> <message> 0000`, with or without a salt before the message: NeoLine's
//!   `signMessage` and `signMessageWithoutSalt`, and wallets behind WalletConnect;
//! - as the script of a transaction that nothing can execute, with or without a salt: NeoLine's `signMessageV2` and
//!   `signMessageWithoutSaltV2`, and so Ledger devices;
//! - as it is: neon-js;
//! - as the script of a transaction of the account itself, in a signing context: neo-go and neo-cli. No block can have
//!   that transaction, for it has been out of date since the first one.

use base64::{Engine, engine::general_purpose::STANDARD};
use neo::{
    Hash160, PublicKey,
    account::{read_multi, read_single},
    context::Context,
    tx::{MOST_WITNESS_SCRIPT, Signer, Transaction},
    wire::write_var_bytes,
};
use nsl_core::{Error, Result};

use super::unproven;

/// What wallets put before a message so that nobody else chooses all of what they sign: 16 bytes in hex.
const SALT: usize = 32;

/// Reads an address.
pub fn account(text: &str) -> Result<Hash160> {
    let found = Hash160::from_address(text).ok().filter(|account| account.address() == text);
    found.ok_or_else(|| Error::invalid("wallet.address", "an address of Neo N3 has 34 characters and a right checksum"))
}

/// A signature as a wallet hands it over.
#[derive(Clone, Debug)]
pub struct Signed {
    key: PublicKey,
    signature: [u8; 64],
    salt: String,
}

impl Signed {
    /// The key in hex, the signature in hex or Base64.
    pub fn read(public_key: &str, signature: &str, salt: Option<&str>) -> Result<Self> {
        let key = public_key
            .parse()
            .map_err(|_| Error::invalid("wallet.public_key_form", "the public key is no point of secp256r1 in hex"))?;
        let salt = salt.unwrap_or_default();
        if !salt.is_empty() && (salt.len() != SALT || !salt.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(Error::invalid("wallet.signature_form", "a salt has 32 hex digits"));
        }
        let mut bytes = [0; 64];
        let wrong = || Error::invalid("wallet.signature_form", "a signature of Neo N3 has 64 bytes, in hex or Base64");
        match signature.len() {
            128 => hex::decode_to_slice(signature, &mut bytes).map_err(|_| wrong())?,
            _ => bytes = STANDARD.decode(signature).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?,
        }
        Ok(Self { key, signature: bytes, salt: salt.to_owned() })
    }

    fn fits(&self, message: &str) -> bool {
        let text = [self.salt.as_bytes(), message.as_bytes()].concat();
        let signs = |bytes: &[u8]| self.key.verify(bytes, &self.signature);
        signs(&enveloped(&text)) || signs(&executed_by_nobody(&text)) || (self.salt.is_empty() && signs(&text))
    }
}

fn enveloped(text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x01, 0x00, 0x01, 0xf0];
    write_var_bytes(text, &mut bytes);
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// What is signed of a transaction all of whose fields are zero: the network too, and its one signer.
fn executed_by_nobody(text: &[u8]) -> Vec<u8> {
    carrier(text, Hash160::ZERO).message(0)
}

fn carrier(text: &[u8], account: Hash160) -> Transaction {
    Transaction { signers: vec![Signer::none(account)], script: text.to_vec(), ..Transaction::default() }
}

/// Proves that the account of one key signed the message.
pub fn prove(message: &str, account: &Hash160, signed: &Signed) -> Result<()> {
    if signed.key.script_hash() != *account {
        return Err(unproven("wallet.public_key", "the public key is not that of the address"));
    }
    if signed.fits(message) { Ok(()) } else { Err(misfit()) }
}

/// Proves that as many keys of the account signed the message as its verification script asks. The script is in hex
/// or Base64; the signatures come in any order, one of each key, and no more than are asked.
pub fn prove_several(message: &str, account: &Hash160, script: &str, signed: &[Signed]) -> Result<()> {
    let read = [hex::decode(script).ok(), STANDARD.decode(script).ok()];
    let mut scripts = read.into_iter().flatten().filter(|script| script.len() as u64 <= MOST_WITNESS_SCRIPT);
    let script = scripts
        .find(|script| Hash160::of_script(script) == *account)
        .ok_or_else(|| unproven("wallet.script", "the verification script is not that of the address"))?;
    let (threshold, keys) = match read_single(&script) {
        Some(key) => (1, vec![key]),
        None => read_multi(&script).ok_or_else(|| {
            unproven("wallet.script", "the verification script asks for more than signatures, which is not taken")
        })?,
    };
    if signed.len() != threshold {
        let message = format!("the account asks for {threshold} signatures, and {} were given", signed.len());
        return Err(unproven("wallet.signatures", message).detail("needed", threshold));
    }
    for (at, one) in signed.iter().enumerate() {
        if signed[..at].iter().any(|other| other.key == one.key) {
            return Err(unproven("wallet.signatures", "a key signed twice").detail("needed", threshold));
        }
        if !keys.contains(&one.key) {
            return Err(unproven("wallet.public_key", "a public key is none of the account"));
        }
        if !one.fits(message) {
            return Err(misfit());
        }
    }
    Ok(())
}

/// The signing context of a message, for wallets that sign nothing but transactions.
pub fn context(message: &str, account: Hash160, network: u32) -> Result<serde_json::Value> {
    let context = Context::new(network, carrier(message.as_bytes(), account)).map_err(Error::internal)?;
    serde_json::to_value(context).map_err(Error::internal)
}

/// Proves that the account signed the message, by the context that [`context`] made.
pub fn prove_context(message: &str, account: Hash160, network: u32, context: serde_json::Value) -> Result<()> {
    let wrong = |error: &dyn std::fmt::Display| {
        Error::invalid("wallet.context", format!("the signing context is not well formed: {error}"))
    };
    let context: Context = serde_json::from_value(context).map_err(|error| wrong(&error))?;
    if context.network() != network || *context.transaction() != carrier(message.as_bytes(), account) {
        return Err(unproven(
            "wallet.context_other",
            "the signing context is not that of this message, account and network",
        ));
    }
    let complete = context
        .complete()
        .map_err(|_| unproven("wallet.signatures", "signatures are missing in the signing context"))?;
    complete.verify(network).map_err(|_| misfit())
}

fn misfit() -> Error {
    unproven("wallet.signature", "the signature is not one of this account for this message")
}

#[cfg(test)]
#[path = "n3_tests.rs"]
mod tests;
