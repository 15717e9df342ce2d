use std::collections::BTreeMap;

use neo::Hash256;
use serde::{Deserialize, Serialize};

use super::{Contained, text::or_default};

/// All that contracts told in a block, of scripts that did not fail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockNotifications {
    /// Before its transactions.
    #[serde(rename = "onpersist", default, deserialize_with = "or_default")]
    pub on_persist: Vec<Contained>,
    /// In its transactions.
    #[serde(default, deserialize_with = "or_default")]
    pub application: Vec<Contained>,
    /// After its transactions.
    #[serde(rename = "postpersist", default, deserialize_with = "or_default")]
    pub post_persist: Vec<Contained>,
}

/// The notary requests that wait: each main transaction with its fallbacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawNotaryPool {
    /// Main transactions, each with its fallbacks.
    #[serde(default, deserialize_with = "by_text")]
    pub hashes: BTreeMap<Hash256, Vec<Hash256>>,
}

fn by_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Hash256, Vec<Hash256>>, D::Error> {
    let shown = Option::<BTreeMap<String, Vec<Hash256>>>::deserialize(deserializer)?.unwrap_or_default();
    let read = |(main, fallbacks): (String, _)| Ok((main.parse().map_err(serde::de::Error::custom)?, fallbacks));
    shown.into_iter().map(read).collect()
}
