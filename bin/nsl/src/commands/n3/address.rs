use std::path::PathBuf;

use clap::Args;
use neo::{Hash160, PrivateKey, PublicKey, account, native};
use serde_json::{Value, json};

use super::{super::Done, refused};
use crate::{commands::input, exit::Failure, show};

#[derive(Args)]
pub(crate) struct Address {
    /// An address, a script hash, a public key, or a verification script in hex; several public keys with --threshold;
    /// - for one of these, or a WIF, from standard input
    #[arg(required_unless_present_any = ["wif_file", "key_file"], value_name = "WHAT")]
    what: Vec<String>,
    /// How many of the public keys sign
    #[arg(long, value_name = "M")]
    threshold: Option<usize>,
    /// The script hash is given as its bytes go over the wire
    #[arg(long)]
    little_endian: bool,
    /// File with a WIF, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["what", "threshold", "key_file"])]
    wif_file: Option<PathBuf>,
    /// File with a private key as 64 hex digits, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["what", "threshold"])]
    key_file: Option<PathBuf>,
}

/// An account, as far as it is known.
#[derive(Debug)]
struct Known {
    hash: Hash160,
    script: Option<Vec<u8>>,
}

impl Address {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let known = self.known()?;
        let json = known.json();
        let fields = [
            ("address", "address"),
            ("script hash", "script_hash"),
            ("little-endian", "script_hash_le"),
            ("contract", "contract"),
            ("public key", "public_key"),
            ("threshold", "threshold"),
            ("public keys", "public_keys"),
            ("verification script", "verification_script"),
        ];
        Ok(Done { shown: show::pairs(&fields, &json), json: json.to_string() })
    }

    fn known(&self) -> Result<Known, Failure> {
        if let Some(key) = private_key(self.wif_file.as_ref(), self.key_file.as_ref())? {
            return Ok(Known::of_script(key.public().verification_script()));
        }
        if self.threshold.is_some() || self.what.len() > 1 {
            let threshold = self.threshold.ok_or_else(|| {
                Failure::usage("several keys make one account: say by --threshold how many of them sign")
            })?;
            let keys: Vec<PublicKey> = self.what.iter().map(|text| public_key(text)).collect::<Result<_, _>>()?;
            return account::multi(threshold, &keys).map(Known::of_script).map_err(refused);
        }
        match self.what.first().map(String::as_str).unwrap_or_default() {
            "-" => {
                let text = input::secret("-".as_ref(), "an account")?;
                match PrivateKey::from_wif(text.trim()) {
                    Ok(key) => Ok(Known::of_script(key.public().verification_script())),
                    Err(_) => one(text.trim(), self.little_endian),
                }
            }
            text => one(text, self.little_endian),
        }
    }
}

fn one(text: &str, little_endian: bool) -> Result<Known, Failure> {
    if text.starts_with("6P") || (text.len() == 52 && text.starts_with(['K', 'L'])) {
        return Err(Failure::usage(
            "this looks like a key: a secret is never an argument, see --wif-file and `nsl n3 nep2`",
        ));
    }
    if text.starts_with('N') {
        return Hash160::from_address(text).map(Known::of_hash).map_err(refused);
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let bytes = hex::decode(digits).map_err(|_| {
        Failure::usage("neither an address nor hex of a script hash, public key or verification script")
    })?;
    match bytes.len() {
        20 => {
            let mut bytes: [u8; 20] = bytes.try_into().map_err(|_| Failure::usage("not 20 bytes"))?;
            if !little_endian {
                bytes.reverse();
            }
            Ok(Known::of_hash(Hash160::from_le(bytes)))
        }
        32 => Err(Failure::usage("32 bytes would be a private key: a secret is never an argument, see --key-file")),
        33 | 65 if account::read_multi(&bytes).is_none() => {
            let key = PublicKey::from_slice(&bytes).map_err(refused)?;
            Ok(Known::of_script(key.verification_script()))
        }
        0..36 => Err(Failure::usage(format!(
            "{} bytes are neither a script hash (20) nor a public key (33) nor a verification script",
            bytes.len()
        ))),
        _ => Ok(Known::of_script(bytes)),
    }
}

/// A public key as hex.
pub(super) fn public_key(text: &str) -> Result<PublicKey, Failure> {
    text.strip_prefix("0x").unwrap_or(text).parse().map_err(|error| Failure::usage(format!("{text}: {error}")))
}

/// The private key of one of these files, if one is given.
pub(crate) fn private_key(wif: Option<&PathBuf>, key: Option<&PathBuf>) -> Result<Option<PrivateKey>, Failure> {
    match (wif, key) {
        (Some(file), _) => {
            let wif = input::secret(file, "a WIF")?;
            PrivateKey::from_wif(wif.trim()).map(Some).map_err(refused)
        }
        (None, Some(file)) => {
            let text = input::secret(file, "a private key")?;
            let mut bytes = zeroize::Zeroizing::new([0; 32]);
            let digits = text.trim();
            hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), bytes.as_mut_slice())
                .map_err(|_| Failure::usage(format!("{} does not hold 64 hex digits", file.display())))?;
            PrivateKey::from_bytes(&bytes).map(Some).map_err(refused)
        }
        (None, None) => Ok(None),
    }
}

