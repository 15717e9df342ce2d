use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::{Code, Error, Result},
    ids::{RequestId, Subject, TenantId},
    judge::{self, Facts, Question, Rules},
};

/// When the caller stops waiting.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    #[allow(clippy::disallowed_methods, reason = "deadlines are the one use of the monotonic clock here")]
    pub fn within(budget: Duration) -> Self {
        let now = Instant::now();
        Self(now.checked_add(budget).unwrap_or(now + Duration::from_secs(86_400)))
    }

    #[allow(clippy::disallowed_methods, reason = "deadlines are the one use of the monotonic clock here")]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub fn instant(self) -> Instant {
        self.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// Nobody said who they are.
    Anonymous,
    ApiKey,
    Token,
    /// Named by a client certificate.
    Certificate,
    /// A part of the platform itself: workers and start-up.
    System,
}

/// Who calls, and what their credential allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    pub kind: PrincipalKind,
    /// Whose data and whose deeds: the owner of what this principal stores.
    pub subject: Subject,
    /// Which credential was shown: `key_...`, or the `jti` of a token. Never the credential itself.
    pub credential: Arc<str>,
    /// `service:verb`, `service:*` or `*`.
    pub scopes: Arc<[String]>,
    /// When the credential ends, where it does: nothing that is made with it alone may outlast it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The sign-in session (`ses_...`) that the credential belongs to: a person is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<str>>,
    /// When the person of the session last showed a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor_at: Option<Timestamp>,
    /// Who really acts where the subject only lent its name (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Subject>,
    /// Whether the credential stands for all that the person of the session may do, and was narrowed by nobody:
    /// policies may give such a person more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
}

/// How old a second factor may be for what is sensitive.
pub const SECOND_FACTOR_AGE: Duration = Duration::from_secs(300);

/// Clocks of processes may differ by so much.
const LEEWAY: Duration = Duration::from_secs(30);

impl TenantId {
    /// Whether this names a part of the platform: no credential may stand for it.
    pub fn is_reserved(&self) -> bool {
        matches!(self.as_str(), "platform" | "anonymous" | "system")
    }
}

impl Subject {
    /// Whether this is what the platform calls itself, or people without a name: no credential may stand for it.
    pub fn is_reserved(&self) -> bool {
        matches!(self.as_str(), "platform" | "anonymous" | "system") || self.as_str().starts_with("stranger-")
    }
}

impl Principal {
    pub fn anonymous() -> Self {
        Self {
            kind: PrincipalKind::Anonymous,
            subject: Subject::parse("anonymous").expect("a fixed valid id"),
            credential: "".into(),
            scopes: Arc::new([]),
            expires_at: None,
            session: None,
            second_factor_at: None,
            actor: None,
            whole: false,
        }
    }

    pub fn system() -> Self {
        Self {
            kind: PrincipalKind::System,
            subject: Subject::parse("system").expect("a fixed valid id"),
            credential: "system".into(),
            scopes: Arc::new(["*".to_owned()]),
            expires_at: None,
            session: None,
            second_factor_at: None,
            actor: None,
            whole: false,
        }
    }

    /// Whether a scope allows it: `*`, the permission itself, or all of its service. What is asked for may itself be
    /// all of a service, or `*`, which is more than all of each: then single verbs, or services, are not enough.
    pub fn holds(&self, permission: &str) -> bool {
        let service = permission.split_once(':').map(|(service, _)| service);
        let allows = |scope: &str| {
            scope == "*" || scope == permission || (service.is_some() && scope.strip_suffix(":*") == service)
        };
        self.scopes.iter().any(|scope| allows(scope))
    }
}

/// Ties log lines, spans and audit entries of one request together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    pub request_id: RequestId,
    /// W3C trace context, as it goes to the next process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Arc<str>>,
    /// What the caller named its own operation (`X-Correlation-Id`), if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Arc<str>>,
}

/// Where a request came from. Personal data: it is stored sealed, and never logged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Source {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Arc<str>>,
}

/// An idempotency key and the fingerprint of the request that it came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    pub key: Arc<str>,
    pub fingerprint: Arc<str>,
}

/// Whether what a request with an idempotency key did was done before. Clones share what they are told.
#[derive(Clone, Debug, Default)]
pub struct Replay(Option<Arc<AtomicBool>>);

impl Replay {
    /// One that somebody asks in the end; the default keeps nothing.
    pub fn heeded() -> Self {
        Self(Some(Arc::default()))
    }

