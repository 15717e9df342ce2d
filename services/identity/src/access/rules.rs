//! What is asked of policies and of questions. Nothing here waits, reads or writes.

use nsl_api::access::{Case, Explain};
use nsl_core::{Code, Error, Principal, Result};
use nsl_policy::{Fault, LONGEST_TEXT, MOST_POLICIES, Schema, Statement};
use serde_json::json;

use super::store::Held;

pub(super) const MOST_CASES: usize = 100;
const LONGEST_FACT: usize = 1_024;
const MOST_TAGS: usize = 64;

pub(super) fn check_name(name: &str) -> Result<()> {
    match nsl_policy::is_name(name) {
        true => Ok(()),
        false => Err(Error::invalid("access.policy_name", "the name of a policy is 1 to 64 of a-z, 0-9, - and _")),
    }
}

/// Whether the text may be saved by this principal.
pub(super) fn check_policy(name: &str, text: &str, schema: &Schema, author: &Principal) -> Result<()> {
    let Statement { grants } = nsl_policy::check(name, text, schema).map_err(|faults| invalid(&faults))?;
    match grants.iter().find(|permission| !author.holds(permission)) {
        None => Ok(()),
        Some(lacking) => Err(Error::new(
            Code::Forbidden,
            "access.permission_not_held",
            format!("this credential lacks {lacking}, so no policy of its author can give it"),
        )
        .detail("permission", lacking.as_str())),
    }
}

fn invalid(faults: &[Fault]) -> Error {
    let message = faults.first().map_or_else(String::new, |fault| {
        let mend = fault.mend.as_ref().map_or(String::new(), |mend| format!(" ({mend})"));
        format!("the policy cannot be used: line {}, column {}: {}{mend}", fault.line, fault.column, fault.what)
    });
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| json!({ "line": fault.line, "column": fault.column, "what": fault.what, "mend": fault.mend }))
        .collect();
    Error::invalid("access.policy_invalid", message).detail("faults", faults)
}

/// Whether a tenant may have so much.
pub(super) fn check_room(policies: &[Held]) -> Result<()> {
    let bytes: usize = policies.iter().map(|policy| policy.text.len()).sum();
    if policies.len() > MOST_POLICIES || bytes > LONGEST_TEXT {
        let message = format!("a tenant has at most {MOST_POLICIES} policies of together {LONGEST_TEXT} bytes");
        return Err(Error::new(Code::Exhausted, "access.policies_exhausted", message)
            .detail("policies", policies.len())
            .detail("bytes", bytes));
    }
    Ok(())
}

pub(super) fn check_version(expected: Option<i64>, current: i64) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(Error::new(
            Code::Conflict,
            "access.version_conflict",
            format!("the policy has version {current}, not {expected}"),
        )
        .detail("current", current)),
        _ => Ok(()),
    }
}

pub(super) fn check_permission(permission: &str, schema: &Schema) -> Result<()> {
    match schema.permissions().contains(&permission) {
        true => Ok(()),
        false => Err(Error::invalid("access.permission_unknown", "nothing asks for this permission")
            .detail("permission", permission.chars().take(64).collect::<String>())),
    }
}

/// Whether a question has a size that can be answered.
pub(super) fn check_question(asked: &Explain) -> Result<()> {
    let (thing, context) = (&asked.resource, &asked.context);
    let facts = [&context.amount, &context.chain, &context.contract, &context.method, &thing.owner];
    let texts = facts.into_iter().flatten().chain([&thing.kind, &thing.id]);
    let tags = thing.tags.iter().flat_map(|(name, value)| [name, value]);
    if thing.tags.len() > MOST_TAGS || texts.chain(tags).any(|text| text.len() > LONGEST_FACT) {
        let message = format!("a fact has at most {LONGEST_FACT} bytes, and there are at most {MOST_TAGS} tags");
        return Err(Error::invalid("access.question", message));
    }
    Ok(())
}

pub(super) fn question(case: &Case) -> Explain {
    Explain {
        permission: case.permission.clone(),
        subject: case.subject.clone(),
        resource: case.resource.clone(),
        context: case.context.clone(),
    }
}
