//! The settings of the edge: sections `[edge]`, `[limits]`, `[cors]` and `[auth]`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use nsl_core::{Principal, PrincipalKind, Subject, TenantId};
use nsl_kit::{
    Check, Mistakes, Profile,
    config::{millis, seconds},
};
use serde::Deserialize;

use crate::auth::Known;

/// All that the edge is told; the fields are the sections.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    pub edge: EdgeSettings,
    pub limits: LimitSettings,
    pub cors: CorsSettings,
    pub auth: AuthSettings,
}

impl Check for Settings {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        mistakes.within("edge", |mistakes| self.edge.check(profile, mistakes));
        mistakes.within("limits", |mistakes| self.limits.check(profile, mistakes));
        mistakes.within("cors", |mistakes| self.cors.check(profile, mistakes));
        mistakes.within("auth", |mistakes| self.auth.check(profile, mistakes));
    }
}

/// `[edge]`
#[derive(Clone, Debug, Deserialize)]
pub struct EdgeSettings {
    pub in_flight: usize,
    pub waiting: usize,
    #[serde(rename = "wait_ms", deserialize_with = "millis")]
    pub wait: Duration,
    #[serde(rename = "timeout_ms", deserialize_with = "millis")]
    pub timeout: Duration,
    pub body_bytes: usize,
    pub body_memory_bytes: usize,
    pub url_bytes: usize,
    pub compress_bytes: u64,
}

impl Check for EdgeSettings {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        for (name, low) in [
            ("in_flight", self.in_flight == 0),
            ("body_bytes", self.body_bytes == 0),
            ("compress_bytes", self.compress_bytes == 0),
        ] {
            if low {
                mistakes.add(name, "is at least 1");
            }
        }
        if self.timeout < Duration::from_millis(100) {
            mistakes.add("timeout_ms", "is at least 100");
        }
        if self.url_bytes < 512 {
            mistakes.add("url_bytes", "is at least 512");
        }
        if self.body_memory_bytes < self.body_bytes {
            mistakes.add("body_memory_bytes", "is at least body_bytes: else the largest body never has room");
        }
    }
}

/// `[limits]`, as far as it says how much is allowed; where it is counted is the engine's to read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LimitSettings {
    pub general_per_minute: u32,
    pub keys_per_minute: u32,
    pub anonymous_per_minute: u32,
    pub auth_per_15_minutes: u32,
}

impl Check for LimitSettings {
    fn check(&self, _: Profile, mistakes: &mut Mistakes) {
        for (name, count) in [
            ("general_per_minute", self.general_per_minute),
            ("keys_per_minute", self.keys_per_minute),
            ("anonymous_per_minute", self.anonymous_per_minute),
            ("auth_per_15_minutes", self.auth_per_15_minutes),
        ] {
            if count == 0 {
                mistakes.add(name, "is at least 1");
            }
        }
    }
}

/// `[cors]`
#[derive(Clone, Debug, Deserialize)]
pub struct CorsSettings {
    pub allowed_origins: Vec<String>,
    #[serde(rename = "max_age_s", deserialize_with = "seconds")]
    pub max_age: Duration,
}

impl Check for CorsSettings {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        for origin in &self.allowed_origins {
            if origin == "*" {
                if profile.is_production() {
                    mistakes.add("allowed_origins", "production refuses \"*\": name each origin");
                }
                continue;
            }
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let bare = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*', ' ', ',']);
            if !host.is_some_and(bare) || origin.chars().any(|c| c.is_ascii_uppercase() || !c.is_ascii_graphic()) {
                mistakes.add("allowed_origins", format!("{origin:?} is no origin such as https://app.example"));
            }
        }
    }
}

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
pub struct AuthSettings {
    #[serde(rename = "remember_ms", deserialize_with = "millis")]
    pub remember: Duration,
    pub certificates: Vec<String>,
    pub jwt: JwtSettings,
}

impl AuthSettings {
    /// The names of client certificates with what they stand for, from `NAME TENANT SUBJECT SCOPE...` texts.
    pub(crate) fn certificate_names(&self) -> Result<HashMap<String, Arc<Known>>, String> {
        let mut names = HashMap::new();
        for line in &self.certificates {
            let words: Vec<_> = line.split_whitespace().collect();
            let [name, tenant, subject, scopes @ ..] = words.as_slice() else {
                return Err(format!("{line:?} is not NAME TENANT SUBJECT SCOPE..."));
            };
            let tenant = TenantId::parse(tenant).map_err(|error| format!("{tenant:?}: {error}"))?;
            let subject = Subject::parse(subject).map_err(|error| format!("{subject:?}: {error}"))?;
            if tenant.is_reserved() || subject.is_reserved() {
                return Err(format!("{line:?} names a tenant or subject that is the platform's own"));
            }
            let principal = Principal {
                kind: PrincipalKind::Certificate,
                subject,
                credential: (*name).into(),
                scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
                expires_at: None,
                session: None,
                second_factor_at: None,
                actor: None,
                whole: false,
            };
            if names.insert((*name).to_owned(), Arc::new(Known::new(tenant, principal, None))).is_some() {
                return Err(format!("{name:?} is named twice"));
            }
        }
        Ok(names)
    }
}