    /// Told with each outcome under the key; the last one counts.
    pub fn tell(&self, is_replay: bool) {
        if let Some(told) = &self.0 {
            told.store(is_replay, Ordering::Release);
        }
    }

    pub fn is_replay(&self) -> bool {
        self.0.as_ref().is_some_and(|told| told.load(Ordering::Acquire))
    }
}

/// What travels with every call: whose data, who asks, until when, and for which request.
#[derive(Clone, Debug)]
pub struct Cx {
    pub tenant: TenantId,
    pub principal: Principal,
    pub deadline: Deadline,
    pub trace: Trace,
    pub source: Source,
    pub once: Option<Once>,
    pub replay: Replay,
    /// The policies of the tenant, where it has some.
    pub rules: Option<Arc<Rules>>,
}

impl Cx {
    /// The platform acting for itself on one tenant's data.
    pub fn system(tenant: TenantId, budget: Duration) -> Self {
        Self {
            tenant,
            principal: Principal::system(),
            deadline: Deadline::within(budget),
            trace: Trace { request_id: RequestId::fresh(), traceparent: None, correlation_id: None },
            source: Source::default(),
            once: None,
            replay: Replay::default(),
            rules: None,
        }
    }

    /// Refuses unless roles or scopes allow it and no policy of the tenant forbids it. Default deny; the reason names
    /// what is missing.
    pub fn permit(&self, permission: &'static str) -> Result<()> {
        self.permit_on(permission, &Facts::default())
    }

    /// As [`Self::permit`], where it is known what the permission is asked for: policies may look at it.
    pub fn permit_on(&self, permission: &str, facts: &Facts<'_>) -> Result<()> {
        if self.principal.kind == PrincipalKind::Anonymous {
            return Err(Error::new(Code::Unauthenticated, "auth.missing", "this needs a credential"));
        }
        let granted = self.principal.holds(permission);
        match &self.rules {
            Some(rules) if self.principal.kind != PrincipalKind::System => {
                judge::decide(rules, Question { cx: self, permission, granted, facts })
            }
            _ if granted => Ok(()),
            _ => Err(judge::not_granted(permission)),
        }
    }

    /// As [`Self::permit`], for what is sensitive: the person of a session must be there and must have
    /// shown a second factor in the last five minutes. The platform itself passes.
    pub fn permit_sensitive(&self, permission: &'static str, now: Timestamp) -> Result<()> {
        self.permit(permission)?;
        self.second_factor(now)
    }

    /// Refuses unless the person of a session showed a second factor in the last five minutes.
    pub fn second_factor(&self, now: Timestamp) -> Result<()> {
        let principal = &self.principal;
        if principal.kind == PrincipalKind::System {
            return Ok(());
        }
        // One who acts for a person is not that person, whatever factor was shown before.
        if principal.kind != PrincipalKind::Token || principal.session.is_none() || principal.actor.is_some() {
            let message = "this needs a person who signed in, not a key, a certificate or a client";
            return Err(Error::new(Code::Forbidden, "auth.person_needed", message));
        }
        let is_fresh = |at: Timestamp| at <= now.plus(LEEWAY) && now.since(at) <= SECOND_FACTOR_AGE;
        if principal.second_factor_at.is_some_and(is_fresh) {
            return Ok(());
        }
        Err(Error::new(Code::Unauthenticated, "auth.step_up", "this needs a second factor shown in the last minutes")
            .detail("max_age", SECOND_FACTOR_AGE.as_secs())
            .detail("acr_values", "urn:nsl:mfa"))
    }

    pub fn to_wire(&self) -> WireCx {
        WireCx {
            tenant: self.tenant.clone(),
            principal: self.principal.clone(),
            budget_ms: self.deadline.remaining().as_millis().try_into().unwrap_or(u64::MAX),
            trace: self.trace.clone(),
            source: self.source.clone(),
            once: self.once.clone(),
            rules: self.rules.clone(),
        }
    }
}

/// A [`Cx`] between processes: the deadline goes as what remains of it, so that clocks need not agree.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireCx {
    tenant: TenantId,
    principal: Principal,
    budget_ms: u64,
    trace: Trace,
    #[serde(default)]
    source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    once: Option<Once>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<Arc<Rules>>,
}

