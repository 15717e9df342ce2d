use nsl_api::storage::{Access, Amend, Chain, Put, Value};
use nsl_core::{Subject, Timestamp};
use nsl_edge::Limit;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

macro_rules! put_body {
    ($(#[$doc:meta])* $Name:ident { $($(#[$keydoc:meta])* $key:ident: String,)? }) => {
        $(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $Name {
            $($(#[$keydoc])* pub(super) $key: String,)?
            /// Any JSON, at most 1 MiB of text; kept byte for byte.
            #[schema(value_type = serde_json::Value)]
            value: Value,
            /// Seal the value with AES-256-GCM under its owner's data key.
            #[serde(default)]
            encrypted: bool,
            /// Who besides the owner may read it.
            #[serde(default)]
            access: Access,
            /// For access "shared", and with no other: subjects of the same tenant.
            #[serde(default)]
            #[schema(value_type = Vec<String>)]
            shared_with: Vec<Subject>,
            /// When the value ceases to be, with its history.
            #[serde(default)]
            #[schema(value_type = Option<String>, format = DateTime)]
            expires_at: Option<Timestamp>,
            /// Until when neither delete nor overwrite is allowed.
            #[serde(default)]
            #[schema(value_type = Option<String>, format = DateTime)]
            retain_until: Option<Timestamp>,
            /// A JSON object of your own, at most 16 KiB, never sealed.
            #[serde(default)]
            #[schema(value_type = Option<serde_json::Value>)]
            metadata: Option<Value>,
            /// Compare and set: the version that must be current, 0 for "must not exist".
            #[serde(default)]
            expected_version: Option<i64>,
        }

        impl $Name {
            fn with(self, chain: Chain, key: String) -> Put {
                Put {
                    chain,
                    key,
                    value: self.value,
                    encrypted: self.encrypted,
                    access: self.access,
                    shared_with: self.shared_with,
                    expires_at: self.expires_at,
                    retain_until: self.retain_until,
                    metadata: self.metadata,
                    expected_version: self.expected_version,
                }
            }
        }
    };
}

put_body! {
    /// A value to store, with its key.
    StoreBody {
        /// 1 to 256 of `a-z A-Z 0-9 : _ -`.
        key: String,
    }
}

put_body! {
    /// A value to store under the key of the path.
    PutBody {}
}

impl StoreBody {
    pub(super) fn put(mut self, chain: Chain) -> Put {
        let key = std::mem::take(&mut self.key);
        self.with(chain, key)
    }
}

impl PutBody {
    pub(super) fn put(self, chain: Chain, key: String) -> Put {
        self.with(chain, key)
    }
}

/// What to change around a value; absent fields stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AmendBody {
    #[serde(default)]
    access: Option<Access>,
    /// In place of those named before; goes with access "shared" in the same request.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    shared_with: Option<Vec<Subject>>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    retain_until: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    metadata: Option<Value>,
    #[serde(default)]
    expected_version: Option<i64>,
}

impl AmendBody {
    pub(super) fn amend(self, chain: Chain, key: String) -> Amend {
        let Self { access, shared_with, expires_at, retain_until, metadata, expected_version } = self;
        Amend { chain, key, access, shared_with, expires_at, retain_until, metadata, expected_version }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchBody {
    /// 1 to 100 items, stored all or none.
    pub(super) items: Vec<StoreBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchGetBody {
    /// At most 100.
    pub(super) keys: Vec<String>,
    /// The owner of all of them; the caller when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) owner: Option<Subject>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Whose value; the caller's own when absent.
    #[param(value_type = Option<String>)]
    pub(super) owner: Option<Subject>,
    /// A past version instead of the current one; for the owner only.
    pub(super) version: Option<i64>,
    /// Pass the caches by.
    #[serde(default)]
    pub(super) fresh: bool,
    /// How many milliseconds behind the answer may be: allows a replica to give it.
    pub(super) max_stale_ms: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// Whose values; the caller's own when absent.
    #[param(value_type = Option<String>)]
    pub(super) owner: Option<Subject>,
    /// What the keys start with.
    #[serde(default)]
    pub(super) prefix: String,
    /// 1 to 1,000; 100 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub(super) limit: Option<Limit<1_000>>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
    /// How many milliseconds behind the answer may be: allows a replica to give it.
    pub(super) max_stale_ms: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// 1 to 1,000; 100 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    pub(super) limit: Option<Limit<1_000>>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
}

/// Requests of persons come in shorter pages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShortPaging {
    /// 1 to 100; 100 when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub(super) limit: Option<Limit<100>>,
    /// `next` of the page before.
    pub(super) after: Option<String>,
}

/// A value and what is known of it. Written by hand for speed (see `render`), so only its form is here.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemReply {
    key: String,
    #[schema(value_type = serde_json::Value)]
    value: Value,
    version: i64,
    chain: Chain,
    owner: String,
    encrypted: bool,
    access: Access,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_with: Option<Vec<String>>,
    size_bytes: i64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    retain_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    metadata: Option<Value>,
    accessed_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_accessed: Option<String>,
}

/// The values that were found, in the order asked for, and the keys that were not.
#[derive(Serialize, ToSchema)]
pub(super) struct ItemsReply {
    items: Vec<ItemReply>,
    missing: Vec<String>,
}
