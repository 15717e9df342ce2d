//! The encrypted key-value store.

use std::fmt;

use bytes::Bytes;
use nsl_core::{Error, Subject, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub use crate::Chain;
use crate::{Page, Revealed};

/// Who besides its owner may read a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nobody.
    #[default]
    Private,
    /// Everyone of the tenant.
    Tenant,
    /// The subjects in `shared_with`, of the same tenant.
    Shared,
    /// Anyone, without a credential.
    Public,
}

impl Access {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Tenant => "tenant",
            Self::Shared => "shared",
            Self::Public => "public",
        }
    }
}

/// JSON text, kept byte for byte. Cheap to clone; never printed, since it is somebody's data.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Bytes);

impl Value {
    /// Reads one JSON value; white space around it is dropped.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| Error::invalid("storage.value_malformed", format!("the value is not JSON: {error}")))?;
        Ok(Self(Bytes::copy_from_slice(raw.get().as_bytes())))
    }

    /// Takes text that was read as JSON before, such as what lies in the store.
    pub fn read_before(text: impl Into<Bytes>) -> Self {
        Self(text.into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("null")
    }

    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes of JSON]", self.0.len())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_slice(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Bytes::from(Box::<str>::from(raw).into_string())))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Put {
    pub chain: Chain,
    /// 1 to 256 of `a-z A-Z 0-9 : _ -`.
    pub key: String,
    /// Any JSON, at most 1 MiB of text.
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    /// Seal the value with AES-256-GCM under its owner's data key.
    #[serde(default)]
    pub encrypted: bool,
    #[serde(default)]
    pub access: Access,
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub shared_with: Vec<Subject>,
    /// When the value ceases to be.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Until when neither delete nor overwrite is allowed; may be moved out, never in.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retain_until: Option<Timestamp>,
    /// A JSON object of the caller's own, at most 16 KiB.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub metadata: Option<Value>,
    /// Compare and set: the version that must be current, 0 for "must not exist".
    #[serde(default)]
    pub expected_version: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stored {
    pub key: String,
    pub version: i64,
    /// This is the first version of a new or formerly deleted key.
    pub created: bool,
    pub size_bytes: i64,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// All or nothing: one refused item refuses the whole batch.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PutMany {
    pub items: Vec<Put>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StoredMany {
    pub items: Vec<Stored>,
}

/// Names one value: the caller's own when `owner` is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub chain: Chain,
    #[serde(default)]
    pub owner: Option<Subject>,
    pub key: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Get {
    pub at: Address,
    /// A past version instead of the current one.
    #[serde(default)]
    pub version: Option<i64>,
    /// Pass the caches by.
    #[serde(default)]
    pub fresh: bool,
    /// How far behind the answer may be, in milliseconds: allows a read-only replica.
    #[serde(default)]
    pub max_stale_ms: Option<u64>,
}

/// What is known of a value besides the value.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Meta {
    pub key: String,
    #[schema(value_type = String)]
    pub owner: Subject,
    pub chain: Chain,
    pub version: i64,
    pub encrypted: bool,
    pub access: Access,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub shared_with: Vec<Subject>,
    pub size_bytes: i64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retain_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub metadata: Option<Value>,
    /// Reads so far, at most some seconds behind.
    pub accessed_count: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_accessed: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Item {
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    pub meta: Meta,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GetMany {
    pub chain: Chain,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub owner: Option<Subject>,
    /// At most 100.
    pub keys: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Items {
    /// Those that exist and may be read, in the order asked for.
    pub items: Vec<Item>,
    /// Those that don't, or may not: the two can't be told apart.
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delete {
    pub chain: Chain,
    pub key: String,
    #[serde(default)]
    pub expected_version: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    pub key: String,
    /// The version that marks the deletion.
    pub version: i64,
}

/// Changes what surrounds a value and leaves the value as it is. Absent fields stay; the version grows.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Amend {
    pub chain: Chain,
    pub key: String,
    #[serde(default)]
    pub access: Option<Access>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub shared_with: Option<Vec<Subject>>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retain_until: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub metadata: Option<Value>,
    #[serde(default)]
    pub expected_version: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List {
    pub chain: Chain,
    #[serde(default)]
    pub owner: Option<Subject>,
    #[serde(default)]
    pub prefix: String,
    /// At most 1,000.
    pub limit: u32,
    #[serde(default)]
    pub after: Option<String>,
    #[serde(default)]
    pub max_stale_ms: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History {
    pub at: Address,
    pub limit: u32,
    #[serde(default)]
    pub after: Option<String>,
}

/// One past or present state of a key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Version {
    pub version: i64,
    pub deleted: bool,
    pub encrypted: bool,
    pub size_bytes: i64,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Makes a past version the current one again, as a new version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Restore {
    pub chain: Chain,
    pub key: String,
    pub version: i64,
    #[serde(default)]
    pub expected_version: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AskUsage {}

/// What the tenant holds, past versions included, and how much it may.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    pub bytes: i64,
    pub items: i64,
    pub quota_bytes: i64,
    pub quota_items: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyKind {
    /// A copy of everything that is stored of the person (GDPR article 15 and 20).
    Export,
    /// Destroys the person's data key and values (GDPR article 17).
    Erasure,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AskPrivacy {
    pub kind: PrivacyKind,
    /// The person; the caller's own subject when absent. Another's needs `privacy:admin`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub subject: Option<Subject>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyStatus {
    Pending,
    Done,
    Failed,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PrivacyRequest {
    pub id: String,
    pub kind: PrivacyKind,
    #[schema(value_type = String)]
    pub subject: Subject,
    pub status: PrivacyStatus,
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: Timestamp,
    /// When it must be done by law: one month after it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
    /// How many parts a finished export has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For a finished erasure: the signed statement of what was destroyed.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub receipt: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindPrivacy {
    pub id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListPrivacy {
    pub limit: u32,
    pub after: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FetchExport {
    pub id: String,
    /// Counted from 1.
    pub part: u32,
}

/// A part of a finished export: JSON with each value opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exported {
    pub document: Revealed,
}

nsl_rpc::service! {
    /// Keeps JSON values by key, sealed when asked, with their history.
    Storage, StorageClient, "storage" {
        /// Needs `storage:write`.
        fn put(Put) -> Stored;
        /// Needs `storage:write`; at most 100 items.
        fn put_many(PutMany) -> StoredMany;
        /// Needs `storage:read`, unless the value is public.
        read fn get(Get) -> Item;
        /// As `get`, without the value.
        read fn describe(Get) -> Meta;
        /// Needs `storage:read`.
        read fn get_many(GetMany) -> Items;
        /// Needs `storage:write`; the history stays until it is trimmed.
        fn delete(Delete) -> Deleted;
        /// Needs `storage:write`.
        fn amend(Amend) -> Stored;
        /// Needs `storage:read`; by key, ascending.
        read fn list(List) -> Page<Meta>;
        /// Needs `storage:read`; newest first.
        read fn history(History) -> Page<Version>;
        /// Needs `storage:write`.
        fn restore(Restore) -> Stored;
        /// Needs `storage:read`.
        read fn usage(AskUsage) -> Usage;
        /// Needs `privacy:write`; done in the background, well before it is due.
        fn ask_privacy(AskPrivacy) -> PrivacyRequest;
        /// Needs `privacy:read`.
        read fn find_privacy(FindPrivacy) -> PrivacyRequest;
        /// Needs `privacy:read`; newest first.
        read fn list_privacy(ListPrivacy) -> Page<PrivacyRequest>;
        /// Needs `privacy:read`; `not_found` until the export is done.
        read fn export(FetchExport) -> Exported;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cross_the_wire_byte_for_byte() {
        for text in ["null", r#"{"b": 1.0,"a":[1e400]}"#, r#""\u0041""#, "-0"] {
            let item = GetItem { value: Value::parse(text).unwrap(), metadata: None };
            let wire = serde_json::to_vec(&item).unwrap();
            let back: GetItem = serde_json::from_slice(&wire).unwrap();
            assert_eq!((back.value.as_str(), back.metadata), (text, None));
        }
        assert_eq!(Value::parse(" [1] ").unwrap().as_str(), "[1]");
        assert_eq!(Value::parse("[1").unwrap_err().slug, "storage.value_malformed");
        assert!(!format!("{:?}", Value::parse("\"hidden\"").unwrap()).contains("hidden"));
    }

    #[derive(Serialize, Deserialize)]
    struct GetItem {
        value: Value,
        metadata: Option<Value>,
    }
}
