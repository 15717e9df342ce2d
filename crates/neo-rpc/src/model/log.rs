use std::fmt;

use neo::{Hash160, Hash256, stack::StackItem};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use super::text::{decimal, or_default};

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VmState {
    /// To its end: what it did holds.
    Halt,
    /// It failed: what it did is undone, but its fee is spent.
    Fault,
    /// It stopped on the way.
    Break,
    /// It has not run.
    None,
}

impl VmState {
    /// As nodes write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Halt => "HALT",
            Self::Fault => "FAULT",
            Self::Break => "BREAK",
            Self::None => "NONE",
        }
    }
}

impl fmt::Display for VmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for VmState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for VmState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Older nodes write sets: "FAULT, BREAK". A fault outweighs all.
        let text = String::deserialize(deserializer)?;
        let has = |name: &str| text.split(',').any(|part| part.trim() == name);
        [Self::Fault, Self::Halt, Self::Break, Self::None]
            .into_iter()
            .find(|state| has(state.as_str()))
            .ok_or_else(|| D::Error::custom("not a state of the VM"))
    }
}

/// On what occasion a script ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trigger {
    /// Before the transactions of a block.
    OnPersist,
    /// After the transactions of a block.
    PostPersist,
    /// To prove that an account agrees.
    Verification,
    /// A transaction's script.
    Application,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A value, or what the node says in its place when it can't be shown (it contains itself, say).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown<T> {
    /// The value.
    Known(T),
    /// The node's words.
    Unshown(String),
}

impl<T> Shown<T> {
    /// The value, when the node shows it.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unshown(_) => None,
        }
    }
}

impl<T: Serialize> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Unshown(words) => serializer.serialize_str(words),
        }
    }
}

impl<'de> Deserialize<'de> for Shown<StackItem> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(words) => Ok(Self::Unshown(words)),
            item => StackItem::from_json(&item).map(Self::Known).map_err(D::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Shown<Vec<StackItem>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = match Value::deserialize(deserializer)? {
            Value::String(words) => return Ok(Self::Unshown(words)),
            Value::Null => return Ok(Self::Known(Vec::new())),
            Value::Array(items) => items,
            _ => return Err(D::Error::custom("a stack is no list")),
        };
        // neo-go words each item that it can't show, neo-cli the whole stack.
        if let Some(Value::String(words)) = items.iter().find(|item| item.is_string()) {
            return Ok(Self::Unshown(words.clone()));
        }
        let items = items.iter().map(StackItem::from_json).collect::<Result<_, _>>();
        items.map(Self::Known).map_err(D::Error::custom)
    }
}

/// What a contract told while it ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Who told.
    pub contract: Hash160,
    /// Under which name.
    #[serde(rename = "eventname")]
    pub name: String,
    /// What: a list of values.
    pub state: Shown<StackItem>,
}

impl Notification {
    /// The values, when the node shows them.
    pub fn values(&self) -> Option<&[StackItem]> {
        self.state.known().and_then(|state| state.as_list().ok())
    }
}

/// A notification with the transaction or block that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contained {
    /// The hash of the transaction, or of the block when it was told before or after its transactions.
    pub container: Hash256,
    /// What was told.
    #[serde(flatten)]
    pub notification: Notification,
}

/// The run of one script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// On what occasion.
    pub trigger: Trigger,
    /// How it ended.
    #[serde(rename = "vmstate")]
    pub state: VmState,
    /// What it cost, in units of 10⁻⁸ GAS.
    #[serde(rename = "gasconsumed", with = "decimal")]
    pub gas_consumed: i64,
    /// Why it failed.
    #[serde(default)]
    pub exception: Option<String>,
    /// What it left on the stack.
    pub stack: Shown<Vec<StackItem>>,
    /// What contracts told. When the script failed, nothing of it happened.
    #[serde(deserialize_with = "or_default")]
    pub notifications: Vec<Notification>,
}

/// What ran for a transaction or a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationLog {
    /// The transaction.
    #[serde(rename = "txid", default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Hash256>,
    /// The block.
    #[serde(rename = "blockhash", default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Hash256>,
    /// The runs in their order.
    pub executions: Vec<Execution>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_cannot_show_is_kept_in_its_words() {
        let read = |json: &str| serde_json::from_str::<Shown<Vec<StackItem>>>(json).unwrap();
        assert_eq!(read(r#""error: recursive reference""#), Shown::Unshown("error: recursive reference".into()));
        let one = r#"[{"type":"Any"},"error: too deep"]"#;
        assert_eq!(read(one), Shown::Unshown("error: too deep".into()));
        assert_eq!(read(r#"[{"type":"Any"}]"#).known(), Some(&vec![StackItem::Null]));
        assert!(serde_json::from_str::<Shown<StackItem>>("7").is_err());
    }

    #[test]
    fn a_fault_outweighs_other_states() {
        for (text, state) in [("HALT", VmState::Halt), ("FAULT, BREAK", VmState::Fault), ("NONE", VmState::None)] {
            assert_eq!(serde_json::from_value::<VmState>(text.into()).unwrap(), state);
        }
        assert!(serde_json::from_str::<VmState>(r#""HALTED""#).is_err());
    }
}
