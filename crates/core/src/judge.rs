//! What a tenant rules beyond roles: its policies as text, and the one judge of the process that reads them.
//!
//! Holds: nothing is allowed because a policy could not be read, nor because nobody was appointed to read it.

use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

use crate::{Code, Cx, Error, Result};

/// What a judge made of a text, kept beside it.
pub type Kept = Arc<dyn Any + Send + Sync>;

/// The policies of a tenant, as they travel with its calls.
#[derive(Serialize, Deserialize)]
pub struct Rules {
    pub text: Arc<str>,
    /// Grows with each change.
    pub version: i64,
    #[serde(skip)]
    kept: OnceLock<Kept>,
}

impl Rules {
    pub fn new(text: impl Into<Arc<str>>, version: i64) -> Self {
        Self { text: text.into(), version, kept: OnceLock::new() }
    }

    /// Room for what a judge makes of the text, so that it reads the text once.
    pub fn kept(&self, make: impl FnOnce() -> Kept) -> &Kept {
        self.kept.get_or_init(make)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes of policies, version {}]", self.text.len(), self.version)
    }
}

/// What is known of the thing that a permission is asked for. What is left out is unknown, and no policy sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// `item`, `transaction`, `contract`, `key`, `policy`...
    pub kind: &'a str,
    pub id: &'a str,
    /// Whose it is.
    pub owner: Option<&'a str>,
    pub tags: &'a [(String, String)],
    /// `neo-n3` or `neo-x`.
    pub chain: Option<&'a str>,
    pub contract: Option<&'a str>,
    pub method: Option<&'a str>,
    /// In whole coins, as a decimal number: `1.5`.
    pub amount: Option<&'a str>,
}

impl<'a> Facts<'a> {
    pub fn of(kind: &'a str, id: &'a str) -> Self {
        Self { kind, id, ..Self::default() }
    }
}

/// What a judge is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub cx: &'a Cx,
    pub permission: &'a str,
    /// Whether roles or scopes allow it already.
    pub granted: bool,
    pub facts: &'a Facts<'a>,
}

/// A policy that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    pub policy: String,
    /// What its author wants callers to read who are refused by it.
    pub explain: Option<String>,
}

/// What a judge answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// No policy forbids it, and neither a role nor a policy allows it.
    NotGranted,
    /// These policies forbid it.
    Forbidden(Vec<Ground>),
    /// The text cannot be used. Why, for the log of the operator.
    Unreadable(String),
}

/// Decides by a tenant's policies.
pub trait Judge: Send + Sync + 'static {
    fn judge(&self, rules: &Rules, question: Question<'_>) -> Verdict;
}

static JUDGE: OnceLock<Arc<dyn Judge>> = OnceLock::new();

/// Appoints the judge of this process, once, at its start. Says whether it was the first.
pub fn appoint(judge: Arc<dyn Judge>) -> bool {
    JUDGE.set(judge).is_ok()
}

/// So many policies are named to the audit trail.
const MOST_NAMED: usize = 8;

pub(crate) fn decide(rules: &Rules, question: Question<'_>) -> Result<()> {
    let permission = question.permission;
    let verdict = match JUDGE.get() {
        Some(judge) => judge.judge(rules, question),
        None => Verdict::Unreadable("nobody was appointed to judge by policies".to_owned()),
    };
    match verdict {
        Verdict::Allowed => Ok(()),
        Verdict::NotGranted => Err(not_granted(permission)),
        Verdict::Forbidden(grounds) => Err(forbidden(permission, &grounds)),
        Verdict::Unreadable(why) => Err(unavailable().because(anyhow::anyhow!(why)).detail("needs", permission)),
    }
}

pub(crate) fn not_granted(permission: &str) -> Error {
    Error::new(Code::Forbidden, "auth.scope_missing", format!("this credential lacks the scope {permission}"))
        .detail("needs", permission)
}

/// The policies that apply cannot be had or read: nothing is allowed meanwhile.
pub fn unavailable() -> Error {
    Error::new(Code::Unavailable, "auth.policy_unavailable", "the policies of the tenant cannot be asked now")
        .retry_after(std::time::Duration::from_secs(1))
}

