//! Readers of common shapes, for `#[serde(deserialize_with = "...")]`.

use std::time::Duration;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IntoDeserializer, value},
};

/// A whole number of milliseconds.
pub fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// A whole number of seconds.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

/// Text that may be left empty, which means that nothing is set.
pub fn blank<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let inner: value::StringDeserializer<value::Error> = text.into_deserializer();
    T::deserialize(inner).map(Some).map_err(D::Error::custom)
}
