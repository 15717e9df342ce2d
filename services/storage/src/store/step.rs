use std::sync::Arc;

use nsl_api::storage::{Access, Chain, Value};
use nsl_core::{Entry, Subject, Timestamp};
use nsl_keyring::DataKey;
use serde::{Deserialize, Serialize};

/// One deed to one key of the writing tenant.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) owner: Subject,
    pub(crate) chain: Chain,
    pub(crate) key: String,
    pub(crate) expected: Option<i64>,
    pub(crate) verb: Verb,
    /// Its evidence, noted when it is done.
    pub(crate) entry: Option<Arc<Entry>>,
}

#[derive(Clone)]
pub(crate) enum Verb {
    Put {
        value: Value,
        /// Seals the value.
        seal: Option<DataKey>,
        access: Access,
        shared_with: Option<Value>,
        metadata: Option<Value>,
        expires_at: Option<Timestamp>,
        retain_until: Option<Timestamp>,
    },
    Delete,
    Amend {
        access: Option<Access>,
        /// The new list; an empty one is `Some(None)`.
        shared_with: Option<Option<Value>>,
        expires_at: Option<Timestamp>,
        retain_until: Option<Timestamp>,
        metadata: Option<Value>,
        keys: Keys,
    },
    Restore {
        version: i64,
        keys: Keys,
    },
    /// Removes the key and its history for good if its time is over, else does nothing.
    Expire,
}

/// What it takes to move a sealed value to a new version: the key that opens it and the one that seals it.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    pub(crate) open: Option<DataKey>,
    pub(crate) seal: Option<DataKey>,
}

impl std::fmt::Debug for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Put { .. } => "put",
            Self::Delete => "delete",
            Self::Amend { .. } => "amend",
            Self::Restore { .. } => "restore",
            Self::Expire => "expire",
        })
    }
}

impl Verb {
    /// The key that the step is going to seal under.
    pub(crate) fn seals(&self) -> Option<&DataKey> {
        match self {
            Self::Put { seal, .. } => seal.as_ref(),
            Self::Amend { keys, .. } | Self::Restore { keys, .. } => keys.seal.as_ref(),
            Self::Delete | Self::Expire => None,
        }
    }

    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Put { value, metadata, .. } => 512 + value.size() + metadata.as_ref().map_or(0, Value::size),
            Self::Amend { .. } | Self::Restore { .. } => 16 << 10,
            Self::Delete | Self::Expire => 256,
        }
    }
}

/// What a step led to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// 0 when nothing had to be done.
    pub(crate) version: i64,
    pub(crate) created: bool,
    pub(crate) size_bytes: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}
