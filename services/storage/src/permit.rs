//! What policies of a tenant may know of a key: its owner, its chain, and its tags.
//!
//! The tags of a value are the texts, numbers and truth values at the first level of its metadata. A write is asked for
//! with the tags that are there and again with those that are to be: nobody gets past a tag by overwriting it.

use nsl_api::storage::{Chain, Value};
use nsl_core::{Cx, Facts, Result, Subject};

use crate::{
    service::{READ, Service, WRITE},
    store::Place,
    writes::Deed,
};

pub(crate) fn tags(metadata: Option<&Value>) -> Vec<(String, String)> {
    let Some(metadata) = metadata else { return Vec::new() };
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(metadata.as_bytes()) else { return Vec::new() };
    let text = |value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    members.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
}

/// Refuses before anything is looked up, where nothing that is found can change it.
pub(crate) fn early(cx: &Cx, permission: &'static str) -> Result<()> {
    if cx.rules.is_none() { cx.permit(permission) } else { Ok(()) }
}

/// Asks for one key, with what lies there if something does.
pub(crate) fn item(
    cx: &Cx,
    permission: &'static str,
    owner: &Subject,
    chain: Chain,
    key: &str,
    metadata: Option<&Value>,
) -> Result<()> {
    // Who has no policies pays for none.
    let tags = if cx.rules.is_some() { tags(metadata) } else { Vec::new() };
    let (owner, chain) = (Some(owner.as_str()), Some(chain.as_str()));
    cx.permit_on(permission, &Facts { owner, chain, tags: &tags, ..Facts::of("item", key) })
}

pub(crate) fn read(cx: &Cx, place: Place<'_>, metadata: Option<&Value>) -> Result<()> {
    item(cx, READ, place.owner, place.chain, place.key, metadata)
}

impl Service {
    /// Asks for everything that is to be done.
    pub(crate) async fn permit(&self, cx: &Cx, deeds: &[Deed<'_>]) -> Result<()> {
        early(cx, WRITE)?;
        if cx.rules.is_none() {
            return Ok(());
        }
        let owner = &cx.principal.subject;
        for deed in deeds {
            let (chain, key) = deed.at();
            let place = Place { tenant: &cx.tenant, owner, chain, key };
            let found = self.store.find(place, None).await?;
            item(cx, WRITE, owner, chain, key, found.as_ref().and_then(|held| held.metadata.as_ref()))?;
            let made = match deed {
                Deed::Put(put) => put.metadata.as_ref(),
                Deed::Amend(amend) => amend.metadata.as_ref(),
                Deed::Delete(_) | Deed::Restore(_) => None,
            };
            if made.is_some() {
                item(cx, WRITE, owner, chain, key, made)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_what_is_plain_in_the_metadata() {
        let of = |text: &str| tags(Some(&Value::parse(text).unwrap()));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            of(r#"{"class":"secret","level":3,"on":true,"none":null,"deep":{"a":"b"},"list":["x"]}"#),
            [pair("class", "secret"), pair("level", "3"), pair("on", "true")]
        );
        assert!(of("[]").is_empty() && of("{}").is_empty() && tags(None).is_empty());
    }
}