impl From<WireCx> for Cx {
    fn from(wire: WireCx) -> Self {
        Self {
            tenant: wire.tenant,
            principal: wire.principal,
            deadline: Deadline::within(Duration::from_millis(wire.budget_ms)),
            trace: wire.trace,
            source: wire.source,
            replay: wire.once.as_ref().map(|_| Replay::heeded()).unwrap_or_default(),
            once: wire.once,
            rules: wire.rules,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_platform_calls_itself_is_reserved() {
        assert!(Principal::system().subject.is_reserved() && Principal::anonymous().subject.is_reserved());
        for name in ["platform", "system", "anonymous"] {
            assert!(TenantId::parse(name).unwrap().is_reserved(), "{name}");
        }
        assert!(Subject::parse("stranger-2026-11").unwrap().is_reserved());
        assert!(!TenantId::fresh().is_reserved() && !Subject::fresh().is_reserved());
        assert!(!Subject::parse("strangers").unwrap().is_reserved());
    }

    #[test]
    fn of_several_outcomes_the_last_says_whether_it_is_a_replay() {
        let cx = Cx { replay: Replay::heeded(), ..Cx::system(TenantId::fresh(), Duration::from_secs(1)) };
        let onward = cx.clone();
        assert!(!cx.replay.is_replay());
        onward.replay.tell(true);
        assert!(cx.replay.is_replay());
        cx.replay.tell(false);
        assert!(!onward.replay.is_replay());
        Replay::default().tell(true);
    }

    #[test]
    fn permission_is_denied_unless_a_scope_says_so() {
        let mut cx = Cx::system(TenantId::fresh(), Duration::from_secs(1));
        let mut allowed = |scopes: &[&str]| {
            cx.principal.kind = PrincipalKind::ApiKey;
            cx.principal.scopes = scopes.iter().map(|s| (*s).to_owned()).collect();
            cx.permit("storage:write").is_ok()
        };
        assert!(allowed(&["*"]) && allowed(&["storage:*"]) && allowed(&["storage:write"]));
        assert!(!allowed(&[]) && !allowed(&["storage:read"]) && !allowed(&["storage"]) && !allowed(&["store:*"]));
    }

    #[test]
    fn all_of_a_service_is_more_than_its_verbs_and_everything_more_than_all_services() {
        let holds = |scopes: &[&str], asked: &str| {
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            Principal { scopes, ..Principal::anonymous() }.holds(asked)
        };
        assert!(holds(&["*"], "*") && holds(&["*"], "storage:*") && holds(&["storage:*"], "storage:*"));
        assert!(!holds(&["storage:read", "storage:write", "storage:admin"], "storage:*"));
        for scopes in [&["storage:*", "identity:*"][..], &["storage:read", "identity:read"], &["*:*"], &[":*"], &[]] {
            assert!(!holds(scopes, "*"), "{scopes:?}");
        }
        assert!(!holds(&["storage:*"], "storage") && !holds(&["*:*"], "storage:read"));
    }

    #[test]
    fn what_is_sensitive_needs_a_person_with_a_fresh_second_factor() {
        let now = Timestamp(10_000_000_000);
        let mut cx = Cx::system(TenantId::fresh(), Duration::from_secs(1));
        assert!(cx.permit_sensitive("keys:export", now).is_ok(), "the platform itself");
        let slug = |cx: &Cx| cx.permit_sensitive("keys:export", now).map_err(|error| error.slug.into_owned());
        cx.principal.second_factor_at = Some(now);
        for kind in [PrincipalKind::ApiKey, PrincipalKind::Certificate, PrincipalKind::Token] {
            cx.principal.kind = kind;
            assert_eq!(slug(&cx), Err("auth.person_needed".to_owned()), "{kind:?}");
        }
        cx.principal.session = Some("ses_1".into());
        assert_eq!(slug(&cx), Ok(()));
        for (at, fresh) in [
            (Some(now.0 - 300_000_000), true),
            (Some(now.0 - 300_000_001), false),
            (Some(now.0 + 31_000_000), false),
            (Some(i64::MAX), false),
            (Some(i64::MIN), false),
            (None, false),
        ] {
            cx.principal.second_factor_at = at.map(Timestamp);
            let expected = if fresh { Ok(()) } else { Err("auth.step_up".to_owned()) };
            assert_eq!(slug(&cx), expected, "{at:?}");
        }
        cx.principal.second_factor_at = Some(now);
        cx.principal.actor = Some(Subject::fresh());
        assert_eq!(slug(&cx), Err("auth.person_needed".to_owned()));
        cx.principal.scopes = Arc::new([]);
        assert_eq!(slug(&cx), Err("auth.scope_missing".to_owned()), "roles are asked first");
    }
}
