use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;
use url::Url;

use super::rules::Origin;

/// Section `[identity.wallet]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Pages that may ask for messages to sign, beside `identity.public_url`: each as `https://host[:port]`.
    pub origins: Vec<String>,
    /// Chain ids of Neo X that accounts may sign for. The first is the usual one; none takes no wallet of Neo X.
    pub neo_x_chain_ids: Vec<u64>,
    /// Magics of Neo N3 that accounts may sign for. The first is the usual one; none takes no wallet of Neo N3.
    pub neo_n3_networks: Vec<u32>,
    /// Whether pages on this machine may ask while no address was told. Decided by the profile: what everybody's
    /// browser calls localhost is nobody's own in production.
    #[serde(skip)]
    pub takes_local: bool,
}

impl Config {
    /// Decides what was left to the profile.
    pub(crate) fn settle(&mut self, profile: Profile) {
        self.takes_local = !profile.is_production();
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            neo_x_chain_ids: vec![47_763, 12_227_332],
            neo_n3_networks: vec![860_833_102, 894_710_606],
            takes_local: false,
        }
    }
}

impl Check for Config {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        for text in &self.origins {
            let bare = |url: &Url| url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            match Url::parse(text) {
                Ok(url) if bare(&url) && Origin::read(text).is_some() => {
                    if profile.is_production() && url.scheme() != "https" {
                        mistakes.add("origins", format!("{text} is not https://"));
                    }
                }
                _ => mistakes.add("origins", format!("{text} is not https://host or https://host:port")),
            }
        }
        if self.neo_x_chain_ids.iter().any(|id| i64::try_from(*id).is_err()) {
            mistakes.add("neo_x_chain_ids", "a chain id has at most 63 bits");
        }
    }
}
