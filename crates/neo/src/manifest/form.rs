//! The JSON of a manifest where it is not what its fields say.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

use super::{Grantee, ParameterType, Wild};
use crate::error::{Error, Result, malformed};

/// The field `features`, which must be there and empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(hidden)]
pub struct NoFeatures;

impl Serialize for NoFeatures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        serializer.serialize_map(Some(0))?.end()
    }
}

impl<'de> Deserialize<'de> for NoFeatures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Map::<String, Value>::deserialize(deserializer)?.is_empty() {
            true => Ok(Self),
            false => Err(D::Error::custom("features must be an empty object")),
        }
    }
}

impl<T: Serialize> Serialize for Wild<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("*"),
            Self::Only(list) => list.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Wild<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form<T> {
            List(Vec<T>),
            Text(String),
        }
        match Form::deserialize(deserializer) {
            Ok(Form::List(list)) => Ok(Self::Only(list)),
            Ok(Form::Text(text)) if text == "*" => Ok(Self::All),
            _ => Err(D::Error::custom("neither \"*\" nor a list of the right kind")),
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Contract(hash) => hash.fmt(f),
            Self::Group(key) => key.fmt(f),
        }
    }
}

impl FromStr for Grantee {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.len() {
            _ if text == "*" => Ok(Self::Any),
            42 if text.starts_with("0x") => text.parse().map(Self::Contract),
            66 => text.parse().map(Self::Group),
            _ => Err(malformed("permission", format!("{text:?} is neither *, a 0x hash, nor a group's key"))),
        }
    }
}

impl Serialize for Grantee {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grantee {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Nodes take null for some lists.
pub(super) fn list_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

pub(super) fn object_or_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    Option::deserialize(deserializer)
}

pub(super) fn write_signature<S: Serializer>(signature: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(signature))
}

pub(super) fn read_signature<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    let bytes = BASE64.decode(text.as_ref()).map_err(D::Error::custom)?;
    bytes.try_into().map_err(|_| D::Error::custom("a group's signature is not 64 bytes long"))
}
