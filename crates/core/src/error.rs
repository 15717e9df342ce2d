use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The closed list of outcomes that a caller may branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    Exhausted,
    Timeout,
    Unavailable,
    Internal,
}

impl Code {
    /// The one table to HTTP; a slug may only narrow it (see the catalogue of the edge).
    pub fn http(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Exhausted => 429,
            Self::Timeout => 504,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

/// The one error that crosses a service boundary. `source` stays in the process where it arose: it
/// is logged there, once, and never sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Error {
    pub code: Code,
    /// Stable and documented, `service.what`, for example `storage.key_too_long`.
    pub slug: std::borrow::Cow<'static, str>,
    /// Safe to show: lower case, no full stop, what was tried and on what.
    pub message: String,
    /// How long to wait before a further try makes sense, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Further facts for the caller: the offending field, the limit, the current version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Value>,
    #[serde(skip)]
    source: Option<anyhow::Error>,
}

impl Error {
    pub fn new(code: Code, slug: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            slug: slug.into(),
            message: message.into(),
            retry_after_ms: None,
            details: BTreeMap::new(),
            source: None,
        }
    }

    pub fn invalid(slug: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, slug, message)
    }

    /// A fault of ours; the message is fixed so that nothing inner can leak.
    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        Self::new(Code::Internal, "internal", "something went wrong on our side").because(source)
    }

    pub fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = Some(wait.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The private cause, for the one log line where the error is handled.
    pub fn cause(&self) -> Option<&anyhow::Error> {
        self.source.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
