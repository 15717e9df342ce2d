use std::time::Duration;

use nsl_kit::{Check, Mistakes, Profile};
use serde::Deserialize;
use url::Url;

use crate::signin::{self, federation, passkey, wallet};
use crate::{keys, people, tokens};

/// Section `[identity]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// How often "last used" is written, for all keys used since.
    #[serde(rename = "last_used_ms", deserialize_with = "nsl_kit::config::millis")]
    pub last_used: Duration,
    /// Most keys of a tenant that are neither revoked nor expired.
    pub keys_per_tenant: u32,
    /// Where browsers find this server, as `https://host[:port]`: what passkeys, identity providers and tokens are
    /// bound to. Empty: this machine alone, at `http://localhost` with any port.
    pub public_url: String,
    pub passkey: passkey::Config,
    pub federation: federation::Config,
    pub keys: keys::Config,
    pub tokens: tokens::Config,
    pub signin: signin::Config,
    pub wallet: wallet::Config,
    pub people: people::Config,
}

/// Where browsers find a server that was told no address of its own.
const LOCALHOST: &str = "http://localhost";
/// Where it listens unless it was told otherwise.
const LOOPBACK: &str = "http://127.0.0.1:8080";

impl Config {
    /// Decides what was left to the profile.
    pub fn settle(&mut self, profile: Profile) {
        self.signin.settle(profile);
        self.wallet.settle(profile);
    }

    /// The origin of `public_url`, without a slash at its end.
    pub(crate) fn origin(&self) -> &str {
        if self.public_url.is_empty() { LOCALHOST } else { self.public_url.trim_end_matches('/') }
    }

    /// What tokens name as who made them. The same in all processes, though each may listen elsewhere.
    pub(crate) fn issuer(&self) -> &str {
        match (self.tokens.issuer.as_str(), self.is_local()) {
            ("", true) => LOOPBACK,
            ("", false) => self.origin(),
            (issuer, _) => issuer,
        }
    }

    /// Whether no address was told, so that only browsers on this machine are served and their port is not known.
    pub(crate) fn is_local(&self) -> bool {
        self.public_url.is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            last_used: Duration::from_secs(30),
            keys_per_tenant: 1_000,
            public_url: String::new(),
            passkey: passkey::Config::default(),
            federation: federation::Config::default(),
            keys: keys::Config::default(),
            tokens: tokens::Config::default(),
            signin: signin::Config::default(),
            wallet: wallet::Config::default(),
            people: people::Config::default(),
        }
    }
}

impl Check for Config {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&self.last_used) {
            mistakes.add("last_used_ms", "lies between 100 and 60000: \"last used\" is at most a minute behind");
        }
        if self.keys_per_tenant == 0 {
            mistakes.add("keys_per_tenant", "is at least 1");
        }
        self.check_public_url(profile, mistakes);
        mistakes.within("people", |mistakes| self.people.check(profile, mistakes));
        mistakes.within("signin", |mistakes| self.signin.check(profile, mistakes));
        mistakes.within("wallet", |mistakes| self.wallet.check(profile, mistakes));
        mistakes.within("passkey", |mistakes| self.passkey.check(profile, mistakes));
        mistakes.within("tokens", |mistakes| self.tokens.check(profile, mistakes));
        mistakes.within("federation", |mistakes| self.federation.check(profile, mistakes));
        mistakes.within("keys", |mistakes| self.keys.check(profile, mistakes));
    }
}

impl Config {
    fn check_public_url(&self, profile: Profile, mistakes: &mut Mistakes) {
        if self.is_local() {
            return;
        }
        let Ok(url) = Url::parse(&self.public_url) else {
            mistakes.add("public_url", "is https://host or https://host:port");
            return;
        };
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !bare || url.host_str().is_none() {
            mistakes.add("public_url", "is https://host or https://host:port, with nothing behind it");
        }
        if profile.is_production() && url.scheme() != "https" {
            mistakes.add("public_url", "is https:// in production: browsers keep passkeys from anything else");
        }
    }
}
