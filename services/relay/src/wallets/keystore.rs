//! Web3 keystores of version 3.

use std::num::NonZeroU32;

use aws_lc_rs::{
    cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey},
    constant_time::verify_slices_are_equal,
    iv::FixedLength,
    pbkdf2,
};
use nsl_api::Chain;
use nsl_chain::x::keccak256;
use nsl_core::{Error, Result};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Opened, locked, malformed, unknown};
use crate::{accounts::account_of, rules};

const MOST_MEMORY: u64 = 1 << 30;
/// Sixteen times the work of the usual parameters.
const MOST_WORK: u64 = 32 << 20;
const MOST_ROUNDS: u32 = 10_000_000;
const LONGEST_SALT: usize = 1_024;

#[derive(Deserialize)]
struct Keystore {
    version: u32,
    #[serde(default)]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: serde_json::Value,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
struct Scrypt {
    n: u64,
    r: u32,
    p: u32,
    dklen: usize,
    salt: String,
}

#[derive(Deserialize)]
struct Pbkdf2 {
    c: u32,
    prf: String,
    dklen: usize,
    salt: String,
}

pub(super) fn open(wallet: &serde_json::Value, passphrase: &str, address: Option<&str>) -> Result<Opened> {
    let keystore = Keystore::deserialize(wallet).map_err(malformed)?;
    if keystore.version != 3 {
        return Err(malformed(format!("it is of version {}, and only 3 is read", keystore.version)));
    }
    let Crypto { cipher, cipherparams, ciphertext, kdf, kdfparams, mac } = keystore.crypto;
    if cipher != "aes-128-ctr" {
        return Err(malformed("its cipher is not aes-128-ctr"));
    }
    let mut text = Zeroizing::new(bytes("ciphertext", &ciphertext)?);
    let iv: [u8; 16] = bytes("iv", &cipherparams.iv)?.try_into().map_err(|_| malformed("its iv has not 16 bytes"))?;
    let mac = bytes("mac", &mac)?;
    if text.len() != 32 {
        return Err(malformed("its key has not 32 bytes"));
    }
    let derived = match &*kdf {
        "scrypt" => by_scrypt(&Scrypt::deserialize(&kdfparams).map_err(malformed)?, passphrase)?,
        "pbkdf2" => by_pbkdf2(&Pbkdf2::deserialize(&kdfparams).map_err(malformed)?, passphrase)?,
        _ => return Err(malformed("its key derivation is neither scrypt nor pbkdf2")),
    };
    let proof = keccak256([&derived[16..32], &text[..]].concat());
    verify_slices_are_equal(proof.as_slice(), &mac).map_err(|_| locked())?;
    let broken = |_| Error::internal(anyhow::anyhow!("AES-128-CTR failed"));
    let key = UnboundCipherKey::new(&AES_128, &derived[..16]).map_err(broken)?;
    let key = DecryptingKey::ctr(key).map_err(broken)?;
    key.decrypt(&mut text, DecryptionContext::Iv128(FixedLength::from(iv))).map_err(broken)?;
    let account = account_of(Chain::NeoX, &text)?;
    for named in [keystore.address.as_deref().map(prefixed), address.map(str::to_owned)].into_iter().flatten() {
        if rules::account(Chain::NeoX, &named)? != account {
            return Err(unknown("the key of the keystore is that of another account"));
        }
    }
    Ok((account, text))
}

fn prefixed(address: &str) -> String {
    format!("0x{}", address.trim_start_matches("0x"))
}

fn bytes(what: &str, text: &str) -> Result<Vec<u8>> {
    hex::decode(text.trim_start_matches("0x")).map_err(|_| malformed(format!("its {what} is not hex")))
}

fn salt(text: &str, dklen: usize) -> Result<Vec<u8>> {
    let salt = bytes("salt", text)?;
    if dklen != 32 || salt.len() > LONGEST_SALT {
        return Err(malformed("its derived key has not 32 bytes, or its salt is too long"));
    }
    Ok(salt)
}

fn by_scrypt(params: &Scrypt, passphrase: &str) -> Result<Zeroizing<Vec<u8>>> {
    let salt = salt(&params.salt, params.dklen)?;
    let (n, r, p) = (params.n, u64::from(params.r), u64::from(params.p));
    let memory = n.checked_mul(r).and_then(|blocks| blocks.checked_mul(128));
    let work = n.checked_mul(r).and_then(|blocks| blocks.checked_mul(p));
    let lanes = r.saturating_mul(p).saturating_mul(128);
    let sane = n.is_power_of_two() && n >= 2 && r > 0 && p > 0;
    if !sane || memory.is_none_or(|memory| memory > MOST_MEMORY) || lanes > MOST_MEMORY {
        return Err(malformed(format!("scrypt with n {n}, r {r}, p {p} takes more than 1 GiB, or makes no sense")));
    }
    if work.is_none_or(|work| work > MOST_WORK) {
        return Err(malformed(format!("scrypt with n {n}, r {r}, p {p} takes too long")));
    }
    let sound = scrypt::Params::new(n.ilog2() as u8, params.r, params.p)
        .map_err(|_| malformed("its parameters of scrypt are not possible"))?;
    let mut derived = Zeroizing::new(vec![0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), &salt, &sound, &mut derived).map_err(Error::internal)?;
    Ok(derived)
}

fn by_pbkdf2(params: &Pbkdf2, passphrase: &str) -> Result<Zeroizing<Vec<u8>>> {
    let salt = salt(&params.salt, params.dklen)?;
    let rounds = NonZeroU32::new(params.c).filter(|rounds| rounds.get() <= MOST_ROUNDS);
    let rounds = rounds.ok_or_else(|| malformed(format!("pbkdf2 with {} rounds", params.c)))?;
    if params.prf != "hmac-sha256" {
        return Err(malformed("its pbkdf2 is not over hmac-sha256"));
    }
    let mut derived = Zeroizing::new(vec![0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, passphrase.as_bytes(), &mut derived);
    Ok(derived)
}

#[cfg(test)]
#[path = "keystore_tests.rs"]
mod tests;
