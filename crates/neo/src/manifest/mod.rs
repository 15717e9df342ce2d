//! Manifests: what a contract says of itself (NEP-15), and what it may do.

mod difference;
mod form;
mod rules;
mod standards;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use difference::{Change, Weight, differences, nef_differences};
#[doc(hidden)]
pub use form::NoFeatures;
pub use rules::MOST_BYTES;
pub use standards::{KNOWN_STANDARDS, missing};

use crate::{
    error::{Error, Result, malformed},
    hash::Hash160,
    keys::PublicKey,
};

/// What a contract says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name, never empty; it goes into the contract's hash and can't be changed by an update.
    pub name: String,
    /// The groups that vouch for it.
    pub groups: Vec<Group>,
    #[serde(rename = "features")]
    #[doc(hidden)]
    pub features: NoFeatures,
    /// The standards that it claims to keep, as `NEP-17`.
    #[serde(rename = "supportedstandards", default, deserialize_with = "form::list_or_null")]
    pub standards: Vec<String>,
    /// Its methods and events.
    pub abi: Abi,
    /// Whom it may call.
    #[serde(default, deserialize_with = "form::list_or_null")]
    pub permissions: Vec<Permission>,
    /// The contracts that it trusts to call it without a warning to the user.
    pub trusts: Wild<Grantee>,
    /// Whatever its author wants to tell.
    #[serde(default, deserialize_with = "form::object_or_null")]
    pub extra: Option<Map<String, Value>>,
}

/// The methods and events of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abi {
    /// At least one; no two of the same name and number of parameters.
    #[serde(default, deserialize_with = "form::list_or_null")]
    pub methods: Vec<Method>,
    /// No two of the same name.
    #[serde(default, deserialize_with = "form::list_or_null")]
    pub events: Vec<Event>,
}

/// A method that others may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// Its name; those that begin with `_` are called by nodes only.
    pub name: String,
    /// What it takes, in the order of the call.
    pub parameters: Vec<Parameter>,
    /// What it leaves.
    #[serde(rename = "returntype")]
    pub return_type: ParameterType,
    /// Where it begins in the script.
    pub offset: u32,
    /// Whether it changes nothing: it then runs with the right to read only.
    pub safe: bool,
}

/// What a contract tells the world when something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// What it carries, in this order.
    pub parameters: Vec<Parameter>,
}

/// A parameter of a method or of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type, never `Void`.
    #[serde(rename = "type")]
    pub kind: ParameterType,
}

/// A key that vouches for a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The key of the group.
    #[serde(rename = "pubkey")]
    pub key: PublicKey,
    /// Its signature of the contract's hash (the 20 bytes as they go over the wire).
    #[serde(serialize_with = "form::write_signature", deserialize_with = "form::read_signature")]
    pub signature: [u8; 64],
}

/// A right to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// Whom.
    pub contract: Grantee,
    /// Which methods.
    pub methods: Wild<String>,
}

/// Whom a permission or a trust is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// Every contract.
    Any,
    /// One contract.
    Contract(Hash160),
    /// The contracts that this group vouches for.
    Group(PublicKey),
}

/// Everything, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wild<T> {
    /// Everything, written `*`.
    All,
    /// These only.
    Only(Vec<T>),
}

/// The types of parameters and results; the number is the one that nodes store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum ParameterType {
    /// Whatever.
    Any = 0x00,
    /// True or false.
    Boolean = 0x10,
    /// A number of at most 32 bytes.
    Integer = 0x11,
    /// Bytes.
    ByteArray = 0x12,
    /// Bytes that are UTF-8.
    String = 0x13,
    /// An account or contract.
    Hash160 = 0x14,
    /// A transaction or block.
    Hash256 = 0x15,
    /// 33 bytes.
    PublicKey = 0x16,
    /// 64 bytes.
    Signature = 0x17,
    /// A list.
    Array = 0x20,
    /// Keys and values.
    Map = 0x22,
    /// Something that only the node holds, as an iterator.
    InteropInterface = 0x30,
    /// Nothing: of results only.
    Void = 0xff,
}

impl Manifest {
    /// Reads a manifest as a node does at deployment, and refuses what it refuses; the groups' signatures are left to
    /// [`Manifest::check_for`], as they need the contract's hash.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        if json.len() > MOST_BYTES {
            return Err(Error::TooLarge { what: "manifest", size: json.len() as u64, most: MOST_BYTES as u64 });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|error| malformed("manifest", error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The form to deploy: JSON without spaces.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a manifest has text keys only")
    }

    /// The method of this name that takes so many arguments.
    pub fn method(&self, name: &str, arguments: usize) -> Option<&Method> {
        self.abi.methods.iter().find(|method| method.name == name && method.parameters.len() == arguments)
    }

    /// All methods of this name.
    pub fn methods<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Method> {
        self.abi.methods.iter().filter(move |method| method.name == name)
    }

    /// The event of this name.
    pub fn event(&self, name: &str) -> Option<&Event> {
        self.abi.events.iter().find(|event| event.name == name)
    }

    /// Whether this contract may call the method of a contract of these groups.
    pub fn may_call(&self, contract: &Hash160, groups: &[PublicKey], method: &str) -> bool {
        self.permissions.iter().any(|permission| {
            let whom = match &permission.contract {
                Grantee::Any => true,
                Grantee::Contract(hash) => hash == contract,
                Grantee::Group(key) => groups.contains(key),
            };
            whom && permission.methods.holds(method)
        })
    }
}

impl Wild<String> {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|known| known == name),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
