use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use nsl_edge::{AuthSettings, CorsSettings, EdgeSettings, LimitSettings};
use nsl_engine::{
    Mistake,
    blobs::BlobsConfig,
    cache::{CacheConfig, CacheEngine},
    limits::{LimitsConfig, LimitsEngine},
    queue::QueueConfig,
    redis::RedisConfig,
    secrets::SecretsConfig,
};
use nsl_kit::{
    Check, Mistakes, Profile,
    settings::{
        HttpSettings, ListenerSettings, LogSettings, RedirectSettings, ShutdownSettings, TelemetrySettings, TlsMode,
    },
};
use serde::Deserialize;

use crate::chains::ChainSettings;

/// The names that a configuration may use for services, in the order in which they depend on each other.
pub(crate) const SERVICES: [&str; 5] = ["audit", "identity", "storage", "relay", "contracts"];

/// Settings that take effect while running; the others need a restart.
pub(crate) const RELOADABLE: &[&str] = &[
    "log.level",
    "limits.general_per_minute",
    "limits.keys_per_minute",
    "limits.anonymous_per_minute",
    "limits.auth_per_15_minutes",
    "cors",
    "quota",
    "relay.paused",
    "storage",
];

/// All settings of a process, section by section; see config/default.toml.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) services: Vec<String>,
    pub(crate) audit: nsl_audit::Config,
    pub(crate) auth: AuthSettings,
    pub(crate) blobs: BlobsConfig,
    pub(crate) cache: CacheConfig,
    pub(crate) chain: ChainSettings,
    pub(crate) cors: CorsSettings,
    pub(crate) edge: EdgeSettings,
    pub(crate) http: HttpSettings,
    pub(crate) identity: nsl_identity::Config,
    pub(crate) internal: ListenerSettings,
    pub(crate) limits: Limits,
    pub(crate) log: LogSettings,
    pub(crate) ops: ListenerSettings,
    pub(crate) peers: BTreeMap<String, Vec<String>>,
    pub(crate) public: ListenerSettings,
    pub(crate) queue: QueueConfig,
    pub(crate) quota: nsl_storage::Quota,
    pub(crate) redirect: RedirectSettings,
    pub(crate) relay: nsl_relay::Config,
    pub(crate) redis: RedisConfig,
    pub(crate) rpc: Rpc,
    pub(crate) secrets: SecretsConfig,
    pub(crate) shutdown: ShutdownSettings,
    pub(crate) sql: nsl_sql::Config,
    pub(crate) storage: nsl_storage::Config,
    pub(crate) telemetry: TelemetrySettings,
}

/// `[limits]`: how much, and where it is counted.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Limits {
    #[serde(flatten)]
    pub(crate) rates: LimitSettings,
    #[serde(flatten)]
    pub(crate) engine: LimitsConfig,
}

/// `[rpc]`
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Rpc {
    pub(crate) ca: String,
    #[serde(flatten)]
    pub(crate) channel: nsl_rpc::Settings,
}

impl Settings {
    pub(crate) fn edge(&self) -> nsl_edge::Settings {
        nsl_edge::Settings {
            edge: self.edge.clone(),
            limits: self.limits.rates.clone(),
            cors: self.cors.clone(),
            auth: self.auth.clone(),
        }
    }

    /// The services to run here: those that were named, or all.
    pub(crate) fn selected(&self) -> Vec<String> {
        match self.services.is_empty() {
            true => SERVICES.map(str::to_owned).to_vec(),
            false => self.services.clone(),
        }
    }

    pub(crate) fn peers_verify_certificates(&self) -> bool {
        self.internal.tls.mode == TlsMode::Files && self.internal.tls.client_ca.is_some()
    }

    pub(crate) fn needs_redis(&self) -> bool {
        self.cache.engine == CacheEngine::Redis || self.limits.engine.engine == LimitsEngine::Redis
    }
}

impl Check for Settings {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        mistakes.within("audit", |mistakes| self.audit.check(profile, mistakes));
        mistakes.within("http", |mistakes| self.http.check(profile, mistakes));
        mistakes.within("identity", |mistakes| self.identity.check(profile, mistakes));
        mistakes.within("log", |mistakes| self.log.check(profile, mistakes));
        mistakes.within("quota", |mistakes| self.quota.check(profile, mistakes));
        mistakes.within("storage", |mistakes| self.storage.check(profile, mistakes));
        mistakes.within("relay", |mistakes| self.relay.check(profile, mistakes));
        mistakes.within("shutdown", |mistakes| self.shutdown.check(profile, mistakes));
        mistakes.within("telemetry", |mistakes| self.telemetry.check(profile, mistakes));
        mistakes.within("internal", |mistakes| self.internal.check(profile, mistakes));
        mistakes.within("ops", |mistakes| self.ops.check(profile, mistakes));
        mistakes.within("public", |mistakes| {
            self.public.check(profile, mistakes);
            self.public.check_exposed(profile, mistakes);
        });
        self.edge().check(profile, mistakes);
        self.check_engines(mistakes);
        self.check_services(profile, mistakes);
        self.check_chains(profile, mistakes);
    }
}