impl Check for AuthSettings {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        if self.remember > Duration::from_secs(5) {
            mistakes.add("remember_ms", "is at most 5000: a revoked key must stop working within 5 s");
        }
        if let Err(message) = self.certificate_names() {
            mistakes.add("certificates", message);
        }
        mistakes.within("jwt", |mistakes| self.jwt.check(profile, mistakes));
    }
}

/// `[auth.jwt]`
#[derive(Clone, Debug, Deserialize)]
pub struct JwtSettings {
    pub jwks: String,
    pub issuer: String,
    pub audience: String,
    pub tenant_claim: String,
    pub scope_claim: String,
    #[serde(rename = "max_age_s", deserialize_with = "seconds")]
    pub max_age: Duration,
    #[serde(rename = "stale_s", deserialize_with = "seconds")]
    pub stale: Duration,
}

impl Check for JwtSettings {
    fn check(&self, profile: Profile, mistakes: &mut Mistakes) {
        if self.jwks.is_empty() {
            return;
        }
        if profile.is_production() && self.jwks.starts_with("http://") {
            mistakes.add("jwks", "production refuses token keys over plain http");
        }
        for (name, text) in [
            ("issuer", &self.issuer),
            ("audience", &self.audience),
            ("tenant_claim", &self.tenant_claim),
            ("scope_claim", &self.scope_claim),
        ] {
            if text.is_empty() {
                mistakes.add(name, "must be set when jwks is");
            }
        }
        if self.max_age < Duration::from_secs(30) {
            mistakes.add("max_age_s", "is at least 30");
        }
        if self.stale < self.max_age {
            mistakes.add("stale_s", "is at least max_age_s");
        }
    }
}

#[cfg(test)]
mod tests {
    use nsl_kit::Loader;

    use super::*;

    fn mistakes(profile: &str, flags: &[&str]) -> Vec<String> {
        let flags = flags.iter().copied().map(str::to_owned).chain([format!("profile={profile}")]);
        match Loader::default().flags(flags).load::<Settings>() {
            Ok(_) => Vec::new(),
            Err(mistakes) => mistakes.iter().map(|mistake| mistake.path.clone()).collect(),
        }
    }

    #[test]
    fn the_defaults_fit_both_profiles() {
        assert_eq!(mistakes("development", &[]), [""; 0]);
        assert_eq!(mistakes("production", &[]), [""; 0]);
    }

    #[test]
    fn production_names_each_origin() {
        assert_eq!(mistakes("development", &["cors.allowed_origins=*"]), [""; 0]);
        assert_eq!(mistakes("production", &["cors.allowed_origins=*"]), ["cors.allowed_origins"]);
        for bad in ["app.example", "https://a.example/", "https://*.example", "https://A.example", "ftp://a"] {
            assert_eq!(
                mistakes("development", &[&format!("cors.allowed_origins={bad}")]),
                ["cors.allowed_origins"],
                "{bad}"
            );
        }
        assert_eq!(mistakes("production", &["cors.allowed_origins=https://a.example,http://localhost:3000"]), [""; 0]);
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let found = mistakes(
            "production",
            &[
                "edge.in_flight=0",
                "limits.keys_per_minute=0",
                "auth.remember_ms=6000",
                "auth.certificates=spiffe://x ten_1",
                "auth.jwt.jwks=http://issuer.example/jwks",
            ],
        );
        for path in [
            "edge.in_flight",
            "limits.keys_per_minute",
            "auth.remember_ms",
            "auth.certificates",
            "auth.jwt.jwks",
            "auth.jwt.issuer",
            "auth.jwt.audience",
        ] {
            assert!(found.iter().any(|known| known == path), "{path} in {found:?}");
        }
    }

    #[test]
    fn a_certificate_name_stands_for_a_principal() {
        let line = "spiffe://neo/ci ten_1 ci-bot storage:read storage:write".to_owned();
        let jwt = JwtSettings {
            jwks: String::new(),
            issuer: String::new(),
            audience: String::new(),
            tenant_claim: "tenant".into(),
            scope_claim: "scope".into(),
            max_age: Duration::from_secs(600),
            stale: Duration::from_secs(3600),
        };
        let mut settings = AuthSettings { remember: Duration::from_secs(5), certificates: vec![line], jwt };
        let names = settings.certificate_names().unwrap();
        let known = &names["spiffe://neo/ci"];
        assert_eq!((known.tenant.as_str(), known.principal.scopes.len()), ("ten_1", 2));
        for refused in ["spiffe://neo/ci ten_2 other", "spiffe://neo/x platform x", "spiffe://neo/x ten_1 system"] {
            settings.certificates.push(refused.into());
            assert!(settings.certificate_names().is_err(), "{refused}");
            settings.certificates.pop();
        }
        assert!(settings.certificate_names().is_ok());
    }
}
