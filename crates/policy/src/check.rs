use std::str::FromStr;

use cedar_policy::{ActionConstraint, Effect, Policy, PolicyId, PolicySet};
use miette::Diagnostic;

use crate::{
    limits::{LONGEST_POLICY, too_deep},
    schema::{Schema, grantable},
};

/// What is wrong with a policy, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub line: usize,
    pub column: usize,
    pub what: String,
    pub mend: Option<String>,
}

/// A policy that may be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it gives; empty for one that forbids. Who saves it has to hold all of them.
    pub grants: Vec<String>,
}

const LONGEST_NAME: usize = 64;
const LONGEST_EXPLANATION: usize = 200;

/// A name that stands in an annotation, in a path and in a line of the audit trail as it is.
pub fn is_name(name: &str) -> bool {
    let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(fits)
}

/// Reads one policy, and holds it to the schema.
pub fn check(name: &str, text: &str, schema: &Schema) -> Result<Statement, Vec<Fault>> {
    let fault = |at: usize, what: &str, mend: &str| {
        let (line, column) = place(text, at);
        Err(vec![Fault { line, column, what: what.to_owned(), mend: Some(mend.to_owned()) }])
    };
    if !is_name(name) {
        return fault(0, "the name has a wrong form", "use 1 to 64 of a-z, 0-9, - and _");
    }
    if text.len() > LONGEST_POLICY {
        return fault(LONGEST_POLICY, "the policy has more than 4096 bytes", "make it several policies");
    }
    if let Some((at, what)) = too_deep(text) {
        return fault(at, what, "make it several policies");
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return fault(0, "there is a control character in the text", "leave it out");
    }
    let policy = Policy::parse(Some(PolicyId::new(name)), text)
        .map_err(|errors| errors.iter().map(|error| fault_of(text, error)).collect::<Vec<_>>())?;
    if policy.annotation("id").is_some_and(|id| id != name) {
        return fault(0, "@id is not the name of the policy", "leave @id out: a policy is called by its name");
    }
    if policy.annotation("id").is_some() {
        return fault(0, "@id is put in by the platform", "leave it out: a policy is called by its name");
    }
    if policy.annotation("explain").is_some_and(|text| text.chars().count() > LONGEST_EXPLANATION) {
        return fault(0, "@explain is longer than 200 characters", "say it shorter: callers read it in an error");
    }
    // Once more as part of a bundle, which is how it will be read.
    if PolicySet::from_str(&crate::bundle([(name, text)])).is_err() {
        return fault(0, "the policy cannot stand beside others", "leave out what is not part of the statement");
    }
    let set = PolicySet::from_policies([policy.clone()])
        .map_err(|error| vec![Fault { line: 1, column: 1, what: error.to_string(), mend: None }])?;
    let found = schema.validate(&set);
    let mut faults: Vec<_> = found.validation_errors().map(|error| fault_of(text, error)).collect();
    if faults.is_empty() {
        // What can never apply, or hides what it says, is a mistake as well.
        faults.extend(found.validation_warnings().map(|warning| fault_of(text, warning)));
    }
    if !faults.is_empty() {
        faults.dedup();
        faults.truncate(MOST_FAULTS);
        return Err(faults);
    }
    if policy.effect() == Effect::Forbid {
        return Ok(Statement { grants: Vec::new() });
    }
    let actions = match policy.action_constraint() {
        ActionConstraint::Any => {
            let mend = "write action == Action::\"storage:read\" or action in [...]";
            return fault(0, "a policy that permits names what it permits", mend);
        }
        ActionConstraint::Eq(action) => vec![action],
        ActionConstraint::In(actions) => actions,
    };
    let grants: Vec<_> = actions.iter().map(|action| action.id().unescaped().to_owned()).collect();
    if let Some(refused) = grants.iter().find(|permission| !grantable(permission)) {
        return fault(0, &format!("no policy can give {refused}"), "give it by a role");
    }
    Ok(Statement { grants })
}

const MOST_FAULTS: usize = 20;

fn fault_of(text: &str, error: &(impl Diagnostic + ?Sized)) -> Fault {
    let at = error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    let (line, column) = place(text, at);
    let what = error.to_string();
    // Who reads it knows which policy was sent.
    let what =
        what.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")).map_or(&*what, |(_, rest)| rest);
    Fault { line, column, what: what.to_owned(), mend: error.help().map(|help| help.to_string()) }
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