/// The same settings for a command that works on the engines at hand and listens nowhere: of listeners, peers and
/// the edge it asks nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct AtHand(pub(crate) Settings);

impl Check for AtHand {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        mistakes.within("identity", |mistakes| self.0.identity.check(profile, mistakes));
        self.0.check_engines(mistakes);
    }
}

impl Settings {
    fn check_engines(&self, mistakes: &mut Mistakes) {
        let engines = [
            self.blobs.check(),
            self.cache.check(),
            self.limits.engine.check(),
            self.queue.check(),
            self.secrets.check(),
            if self.redis.url.is_empty() { Vec::new() } else { self.redis.check() },
        ];
        for Mistake { key, why } in engines.into_iter().flatten() {
            mistakes.add(key, why);
        }
        for wrong in self.sql.check().into_iter().chain(self.chain.check()) {
            // A sentence there begins with the setting that it is about.
            let about = |path: &str| path.starts_with("sql.") || path.starts_with("chain.");
            let (path, why) = wrong.split_once(' ').filter(|(path, _)| about(path)).unwrap_or(("", &wrong));
            mistakes.add(path.trim_end_matches(':'), why);
        }
        if self.needs_redis() && self.redis.url.is_empty() {
            mistakes.add("redis.url", "must be set: cache.engine or limits.engine is \"redis\"");
        }
    }

    fn check_services(&self, profile: Profile, mistakes: &mut Mistakes) {
        let known = |name: &str| SERVICES.contains(&name);
        let all = SERVICES.join(", ");
        for name in self.services.iter().filter(|name| !known(name)) {
            mistakes.add("services", format!("there is no service {name:?}: there are {all}"));
        }
        for (name, addresses) in &self.peers {
            let path = format!("peers.{name}");
            if !known(name) {
                mistakes.add(&path, format!("there is no service {name:?}: there are {all}"));
            }
            for address in addresses {
                let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
                if !rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', ' '])) {
                    mistakes.add(&path, "each address is http://host:port or https://host:port");
                } else if address.starts_with("https://") && self.rpc.ca.is_empty() {
                    mistakes.add(&path, "an https:// peer needs rpc.ca");
                } else if profile.is_production()
                    && self.internal.tls.mode != TlsMode::Upstream
                    && address.strip_prefix("http://").is_some_and(|rest| !is_loopback(rest))
                {
                    let say = "production refuses http:// to another machine: use https://, or set internal.tls.mode = \"upstream\" if something beside the processes encrypts what goes between them";
                    mistakes.add(&path, say);
                }
            }
        }
    }
}

impl Settings {
    // Who can change what a node says on its way can make money go wrong.
    fn check_chains(&self, profile: Profile, mistakes: &mut Mistakes) {
        if !profile.is_production() || self.internal.tls.mode == TlsMode::Upstream {
            return;
        }
        for (path, pool) in
            [("chain.neo_n3.endpoints", &self.chain.neo_n3.pool), ("chain.neo_x.endpoints", &self.chain.neo_x.pool)]
        {
            let urls = pool.endpoints.iter().filter_map(|url| url.expose_str());
            if urls.filter_map(|url| url.strip_prefix("http://")).any(|rest| !is_loopback(rest)) {
                let say = "production refuses http:// to a node on another machine: use https://, or set internal.tls.mode = \"upstream\" if something beside the process encrypts what goes between them";
                mistakes.add(path, say);
            }
        }
    }
}

// Whether what follows the scheme of a URL stays on this machine.
fn is_loopback(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => {
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for here in ["127.0.0.1:9090", "127.0.0.1", "[::1]:9090", "localhost:9090/x", "localhost"] {
            assert!(is_loopback(here), "{here}");
        }
        for there in ["10.0.0.7:9090", "storage:9090", "127.0.0.1.example:9090", "[fd00::1]:9090", "localhost.x", ""] {
            assert!(!is_loopback(there), "{there}");
        }
    }
}