impl Known {
    fn of_hash(hash: Hash160) -> Self {
        Self { hash, script: None }
    }

    fn of_script(script: Vec<u8>) -> Self {
        Self { hash: Hash160::of_script(&script), script: Some(script) }
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "address": self.hash.address(),
            "script_hash": self.hash,
            "script_hash_le": hex::encode(self.hash.as_le()),
        });
        if let Some(name) = native::name(&self.hash) {
            json["contract"] = name.into();
        }
        let Some(script) = &self.script else { return json };
        json["verification_script"] = hex::encode(script).into();
        if let Some(key) = account::read_single(script) {
            json["public_key"] = json!(key);
        } else if let Some((threshold, keys)) = account::read_multi(script) {
            json["threshold"] = threshold.into();
            json["public_keys"] = json!(keys);
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "a755f41b43031e7c45b7ca534a5f3759ac665214";
    const KEY: &str = "03a9dd88b245b8a3dc982959540d25b57305d5ebaced0ac29a07eac5ad8573e90b";

    #[test]
    fn every_form_of_an_account_leads_to_the_same() {
        let little = "145266ac59375f4a53cab7457c1e03431bf455a7";
        let script = format!("0c21{KEY}4156e7b327");
        for (text, little_endian) in [
            ("NMmRQvG4qsPMSmm1gun2LfNAXFAFnTMpxU", false),
            (HASH, false),
            (&format!("0x{HASH}"), false),
            (little, true),
            (KEY, false),
            (&script, false),
        ] {
            let known = one(text, little_endian).unwrap().json();
            assert_eq!(known["script_hash"], format!("0x{HASH}"), "{text}");
            assert_eq!(known["script_hash_le"], little);
            assert_eq!(known["public_key"].is_string(), text.len() > 60, "{text}");
        }
        assert_eq!(one("0xd2a4cff31913016155e38e474a2c06d08be276cf", false).unwrap().json()["contract"], "GasToken");
    }

    #[test]
    fn a_secret_is_refused_and_not_repeated() {
        for secret in [
            "L1aS3HBJPfc8G7vhoEtkHoHWMCoz1kD7TmiiCt3QRhxsUUv49BiB",
            "820274438b02a64f15dcc16aeff32356ab60b634da56f46a1002a6ce47f4e597",
            "6PYUaza7QwaBcfTtA2fTNhd5CfgiVFKQaFFUP3bHhwJTGubHWVyha6ofpu",
        ] {
            let message = one(secret, false).unwrap_err().message;
            assert!(message.contains("never an argument") && !message.contains(secret), "{message}");
        }
        for wrong in ["", "N", "0x00", "zz", &HASH[1..]] {
            assert!(one(wrong, false).is_err(), "{wrong}");
        }
    }
}