// Names of policies may tell more than their author wants to be known: the caller reads of those that have a word for
// it. `refused` is for the audit trail, and no caller sees it.
fn forbidden(permission: &str, grounds: &[Ground]) -> Error {
    let told: Vec<_> = grounds
        .iter()
        .filter_map(|ground| Some(serde_json::json!({ "policy": ground.policy, "explain": ground.explain.as_ref()? })))
        .collect();
    let names: Vec<_> = grounds.iter().take(MOST_NAMED).map(|ground| ground.policy.as_str()).collect();
    let message = match grounds.iter().find_map(|ground| ground.explain.as_deref()) {
        Some(explain) => format!("a policy of the tenant forbids this: {explain}"),
        None => "a policy of the tenant forbids this".to_owned(),
    };
    let error = Error::new(Code::Forbidden, "auth.policy_denied", message).detail("needs", permission);
    let error = error.detail("refused", names.join(","));
    if told.is_empty() { error } else { error.detail("policies", told) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{PrincipalKind, TenantId};

    struct Fixed;

    impl Judge for Fixed {
        fn judge(&self, rules: &Rules, question: Question<'_>) -> Verdict {
            let ground = |name: &str, explain: Option<&str>| Ground {
                policy: name.to_owned(),
                explain: explain.map(str::to_owned),
            };
            match &*rules.text {
                "allow" if question.granted => Verdict::Allowed,
                "allow" => Verdict::NotGranted,
                "forbid" => Verdict::Forbidden(vec![ground("silent", None), ground("told", Some("not at night"))]),
                other => Verdict::Unreadable(format!("what is {other}")),
            }
        }
    }

    fn ask(rules: &str, scopes: &[&str]) -> Result<()> {
        let mut cx = Cx::system(TenantId::fresh(), Duration::from_secs(1));
        cx.principal.kind = PrincipalKind::ApiKey;
        cx.principal.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        cx.rules = Some(Arc::new(Rules::new(rules, 1)));
        let far: Cx =
            serde_json::from_str::<crate::WireCx>(&serde_json::to_string(&cx.to_wire()).unwrap()).unwrap().into();
        let (near, far) = (cx.permit("storage:read"), far.permit("storage:read"));
        assert_eq!(near.as_ref().err().map(|e| &e.slug), far.as_ref().err().map(|e| &e.slug), "the same elsewhere");
        near
    }

    #[test]
    fn rules_that_nobody_can_read_allow_nothing() {
        let refused = ask("allow", &["*"]).unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Unavailable, "auth.policy_unavailable"));
        assert!(appoint(Arc::new(Fixed)) && !appoint(Arc::new(Fixed)));
        assert!(ask("allow", &["*"]).is_ok());
        assert_eq!(ask("nonsense", &["*"]).unwrap_err().slug, "auth.policy_unavailable");
        the_caller_reads_of_policies_that_explain_themselves_and_the_trail_of_all();
    }

    // Not a test of its own: there is one judge in a process, and the one above begins without.
    fn the_caller_reads_of_policies_that_explain_themselves_and_the_trail_of_all() {
        assert_eq!(ask("allow", &[]).unwrap_err().slug, "auth.scope_missing");
        let refused = ask("forbid", &["*"]).unwrap_err();
        assert_eq!((refused.code, &*refused.slug), (Code::Forbidden, "auth.policy_denied"));
        assert_eq!(refused.details["needs"], "storage:read");
        assert_eq!(refused.details["refused"], "silent,told");
        assert_eq!(refused.details["policies"], serde_json::json!([{ "policy": "told", "explain": "not at night" }]));
        assert_eq!(refused.message, "a policy of the tenant forbids this: not at night");
    }

    #[test]
    fn the_platform_itself_is_no_matter_of_policies() {
        let mut cx = Cx::system(TenantId::fresh(), Duration::from_secs(1));
        cx.rules = Some(Arc::new(Rules::new("forbid", 1)));
        assert!(cx.permit("storage:read").is_ok());
    }
}
