//! Manifests: what a contract says of itself (NEP-15), and what it may do.

mod difference;
mod rules;
mod standards;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};

pub use difference::{Change, Weight, differences, nef_differences};
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
    #[serde(rename = "supportedstandards", default)]
    pub standards: Vec<String>,
    /// Its methods and events.
    pub abi: Abi,
    /// Whom it may call.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// The contracts that it trusts to call it without a warning to the user.
    pub trusts: Wild<Grantee>,
    /// Whatever its author wants to tell.
    #[serde(default, deserialize_with = "object_or_null")]
    pub extra: Option<Map<String, Value>>,
}

/// The methods and events of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abi {
    /// At least one; no two of the same name and number of parameters.
    #[serde(default)]
    pub methods: Vec<Method>,
    /// No two of the same name.
    #[serde(default)]
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
    #[serde(serialize_with = "write_signature", deserialize_with = "read_signature")]
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

impl Wild<String> {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|known| known == name),
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

fn object_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Map<String, Value>>, D::Error> {
    Option::deserialize(deserializer)
}

fn write_signature<S: Serializer>(signature: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(signature))
}

fn read_signature<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
    use base64::Engine as _;
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_ref()).map_err(D::Error::custom)?;
    bytes.try_into().map_err(|_| D::Error::custom("a group's signature is not 64 bytes long"))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A token of NEP-17.
    pub(crate) fn token() -> Manifest {
        Manifest::from_json(token_json().to_string().as_bytes()).unwrap()
    }

    fn token_json() -> Value {
        let method = |name: &str, takes: &[(&str, &str)], gives: &str, safe: bool| {
            let parameters: Vec<_> = takes.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
            json!({"name": name, "parameters": parameters, "returntype": gives, "offset": 0, "safe": safe})
        };
        let moves = [("from", "Hash160"), ("to", "Hash160"), ("amount", "Integer")];
        let mut transfer = moves.to_vec();
        transfer.push(("data", "Any"));
        json!({
            "name": "Token",
            "groups": [],
            "features": {},
            "supportedstandards": ["NEP-17"],
            "abi": {
                "methods": [
                    method("symbol", &[], "String", true),
                    method("decimals", &[], "Integer", true),
                    method("totalSupply", &[], "Integer", true),
                    method("balanceOf", &[("account", "Hash160")], "Integer", true),
                    method("transfer", &transfer, "Boolean", false),
                ],
                "events": [{"name": "Transfer", "parameters": method("", &moves, "Void", false)["parameters"]}],
            },
            "permissions": [{"contract": "*", "methods": ["onNEP17Payment"]}],
            "trusts": [],
            "extra": {"Author": "somebody"},
        })
    }

    fn refusal(change: impl Fn(&mut Value)) -> String {
        let mut json = token_json();
        change(&mut json);
        match Manifest::from_json(json.to_string().as_bytes()) {
            Ok(_) => "taken".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn it_reads_and_writes_back() {
        let manifest = token();
        assert_eq!(serde_json::from_str::<Value>(&manifest.to_json()).unwrap(), token_json());
        assert_eq!(manifest.method("transfer", 4).unwrap().return_type, ParameterType::Boolean);
        assert!(manifest.method("transfer", 3).is_none());
    }

    #[test]
    fn what_nodes_refuse_is_refused_and_what_they_take_is_taken() {
        type Case<'a> = (&'a str, &'a dyn Fn(&mut Value));
        let cases: &[Case<'_>] = &[
            ("no name", &|m| m["name"] = json!("")),
            ("missing field", &|m| drop(m.as_object_mut().unwrap().remove("groups"))),
            ("taken", &|m| drop(m.as_object_mut().unwrap().remove("supportedstandards"))),
            ("features", &|m| m["features"] = json!({"storage": true})),
            ("features", &|m| drop(m.as_object_mut().unwrap().remove("features"))),
            ("has no name", &|m| m["supportedstandards"] = json!([""])),
            ("twice", &|m| m["supportedstandards"] = json!(["NEP-17", "NEP-17"])),
            ("there is none", &|m| m["abi"]["methods"] = json!([])),
            ("twice", &|m| m["abi"]["methods"][1] = m["abi"]["methods"][0].clone()),
            ("taken", &|m| m["abi"]["methods"][4]["name"] = json!("symbol")),
            ("twice", &|m| m["abi"]["events"] = json!([m["abi"]["events"][0], m["abi"]["events"][0]])),
            ("Void", &|m| m["abi"]["methods"][3]["parameters"][0]["type"] = json!("Void")),
            ("twice", &|m| m["abi"]["methods"][4]["parameters"][0]["name"] = json!("to")),
            ("unknown variant", &|m| m["abi"]["methods"][0]["returntype"] = json!("Text")),
            ("invalid value", &|m| m["abi"]["methods"][0]["offset"] = json!(-1)),
            ("begins at", &|m| m["abi"]["methods"][0]["offset"] = json!(2_147_483_648_u32)),
            ("missing field", &|m| drop(m["abi"]["methods"][0].as_object_mut().unwrap().remove("safe"))),
            ("twice", &|m| m["permissions"] = json!([m["permissions"][0], m["permissions"][0]])),
            ("has no name", &|m| m["permissions"][0]["methods"] = json!([""])),
            ("neither", &|m| m["permissions"][0]["methods"] = json!("all")),
            ("neither", &|m| m["permissions"][0]["contract"] = json!("0x12")),
            ("taken", &|m| m["permissions"][0]["contract"] = json!("0xd2a4cff31913016155e38e474a2c06d08be276cf")),
            ("taken", &|m| m["trusts"] = json!("*")),
            ("neither", &|m| drop(m.as_object_mut().unwrap().remove("trusts"))),
            ("neither", &|m| m["trusts"] = Value::Null),
            ("taken", &|m| m["extra"] = Value::Null),
            ("invalid type", &|m| m["extra"] = json!("text")),
            ("65535", &|m| m["extra"] = json!({"a": "x".repeat(65_535)})),
        ];
        for (at, (expected, change)) in cases.iter().enumerate() {
            let told = refusal(change);
            assert!(told.contains(expected), "case {at}: {told}, not {expected}");
        }
    }

    #[test]
    fn a_group_vouches_for_one_contract_only() {
        let key = crate::PrivateKey::from_bytes(&[7; 32]).unwrap();
        let hash = crate::native::GAS;
        let mut manifest = token();
        manifest.groups.push(Group { key: key.public(), signature: key.sign(hash.as_le()) });
        let manifest = Manifest::from_json(manifest.to_json().as_bytes()).unwrap();
        assert!(manifest.check_for(&hash).is_ok());
        assert!(manifest.check_for(&crate::native::NEO).unwrap_err().to_string().contains("did not sign"));
    }

    #[test]
    fn a_call_is_allowed_by_contract_group_or_to_all() {
        let key = crate::PrivateKey::from_bytes(&[7; 32]).unwrap().public();
        let mut manifest = token();
        let (gas, neo) = (crate::native::GAS, crate::native::NEO);
        assert!(manifest.may_call(&gas, &[], "onNEP17Payment") && !manifest.may_call(&gas, &[], "transfer"));
        manifest.permissions = vec![
            Permission { contract: Grantee::Contract(gas), methods: Wild::All },
            Permission { contract: Grantee::Group(key), methods: Wild::Only(vec!["mint".into()]) },
        ];
        assert!(manifest.may_call(&gas, &[], "transfer") && !manifest.may_call(&neo, &[], "transfer"));
        assert!(manifest.may_call(&neo, &[key], "mint") && !manifest.may_call(&neo, &[], "mint"));
    }
}
