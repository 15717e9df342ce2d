//! Why somebody may do something, or may not.

use std::{sync::Arc, time::Duration};

use nsl_api::access::{Decision, Explain, Step};
use nsl_core::{
    Code, Cx, Error, Facts, Principal, PrincipalKind, Result, Subject,
    judge::{Ground as Why, Question, Verdict},
};
use nsl_policy::{Policies, Weighed};

use super::{rules, service::Service, store};
use crate::people::{roles, store::custom_roles};

/// Whom a question is about.
pub(super) struct Who {
    pub(super) principal: Principal,
    pub(super) roles: Vec<String>,
}

impl Service {
    /// The caller itself, or a member as one who signed in.
    pub(super) async fn who(&self, cx: &Cx, subject: Option<&Subject>) -> Result<Who> {
        let db = &self.ground.db;
        let Some(subject) = subject.filter(|subject| **subject != cx.principal.subject) else {
            let roles = match cx.principal.session.is_some() {
                true => store::member(db, &cx.tenant, cx.principal.subject.as_str()).await?.unwrap_or_default(),
                false => Vec::new(),
            };
            return Ok(Who { principal: cx.principal.clone(), roles });
        };
        cx.permit("identity:admin")?;
        let found = store::member(db, &cx.tenant, subject.as_str()).await?;
        let held = found.ok_or_else(|| {
            Error::new(Code::NotFound, "access.subject_unknown", "no member of the tenant has this id")
        })?;
        let custom = custom_roles(db, &cx.tenant).await?;
        Ok(self.member(subject.clone(), held, &custom))
    }

    pub(super) fn member(&self, subject: Subject, held: Vec<String>, custom: &[(String, Vec<String>)]) -> Who {
        let scopes = roles::permissions(&held, custom, &self.ground.scopes);
        let principal = Principal {
            kind: PrincipalKind::Token,
            subject,
            credential: "".into(),
            scopes: scopes.into(),
            session: Some("".into()),
            whole: true,
            ..Principal::anonymous()
        };
        Who { principal, roles: held }
    }

    /// Decides as `Cx::permit_on` would, and says by what.
    pub(super) fn decide(
        &self,
        cx: &Cx,
        who: &Who,
        custom: &[(String, Vec<String>)],
        policies: &Policies,
        asked: &Explain,
    ) -> Result<Decision> {
        rules::check_permission(&asked.permission, &self.schema)?;
        rules::check_question(asked)?;
        let (context, thing) = (&asked.context, &asked.resource);
        let now = context.now.unwrap_or_else(|| self.ground.clock.now());
        let mut theirs = Cx { principal: who.principal.clone(), rules: None, once: None, ..cx.clone() };
        theirs.source.ip = context.ip.or(cx.source.ip);
        if let Some(age) = context.second_factor_age_s {
            theirs.principal.second_factor_at = Some(now.minus(Duration::from_secs(age)));
        }
        let tags: Vec<_> = thing.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let facts = Facts {
            kind: &thing.kind,
            id: &thing.id,
            owner: thing.owner.as_deref(),
            tags: &tags,
            chain: context.chain.as_deref(),
            contract: context.contract.as_deref(),
            method: context.method.as_deref(),
            amount: context.amount.as_deref(),
        };
        let permission = asked.permission.as_str();
        let granted = theirs.principal.holds(permission);
        let question = Question { cx: &theirs, permission, granted, facts: &facts };
        let weighed = policies
            .weigh_all(&question, now)
            .map_err(|unreadable| nsl_core::judge::unavailable().because(anyhow::anyhow!("{}", unreadable.0)))?;
        let mut steps = self.grants(who, custom, permission);
        let widens = Weighed::widens(&question);
        let step = |effect: &str, why: &Why| Step {
            kind: "policy".to_owned(),
            name: Some(why.policy.clone()),
            effect: effect.to_owned(),
            explain: why.explain.clone(),
        };
        steps.extend(weighed.permits.iter().map(|why| step(if widens { "permits" } else { "ignored" }, why)));
        steps.extend(weighed.forbids.iter().map(|why| step("forbids", why)));
        let (allowed, code) = match weighed.verdict(&question) {
            Verdict::Allowed => (true, None),
            Verdict::NotGranted => (false, Some("auth.scope_missing")),
            Verdict::Forbidden(_) => (false, Some("auth.policy_denied")),
            Verdict::Unreadable(_) => (false, Some("auth.policy_unavailable")),
        };
        let needs = needs(permission, &steps, allowed);
        Ok(Decision {
            permission: permission.to_owned(),
            subject: theirs.principal.subject.clone(),
            allowed,
            code: code.map(str::to_owned),
            steps,
            needs,
        })
    }

    fn grants(&self, who: &Who, custom: &[(String, Vec<String>)], permission: &str) -> Vec<Step> {
        let step = |kind: &str, name: &str| Step {
            kind: kind.to_owned(),
            name: Some(name.to_owned()),
            effect: "grants".to_owned(),
            explain: None,
        };
        let alone = |scope: &String| Principal { scopes: Arc::new([scope.clone()]), ..Principal::anonymous() };
        let of_role = |role: &&String| {
            let one = std::slice::from_ref(*role);
            roles::permissions(one, custom, &self.ground.scopes).iter().any(|held| alone(held).holds(permission))
        };
        let scopes = who.principal.scopes.iter().filter(|scope| alone(scope).holds(permission));
        let roles = who.roles.iter().filter(of_role).map(|role| step("role", role));
        // The scopes of a member as it would sign in are those of its roles.
        let scopes = scopes.filter(|_| !who.principal.credential.is_empty()).map(|scope| step("scope", scope));
        roles.chain(scopes).collect()
    }
}

fn needs(permission: &str, steps: &[Step], allowed: bool) -> Vec<String> {
    if allowed {
        return Vec::new();
    }
    let gives = |step: &&Step| matches!(step.effect.as_str(), "grants" | "permits");
    let mut needs = Vec::new();
    if steps.iter().find(gives).is_none() {
        needs.push(format!("a role, or a scope of the credential, that grants {permission}"));
    }
    for step in steps.iter().filter(|step| step.effect == "forbids") {
        let name = step.name.as_deref().unwrap_or_default();
        let explain = step.explain.as_ref().map_or(String::new(), |explain| format!(": {explain}"));
        needs.push(format!("that the policy {name} does not apply{explain}"));
    }
    needs
}

/// Leaves out of a decision what its reader may not know: the names of policies that explain nothing.
pub(super) fn veil(mut decision: Decision) -> Decision {
    let is_hidden = |step: &Step| step.kind == "policy" && step.explain.is_none();
    if decision.steps.iter().any(is_hidden) {
        decision.needs.retain(|need| !need.starts_with("that the policy "));
        let told = decision.steps.iter().filter(|step| step.effect == "forbids");
        let told: Vec<_> = told.map(|step| step.explain.clone()).collect();
        decision.needs.extend(told.into_iter().map(|explain| match explain {
            Some(explain) => format!("that a policy does not apply: {explain}"),
            None => "that a policy does not apply".to_owned(),
        }));
        decision.steps.iter_mut().filter(|step| is_hidden(step)).for_each(|step| step.name = None);
    }
    decision
}
