use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;
use url::Url;

/// Section `[identity.passkey]`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Config {
    /// The domain that passkeys are for; the host of `identity.public_url` when empty. A passkey made for one works
    /// for no other, so it stays as it is for ever.
    pub rp_id: String,
    /// Further places on that domain that may use its passkeys.
    pub origins: Vec<String>,
}

impl Check for Config {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        if self.rp_id.contains(['/', ':', ' ']) {
            mistakes.add("rp_id", "is a domain alone, as login.example.com");
        }
        for origin in &self.origins {
            match Url::parse(origin) {
                Ok(url) if url.path() == "/" && url.query().is_none() && url.domain().is_some() => {
                    if profile.is_production() && url.scheme() != "https" {
                        mistakes.add("origins", format!("{origin} is not https://"));
                    }
                }
                _ => mistakes.add("origins", format!("{origin} is not https://domain or https://domain:port")),
            }
        }
    }
}
