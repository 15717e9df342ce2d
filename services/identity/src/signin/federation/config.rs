use std::collections::BTreeMap;

use nsl_core::Secret;
use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;

use super::rules;

/// Section `[identity.federation]`: each entry but the settings themselves is a provider of the platform's.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Config {
    /// Lets providers be at addresses that only this network reaches, and at `http://` ones.
    pub private_addresses: bool,
    #[serde(flatten)]
    pub providers: BTreeMap<String, Operated>,
}

/// A provider that operators set.
#[derive(Clone, Debug, Deserialize)]
pub struct Operated {
    /// What the sign-in page shows; the name when empty.
    pub title: String,
    pub issuer: String,
    pub client_id: String,
    /// Empty for a public client.
    pub client_secret: Secret,
    /// Beside `openid`.
    pub scopes: Vec<String>,
    /// Which claim is the email address.
    pub email_claim: String,
    /// Which claim is the name.
    pub name_claim: String,
    pub redirect_uris: Vec<String>,
    /// Whether who comes for the first time gets an account.
    pub sign_up: bool,
    /// The tenant that such accounts are members of; one of their own each when empty.
    pub tenant: String,
    /// The roles that they have in it.
    pub default_roles: Vec<String>,
}

impl Check for Config {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        for (name, provider) in &self.providers {
            mistakes.within(name, |mistakes| provider.check_as(name, self.private_addresses, mistakes));
        }
    }
}

impl Operated {
    fn check_as(&self, name: &str, private: bool, mistakes: &mut Mistakes) {
        if let Err(error) = rules::check_name(name) {
            mistakes.add("", error.message);
        }
        if let Err(error) = rules::check_issuer(&self.issuer, private) {
            mistakes.add("issuer", error.message);
        }
        if self.client_id.is_empty() {
            mistakes.add("client_id", "is what the provider calls this server: it must be set");
        }
        if let Err(error) = rules::check_scopes(&self.scopes) {
            mistakes.add("scopes", error.message);
        }
        if self.redirect_uris.iter().any(|uri| rules::check_redirect(uri, private).is_err()) {
            mistakes.add("redirect_uris", "are https:// addresses without a fragment");
        }
        if !self.tenant.is_empty() && nsl_core::TenantId::parse(&self.tenant).is_err() {
            mistakes.add("tenant", "is the id of a tenant");
        }
    }
}
