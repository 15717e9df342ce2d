use std::{collections::HashMap, sync::LazyLock};

use cedar_policy::{ActionConstraint, AuthorizationError, Authorizer, Effect, Policy, PolicyId, PolicySet};
use nsl_core::{
    PrincipalKind, Timestamp,
    judge::{Ground, Question, Verdict},
};

use crate::{
    facts,
    limits::{LONGEST_BUNDLE, MOST_POLICIES, too_deep},
    schema::grantable,
};

static AUTHORIZER: LazyLock<Authorizer> = LazyLock::new(Authorizer::new);

/// Why a text cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// The policies of a tenant, ready to be asked.
pub struct Policies {
    /// Those that name no action.
    general: PolicySet,
    /// Those that are to be asked for an action that some of them name.
    named: HashMap<String, PolicySet>,
}

/// What the policies say of one question, before roles are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weighed {
    pub forbids: Vec<Ground>,
    pub permits: Vec<Ground>,
}

impl Policies {
    /// Reads a bundle.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        if text.len() > LONGEST_BUNDLE {
            return Err(Unreadable(format!("the policies have more than {LONGEST_BUNDLE} bytes")));
        }
        if let Some((_, what)) = too_deep(text) {
            return Err(Unreadable(what.to_owned()));
        }
        let set: PolicySet = text.parse().map_err(|error| Unreadable(format!("{error}")))?;
        if set.num_of_templates() > 0 || set.num_of_policies() > MOST_POLICIES {
            return Err(Unreadable(format!("there are templates, or more than {MOST_POLICIES} policies")));
        }
        let (mut general, mut by_action) = (Vec::new(), Vec::new());
        for policy in set.policies() {
            // The number that the parser gives tells apart what has no name, or one name twice.
            let id = policy.annotation("id").map_or_else(|| policy.id().clone(), PolicyId::new);
            let policy = policy.new_id(id);
            match policy.action_constraint() {
                ActionConstraint::Any => general.push(policy),
                ActionConstraint::Eq(action) => by_action.push((vec![action], policy)),
                ActionConstraint::In(actions) => by_action.push((actions, policy)),
            }
        }
        let mut named: HashMap<String, Vec<Policy>> = HashMap::new();
        for (actions, policy) in by_action {
            for action in actions {
                let asked = named.entry(action.id().unescaped().to_owned()).or_insert_with(|| general.clone());
                if !asked.iter().any(|other| other.id() == policy.id()) {
                    asked.push(policy.clone());
                }
            }
            if named.len() > MOST_ACTIONS {
                return Err(Unreadable(format!("the policies name more than {MOST_ACTIONS} actions")));
            }
        }
        let whole = |policies: Vec<Policy>| {
            PolicySet::from_policies(policies)
                .map_err(|error| Unreadable(format!("two policies have one name: {error}")))
        };
        let named =
            named.into_iter().map(|(action, policies)| Ok((action, whole(policies)?))).collect::<Result<_, _>>()?;
        Ok(Self { general: whole(general)?, named })
    }

    /// Asks all that speak of the permission.
    pub fn weigh(&self, question: &Question<'_>, now: Timestamp) -> Result<Weighed, Unreadable> {
        let asked = self.named.get(question.permission).unwrap_or(&self.general);
        let mut weighed = Weighed::default();
        if asked.is_empty() {
            return Ok(weighed);
        }
        let (request, entities) = facts::ask(question, now).map_err(Unreadable)?;
        let response = AUTHORIZER.is_authorized(&request, asked, &entities);
        for id in response.diagnostics().reason() {
            let Some(policy) = asked.policy(id) else { continue };
            match policy.effect() {
                Effect::Forbid => weighed.forbids.push(ground(policy)),
                Effect::Permit => weighed.permits.push(ground(policy)),
            }
        }
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            match asked.policy(error.policy_id()) {
                Some(policy) if policy.effect() == Effect::Permit => {}
                Some(policy) => weighed.forbids.push(ground(policy)),
                None => return Err(Unreadable(error.to_string())),
            }
        }
        let by_name = |one: &Ground, other: &Ground| one.policy.cmp(&other.policy);
        weighed.forbids.sort_by(by_name);
        weighed.permits.sort_by(by_name);
        Ok(weighed)
    }

    /// As [`Self::weigh`], and also finds what would permit it if nothing forbade it.
    pub fn weigh_all(&self, question: &Question<'_>, now: Timestamp) -> Result<Weighed, Unreadable> {
        let mut weighed = self.weigh(question, now)?;
        if !weighed.forbids.is_empty() {
            let asked = self.named.get(question.permission).unwrap_or(&self.general);
            let permits = asked.policies().filter(|policy| policy.effect() == Effect::Permit).cloned();
            let permits = PolicySet::from_policies(permits).map_err(|error| Unreadable(error.to_string()))?;
            let alone = Self { general: permits, named: HashMap::new() };
            weighed.permits = alone.weigh(question, now)?.permits;
        }
        Ok(weighed)
    }

    /// Decides, with what roles and scopes say.
    pub fn decide(&self, question: &Question<'_>, now: Timestamp) -> Verdict {
        match self.weigh(question, now) {
            Ok(weighed) => weighed.verdict(question),
            Err(Unreadable(why)) => Verdict::Unreadable(why),
        }
    }
}

impl Weighed {
    pub fn verdict(self, question: &Question<'_>) -> Verdict {
        if !self.forbids.is_empty() {
            return Verdict::Forbidden(self.forbids);
        }
        match question.granted || (!self.permits.is_empty() && Self::widens(question)) {
            true => Verdict::Allowed,
            false => Verdict::NotGranted,
        }
    }

    /// Whether a policy may give this to this caller.
    pub fn widens(question: &Question<'_>) -> bool {
        let principal = &question.cx.principal;
        let is_person = principal.kind == PrincipalKind::Token && principal.session.is_some();
        let is_person = is_person && principal.actor.is_none() && principal.whole && !principal.scopes.is_empty();
        is_person && grantable(question.permission)
    }
}

/// More than any program asks for.
const MOST_ACTIONS: usize = 256;

fn ground(policy: &Policy) -> Ground {
    let explain = policy.annotation("explain").filter(|text| !text.is_empty()).map(str::to_owned);
    Ground { policy: policy.id().to_string(), explain }
}
