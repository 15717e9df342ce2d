//! The sections of the configuration that belong to this crate.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::Deserialize;
use tracing::level_filters::LevelFilter;

use crate::{
    config::{Check, Mistakes, Profile, blank, millis},
    serve::Network,
};

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
pub struct LogSettings {
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Json,
    Text,
}

impl Check for LogSettings {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        match crate::telemetry::parse_level(&self.level) {
            Err(message) => mistakes.add("level", message),
            Ok(targets) if profile.is_production() && targets.would_enable("library", &tracing::Level::DEBUG) => {
                let say = "production refuses debug logs of everything, since libraries log what requests carry: \
                    name our own, such as \"info,nsl_storage=debug\"";
                mistakes.add("level", say);
            }
            Ok(targets) => {
                let verbose = |(target, level): (&str, LevelFilter)| {
                    (!target.starts_with("nsl") && level >= LevelFilter::DEBUG).then(|| target.to_owned())
                };
                for target in targets.iter().filter_map(verbose).filter(|_| profile.is_production()) {
                    let say = format!("production refuses debug logs of {target}, which may show what requests carry");
                    mistakes.add("level", say);
                }
            }
        }
    }
}

/// `[telemetry]`
#[derive(Clone, Debug, Deserialize)]
pub struct TelemetrySettings {
    pub service_name: String,
    #[serde(deserialize_with = "blank")]
    pub otlp_endpoint: Option<String>,
    pub sample_ratio: f64,
}

impl Check for TelemetrySettings {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        if self.service_name.is_empty() {
            mistakes.add("service_name", "a process needs a name");
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            mistakes.add("sample_ratio", "lies between 0 and 1");
        }
        if let Some(endpoint) = &self.otlp_endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            mistakes.add("otlp_endpoint", "wants a URL that starts with http:// or https://");
        }
    }
}

/// `[public]`, `[internal]` and `[ops]`
#[derive(Clone, Debug, Deserialize)]
pub struct ListenerSettings {
    pub address: SocketAddr,
    /// Whether the metrics are shown here too; a setting of `[public]` only, read by whoever puts its routes together.
    #[serde(default)]
    pub metrics: bool,
    pub tls: TlsSettings,
}

impl Check for ListenerSettings {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        mistakes.within("tls", |mistakes| self.tls.check(profile, mistakes));
    }
}

impl ListenerSettings {
    /// What production asks of a listener that strangers reach, beside [`Check`].
    pub fn check_exposed(&self, profile: Profile, mistakes: &mut Mistakes) {
        if profile.is_production() && self.tls.mode == TlsMode::Off {
            let say = "production refuses a plain listener here: set \"files\", or \"upstream\" if something in front ends TLS";
            mistakes.add("tls.mode", say);
        }
    }
}

/// `[public.tls]` and its like
#[derive(Clone, Debug, Deserialize)]
pub struct TlsSettings {
    pub mode: TlsMode,
    #[serde(deserialize_with = "blank")]
    pub cert: Option<PathBuf>,
    #[serde(deserialize_with = "blank")]
    pub key: Option<PathBuf>,
    #[serde(deserialize_with = "blank")]
    pub client_ca: Option<PathBuf>,
    pub client_auth: ClientAuth,
    pub min_version: TlsVersion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    Off,
    Files,
    Upstream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    Required,
    Optional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

impl Check for TlsSettings {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        if self.mode != TlsMode::Files {
            return;
        }
        for (name, file) in [("cert", &self.cert), ("key", &self.key)] {
            if file.is_none() {
                mistakes.add(name, "mode \"files\" needs this PEM file");
            }
        }
        for (name, file) in [("cert", &self.cert), ("key", &self.key), ("client_ca", &self.client_ca)] {
            if let Some(path) = file
                && !path.is_file()
            {
                mistakes.add(name, format!("there is no file {}", path.display()));
            }
        }
    }
}

/// `[redirect]`
#[derive(Clone, Debug, Deserialize)]
pub struct RedirectSettings {
    #[serde(deserialize_with = "blank")]
    pub address: Option<SocketAddr>,
    #[serde(deserialize_with = "blank")]
    pub host: Option<String>,
}

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
pub struct HttpSettings {
    #[serde(rename = "header_timeout_ms", deserialize_with = "millis")]
    pub header_timeout: Duration,
    #[serde(rename = "idle_timeout_ms", deserialize_with = "millis")]
    pub idle_timeout: Duration,
    #[serde(rename = "body_grace_ms", deserialize_with = "millis")]
    pub body_grace: Duration,
    pub body_min_bytes_per_second: u32,
    #[serde(rename = "write_stall_ms", deserialize_with = "millis")]
    pub write_stall: Duration,
    pub max_header_bytes: u32,
    pub max_headers: u16,
    pub max_connections: u32,
    pub max_connections_per_address: u32,
    pub exempt_loopback: bool,
    pub max_streams: u32,
    pub trusted_proxies: Vec<Network>,
}

impl Check for HttpSettings {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        for (name, span) in [
            ("header_timeout_ms", self.header_timeout),
            ("idle_timeout_ms", self.idle_timeout),
            ("body_grace_ms", self.body_grace),
            ("write_stall_ms", self.write_stall),
        ] {
            if span < Duration::from_millis(50) {
                mistakes.add(name, "is at least 50");
            }
        }
        if self.max_header_bytes < 8192 {
            mistakes.add("max_header_bytes", "is at least 8192");
        }
        for (name, zero) in [
            ("body_min_bytes_per_second", self.body_min_bytes_per_second == 0),
            ("max_headers", self.max_headers == 0),
            ("max_connections", self.max_connections == 0),
            ("max_connections_per_address", self.max_connections_per_address == 0),
            ("max_streams", self.max_streams == 0),
        ] {
            if zero {
                mistakes.add(name, "is at least 1");
            }
        }
    }
}

/// `[shutdown]`
#[derive(Clone, Debug, Deserialize)]
pub struct ShutdownSettings {
    #[serde(rename = "notice_ms", deserialize_with = "millis")]
    pub notice: Duration,
    #[serde(rename = "drain_ms", deserialize_with = "millis")]
    pub drain: Duration,
}

impl Check for ShutdownSettings {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        if self.notice + self.drain > Duration::from_millis(9_500) {
            mistakes.add("drain_ms", "together with notice_ms is at most 9500: a stopped process ends within 10 s");
        }
    }
}
