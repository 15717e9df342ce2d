use std::time::Duration;

use nsl_core::{Cx, Facts, Principal, PrincipalKind, Subject, TenantId, Timestamp, judge::Question, judge::Verdict};
use nsl_policy::{Policies, Schema, bundle};

pub(crate) const PERMISSIONS: &[&str] =
    &["identity:admin", "identity:read", "relay:write", "storage:read", "storage:write", "audit:read"];

pub(crate) fn schema() -> Schema {
    Schema::new(PERMISSIONS).unwrap()
}

/// A Saturday, 08:30 UTC.
pub(crate) fn morning() -> Timestamp {
    Timestamp::parse("2026-11-21T08:30:00.123456Z").unwrap()
}

/// A person of a session, with these scopes.
pub(crate) fn person(scopes: &[&str]) -> Cx {
    let mut cx = Cx::system(TenantId::fresh(), Duration::from_secs(5));
    cx.principal = Principal {
        kind: PrincipalKind::Token,
        subject: Subject::parse("alice").unwrap(),
        credential: "tok_1".into(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        session: Some("ses_1".into()),
        whole: true,
        ..Principal::anonymous()
    };
    cx.source.ip = Some("10.1.2.3".parse().unwrap());
    cx
}

pub(crate) fn decide(texts: &[&str], cx: &Cx, permission: &str, facts: &Facts<'_>, now: Timestamp) -> Verdict {
    let names: Vec<_> = (0..texts.len()).map(|number| format!("p{number}")).collect();
    let text = bundle(names.iter().map(String::as_str).zip(texts.iter().copied()));
    let policies = Policies::read(&text).unwrap_or_else(|error| panic!("{error:?}: {text}"));
    let question = Question { cx, permission, granted: cx.principal.holds(permission), facts };
    policies.decide(&question, now)
}

pub(crate) fn is_allowed(verdict: &Verdict) -> bool {
    *verdict == Verdict::Allowed
}
