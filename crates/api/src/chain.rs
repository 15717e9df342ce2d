use nsl_core::Error;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A chain, as paths and bodies name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Chain {
    NeoN3,
    NeoX,
}

impl Chain {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeoN3 => "neo-n3",
            Self::NeoX => "neo-x",
        }
    }
}

impl std::str::FromStr for Chain {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "neo-n3" => Ok(Self::NeoN3),
            "neo-x" => Ok(Self::NeoX),
            _ => Err(Error::invalid("storage.chain_unknown", "the chain is neither neo-n3 nor neo-x")),
        }
    }
}
