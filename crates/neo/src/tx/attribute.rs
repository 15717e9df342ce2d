//! Attributes: what a transaction asks of the network besides running its script.

use serde::{Deserialize, Serialize};

use super::json::in_base64;
use crate::{
    error::{Error, Result, malformed},
    hash::Hash256,
    wire::{Reader, Wire, write_var_bytes},
};

/// Bytes of an oracle's answer, at most.
pub const MOST_ORACLE_RESULT: u64 = 0xffff;

/// An attribute of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub enum Attribute {
    /// First in the queue; only the committee may sign such a one.
    HighPriority,
    /// Carries an answer of the native oracle.
    OracleResponse {
        /// The number of the request.
        id: u64,
        /// How it went.
        code: OracleCode,
        /// What came; empty unless it went well.
        result: Vec<u8>,
    },
    /// Not to be taken into a block before this height.
    NotValidBefore(u32),
    /// Only one of this and that transaction may be in the chain.
    Conflicts(Hash256),
    /// The notaries complete its signatures, of so many keys.
    NotaryAssisted(u8),
}

/// How a request to the native oracle went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum OracleCode {
    /// It went well.
    Success = 0x00,
    /// The oracle does not speak the URL's protocol.
    ProtocolNotSupported = 0x10,
    /// The oracle nodes did not agree.
    ConsensusUnreachable = 0x12,
    /// There is nothing at the URL.
    NotFound = 0x14,
    /// It took too long.
    Timeout = 0x16,
    /// The oracle may not ask that host.
    Forbidden = 0x18,
    /// The answer is too large.
    ResponseTooLarge = 0x1a,
    /// The request does not pay for its answer.
    InsufficientFunds = 0x1c,
    /// The answer is of a kind that the oracle does not read.
    ContentTypeNotSupported = 0x1f,
    /// Anything else.
    Error = 0xff,
}

impl OracleCode {
    const ALL: [Self; 10] = [
        Self::Success,
        Self::ProtocolNotSupported,
        Self::ConsensusUnreachable,
        Self::NotFound,
        Self::Timeout,
        Self::Forbidden,
        Self::ResponseTooLarge,
        Self::InsufficientFunds,
        Self::ContentTypeNotSupported,
        Self::Error,
    ];
}

impl Attribute {
    /// The number of its type, as the wire form and the Policy contract have it.
    pub const fn tag(&self) -> u8 {
        match self {
            Self::HighPriority => 0x01,
            Self::OracleResponse { .. } => 0x11,
            Self::NotValidBefore(_) => 0x20,
            Self::Conflicts(_) => 0x21,
            Self::NotaryAssisted(_) => 0x22,
        }
    }

    /// Whether a transaction may have several of its type.
    pub const fn may_repeat(&self) -> bool {
        matches!(self, Self::Conflicts(_))
    }

    /// Refuses what nodes refuse of one attribute alone.
    pub fn check(&self) -> Result<()> {
        let Self::OracleResponse { code, result, .. } = self else { return Ok(()) };
        if *code != OracleCode::Success && !result.is_empty() {
            return Err(malformed("oracle response", "a failure with a result"));
        }
        match result.len() as u64 {
            0..=MOST_ORACLE_RESULT => Ok(()),
            size => Err(Error::TooLarge { what: "oracle response", size, most: MOST_ORACLE_RESULT }),
        }
    }
}

impl Wire for Attribute {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Self::HighPriority => {}
            Self::OracleResponse { id, code, result } => {
                out.extend_from_slice(&id.to_le_bytes());
                out.push(*code as u8);
                write_var_bytes(result, out);
            }
            Self::NotValidBefore(height) => out.extend_from_slice(&height.to_le_bytes()),
            Self::Conflicts(hash) => hash.write(out),
            Self::NotaryAssisted(nkeys) => out.push(*nkeys),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self> {
        let read = match from.u8("attribute")? {
            0x01 => Self::HighPriority,
            0x11 => {
                let id = from.u64("oracle response")?;
                let code = from.u8("oracle response")?;
                let code = OracleCode::ALL.into_iter().find(|known| *known as u8 == code);
                let code = code.ok_or_else(|| malformed("oracle response", "unknown code"))?;
                Self::OracleResponse { id, code, result: from.var_bytes(MOST_ORACLE_RESULT, "oracle response")?.into() }
            }
            0x20 => Self::NotValidBefore(from.u32("attribute")?),
            0x21 => Self::Conflicts(Hash256::read(from)?),
            0x22 => Self::NotaryAssisted(from.u8("attribute")?),
            tag => return Err(malformed("attribute", format!("unknown type {tag:#04x}"))),
        };
        read.check()?;
        Ok(read)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Form {
    HighPriority,
    OracleResponse {
        id: u64,
        code: OracleCode,
        #[serde(with = "in_base64")]
        result: Vec<u8>,
    },
    NotValidBefore {
        height: u32,
    },
    Conflicts {
        hash: Hash256,
    },
    NotaryAssisted {
        nkeys: u8,
    },
}

impl From<Attribute> for Form {
    fn from(attribute: Attribute) -> Self {
        match attribute {
            Attribute::HighPriority => Self::HighPriority,
            Attribute::OracleResponse { id, code, result } => Self::OracleResponse { id, code, result },
            Attribute::NotValidBefore(height) => Self::NotValidBefore { height },
            Attribute::Conflicts(hash) => Self::Conflicts { hash },
            Attribute::NotaryAssisted(nkeys) => Self::NotaryAssisted { nkeys },
        }
    }
}

impl From<Form> for Attribute {
    fn from(form: Form) -> Self {
        match form {
            Form::HighPriority => Self::HighPriority,
            Form::OracleResponse { id, code, result } => Self::OracleResponse { id, code, result },
            Form::NotValidBefore { height } => Self::NotValidBefore(height),
            Form::Conflicts { hash } => Self::Conflicts(hash),
            Form::NotaryAssisted { nkeys } => Self::NotaryAssisted(nkeys),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_the_json_of_nodes() {
        for (attribute, json) in [
            (Attribute::HighPriority, r#"{"type":"HighPriority"}"#),
            (
                Attribute::OracleResponse { id: 7, code: OracleCode::Success, result: b"hi".to_vec() },
                r#"{"type":"OracleResponse","id":7,"code":"Success","result":"aGk="}"#,
            ),
            (Attribute::NotValidBefore(9), r#"{"type":"NotValidBefore","height":9}"#),
            (Attribute::NotaryAssisted(3), r#"{"type":"NotaryAssisted","nkeys":3}"#),
        ] {
            assert_eq!(serde_json::to_string(&attribute).unwrap(), json);
            assert_eq!(serde_json::from_str::<Attribute>(json).unwrap(), attribute);
            assert_eq!(Attribute::from_bytes(&attribute.to_bytes()).unwrap(), attribute);
        }
    }

    #[test]
    fn an_oracle_answer_is_known_and_empty_when_it_failed() {
        let answer = |code: u8, result: &[u8]| {
            let mut bytes = vec![0x11, 1, 0, 0, 0, 0, 0, 0, 0, code];
            write_var_bytes(result, &mut bytes);
            Attribute::from_bytes(&bytes)
        };
        for code in OracleCode::ALL {
            assert!(answer(code as u8, b"").is_ok());
            assert_eq!(answer(code as u8, b"x").is_ok(), code == OracleCode::Success);
        }
        assert!(answer(0x11, b"").is_err());
        assert!(Attribute::from_bytes(&[0xe0, 0]).is_err(), "reserved for private networks");
    }
}
