//! The JSON of transactions: as nodes show them, and as the wallet library neon-js writes them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{Attribute, Signer, Transaction, Witness};
use crate::{
    error::{Error, Result, malformed},
    hash::Hash256,
};

/// What nodes show.
#[derive(Serialize)]
pub(super) struct Shown {
    hash: Hash256,
    size: usize,
    version: u8,
    nonce: u32,
    sender: String,
    sysfee: String,
    netfee: String,
    validuntilblock: u32,
    signers: Vec<Signer>,
    attributes: Vec<Attribute>,
    #[serde(with = "in_base64")]
    script: Vec<u8>,
    witnesses: Vec<Witness>,
}

impl From<Transaction> for Shown {
    fn from(tx: Transaction) -> Self {
        Self {
            hash: tx.hash(),
            size: tx.size(),
            version: tx.version,
            nonce: tx.nonce,
            sender: tx.sender().address(),
            sysfee: tx.system_fee.to_string(),
            netfee: tx.network_fee.to_string(),
            validuntilblock: tx.valid_until_block,
            signers: tx.signers,
            attributes: tx.attributes,
            script: tx.script,
            witnesses: tx.witnesses,
        }
    }
}

/// Either form: nodes write scripts in base64, neon-js in hex and with other names.
#[derive(Deserialize)]
pub(super) struct Form {
    hash: Option<Hash256>,
    size: Option<usize>,
    version: u8,
    nonce: u32,
    sysfee: Option<Amount>,
    netfee: Option<Amount>,
    #[serde(rename = "systemFee")]
    system_fee: Option<Amount>,
    #[serde(rename = "networkFee")]
    network_fee: Option<Amount>,
    #[serde(alias = "validUntilBlock")]
    validuntilblock: u32,
    signers: Vec<Signer>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    script: String,
    #[serde(default)]
    witnesses: Vec<WitnessForm>,
}

#[derive(Deserialize)]
struct WitnessForm {
    invocation: Option<String>,
    verification: Option<String>,
    #[serde(rename = "invocationScript")]
    invocation_script: Option<String>,
    #[serde(rename = "verificationScript")]
    verification_script: Option<String>,
}

/// A number, or a number written as text: it may be beyond what JavaScript holds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(i64),
    Text(String),
}

impl Amount {
    fn read(self) -> Result<i64> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text.parse().map_err(|_| malformed("transaction", "a fee is not a number")),
        }
    }
}

impl TryFrom<Form> for Transaction {
    type Error = Error;

    fn try_from(form: Form) -> Result<Self> {
        let missing = || malformed("transaction", "a fee is missing");
        let neon = form.system_fee.is_some();
        let tx = Self {
            version: form.version,
            nonce: form.nonce,
            system_fee: form.sysfee.or(form.system_fee).ok_or_else(missing)?.read()?,
            network_fee: form.netfee.or(form.network_fee).ok_or_else(missing)?.read()?,
            valid_until_block: form.validuntilblock,
            signers: form.signers,
            attributes: form.attributes,
            script: if neon { from_hex(&form.script)? } else { from_base64(&form.script)? },
            witnesses: form.witnesses.into_iter().map(Witness::try_from).collect::<Result<_>>()?,
        };
        if tx.witnesses.is_empty() {
            tx.check_unsigned()?
        } else {
            tx.check()?
        }
        if form.hash.is_some_and(|hash| hash != tx.hash()) {
            return Err(malformed("transaction", "its hash is not the one that it is said to have"));
        }
        if form.size.is_some_and(|size| size != tx.size()) {
            return Err(malformed("transaction", "its size is not the one that it is said to have"));
        }
        Ok(tx)
    }
}

impl TryFrom<WitnessForm> for Witness {
    type Error = Error;

    fn try_from(form: WitnessForm) -> Result<Self> {
        match form {
            WitnessForm { invocation: Some(invocation), verification: Some(verification), .. } => {
                Ok(Self { invocation: from_base64(&invocation)?, verification: from_base64(&verification)? })
            }
            WitnessForm { invocation_script: Some(invocation), verification_script: Some(verification), .. } => {
                Ok(Self { invocation: from_hex(&invocation)?, verification: from_hex(&verification)? })
            }
            _ => Err(malformed("witness", "a script is missing")),
        }
    }
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    hex::decode(text).map_err(|_| malformed("script", "not hex"))
}

fn from_base64(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| malformed("script", "not base64"))
}

/// For serde: bytes as base64.
pub(crate) mod in_base64 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map_err(|_| D::Error::custom("not base64"))
    }
}
