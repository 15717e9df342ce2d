//! What an update changes, in words that a person can decide upon.

use serde::Serialize;

use super::{Event, Grantee, Manifest, Method, Parameter, Permission, Wild};
use crate::nef::Nef;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// How much it asks for attention.
    pub weight: Weight,
    /// A sentence.
    pub text: String,
}

/// How much a change asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Nobody who uses the contract has to know.
    Note,
    /// Who calls the contract or listens to it may fail from then on.
    Breaks,
    /// The contract may do more than before, or others are trusted more.
    Widens,
    /// A node refuses the update.
    Refused,
}

/// What differs between two manifests of a contract.
pub fn differences(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut say = |weight, text: String| changes.push(Change { weight, text });
    if old.name != new.name {
        say(Weight::Refused, format!("the name changes from {:?} to {:?}, which nodes refuse", old.name, new.name));
    }
    methods(&old.abi.methods, &new.abi.methods, &mut say);
    events(&old.abi.events, &new.abi.events, &mut say);
    for standard in old.standards.iter().filter(|standard| !new.standards.contains(standard)) {
        say(Weight::Breaks, format!("standard {standard} is no longer claimed"));
    }
    for standard in new.standards.iter().filter(|standard| !old.standards.contains(standard)) {
        say(Weight::Note, format!("standard {standard} is claimed"));
    }
    permissions(&old.permissions, &new.permissions, &mut say);
    trusts(&old.trusts, &new.trusts, &mut say);
    for group in old.groups.iter().filter(|group| !new.groups.iter().any(|other| other.key == group.key)) {
        say(Weight::Breaks, format!("group {} no longer vouches for it", group.key));
    }
    for group in new.groups.iter().filter(|group| !old.groups.iter().any(|other| other.key == group.key)) {
        say(Weight::Widens, format!("group {} vouches for it: who trusts the group trusts it", group.key));
    }
    if old.extra != new.extra {
        say(Weight::Note, "the author's own data (extra) changes".to_owned());
    }
    changes
}

/// What differs between two NEF files.
pub fn nef_differences(old: &Nef, new: &Nef) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut say = |weight, text: String| changes.push(Change { weight, text });
    if old.script != new.script {
        let (from, to) = (old.script.len(), new.script.len());
        say(Weight::Note, format!("the script changes ({from} bytes before, {to} after)"));
    }
    if old.compiler != new.compiler {
        say(Weight::Note, format!("the compiler changes from {:?} to {:?}", old.compiler, new.compiler));
    }
    if old.source != new.source {
        say(Weight::Note, format!("the source changes from {:?} to {:?}", old.source, new.source));
    }
    for token in old.tokens.iter().filter(|token| !new.tokens.contains(token)) {
        say(Weight::Note, format!("it no longer calls {} of {} directly", token.method, token.hash));
    }
    for token in new.tokens.iter().filter(|token| !old.tokens.contains(token)) {
        let flags = token.call_flags;
        say(Weight::Note, format!("it calls {} of {} directly ({flags})", token.method, token.hash));
    }
    changes
}

fn methods(old: &[Method], new: &[Method], say: &mut impl FnMut(Weight, String)) {
    let same = |a: &Method, b: &Method| a.name == b.name && a.parameters.len() == b.parameters.len();
    for before in old {
        let Some(after) = new.iter().find(|after| same(before, after)) else {
            say(weight(before, Weight::Breaks), format!("method {} is removed", shown(before)));
            continue;
        };
        let (from, to) = (shown(before), shown(after));
        if kinds(&before.parameters) != kinds(&after.parameters) || before.return_type != after.return_type {
            say(weight(before, Weight::Breaks), format!("method {from} becomes {to}"));
        } else if before.parameters != after.parameters {
            say(Weight::Note, format!("method {from} names its parameters anew: {to}"));
        }
        match (before.safe, after.safe) {
            // A safe method runs without the right to write; without the mark it may do both.
            (true, false) => {
                say(Weight::Widens, format!("method {from} is no longer marked safe: it may change state"))
            }
            (false, true) => {
                say(Weight::Breaks, format!("method {from} is marked safe: it can't change state any more"))
            }
            _ => {}
        }
    }
    for added in new.iter().filter(|added| !old.iter().any(|before| same(before, added))) {
        say(Weight::Note, format!("method {} is added", shown(added)));
    }
}

/// Nobody but the node calls a method that begins with an underscore.
fn weight(method: &Method, otherwise: Weight) -> Weight {
    if method.name.starts_with('_') { Weight::Note } else { otherwise }
}

fn events(old: &[Event], new: &[Event], say: &mut impl FnMut(Weight, String)) {
    for before in old {
        let Some(after) = new.iter().find(|after| after.name == before.name) else {
            say(Weight::Breaks, format!("event {}({}) is removed", before.name, list(&before.parameters)));
            continue;
        };
        if kinds(&before.parameters) != kinds(&after.parameters) {
            let (from, to) = (list(&before.parameters), list(&after.parameters));
            say(Weight::Breaks, format!("event {}({from}) becomes {}({to})", before.name, after.name));
        } else if before.parameters != after.parameters {
            say(Weight::Note, format!("event {} names its parameters anew: {}", before.name, list(&after.parameters)));
        }
    }
    for added in new.iter().filter(|added| !old.iter().any(|before| before.name == added.name)) {
        say(Weight::Note, format!("event {}({}) is added", added.name, list(&added.parameters)));
    }
}

fn permissions(old: &[Permission], new: &[Permission], say: &mut impl FnMut(Weight, String)) {
    for gained in uncovered(new, old) {
        say(Weight::Widens, format!("it may now call {gained}"));
    }
    for lost in uncovered(old, new) {
        say(Weight::Note, format!("it may no longer call {lost}"));
    }
}

/// What `these` allow and no one of `others` does, in words.
fn uncovered(these: &[Permission], others: &[Permission]) -> Vec<String> {
    let mut all = Vec::new();
    for permission in these {
        let covering: Vec<_> = others
            .iter()
            .filter(|other| other.contract == Grantee::Any || other.contract == permission.contract)
            .map(|other| &other.methods)
            .collect();
        let whom = match &permission.contract {
            Grantee::Any => "any contract".to_owned(),
            Grantee::Contract(hash) => format!("contract {hash}"),
            Grantee::Group(key) => format!("any contract of group {key}"),
        };
        if covering.contains(&&Wild::All) {
            continue;
        }
        match &permission.methods {
            Wild::All => all.push(format!("every method of {whom}")),
            Wild::Only(names) => all.extend(
                names
                    .iter()
                    .filter(|name| !covering.iter().any(|methods| methods.holds(name)))
                    .map(|name| format!("{name} of {whom}")),
            ),
        }
    }
    all
}

fn trusts(old: &Wild<Grantee>, new: &Wild<Grantee>, say: &mut impl FnMut(Weight, String)) {
    let holds = |set: &Wild<Grantee>, one: &Grantee| match set {
        Wild::All => true,
        Wild::Only(list) => list.contains(&Grantee::Any) || list.contains(one),
    };
    let members = |set: &Wild<Grantee>| match set {
        Wild::All => vec![Grantee::Any],
        Wild::Only(list) => list.clone(),
    };
    for gained in members(new).iter().filter(|one| !holds(old, one)) {
        say(Weight::Widens, format!("it trusts {gained}"));
    }
    for lost in members(old).iter().filter(|one| !holds(new, one)) {
        say(Weight::Note, format!("it no longer trusts {lost}"));
    }
}

fn kinds(parameters: &[Parameter]) -> Vec<super::ParameterType> {
    parameters.iter().map(|parameter| parameter.kind).collect()
}

fn list(parameters: &[Parameter]) -> String {
    let named: Vec<_> = parameters.iter().map(|parameter| format!("{}: {}", parameter.name, parameter.kind)).collect();
    named.join(", ")
}

fn shown(method: &Method) -> String {
    format!("{}({}) -> {}", method.name, list(&method.parameters), method.return_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        manifest::{ParameterType, tests::token},
        native,
    };

    fn after(change: impl Fn(&mut Manifest)) -> Vec<(Weight, String)> {
        let (old, mut new) = (token(), token());
        change(&mut new);
        differences(&old, &new).into_iter().map(|change| (change.weight, change.text)).collect()
    }

    fn one(weight: Weight, text: &str) -> Vec<(Weight, String)> {
        vec![(weight, text.to_owned())]
    }

    #[test]
    fn nothing_is_told_of_what_stays() {
        assert_eq!(after(|_| {}), vec![]);
        assert_eq!(after(|new| new.abi.methods.iter_mut().for_each(|method| method.offset += 1)), vec![]);
    }

    #[test]
    fn methods_and_events_are_told() {
        assert_eq!(
            after(|new| drop(new.abi.methods.remove(0))),
            one(Weight::Breaks, "method symbol() -> String is removed")
        );
        assert_eq!(
            after(|new| new.abi.methods[3].parameters[0].kind = ParameterType::Any),
            one(
                Weight::Breaks,
                "method balanceOf(account: Hash160) -> Integer becomes balanceOf(account: Any) -> Integer"
            )
        );
        assert_eq!(
            after(|new| new.abi.methods[3].safe = false),
            one(
                Weight::Widens,
                "method balanceOf(account: Hash160) -> Integer is no longer marked safe: it may change state"
            )
        );
        assert_eq!(
            after(|new| new.abi.events[0].name = "Moved".into()),
            [
                (Weight::Breaks, "event Transfer(from: Hash160, to: Hash160, amount: Integer) is removed".to_owned()),
                (Weight::Note, "event Moved(from: Hash160, to: Hash160, amount: Integer) is added".to_owned())
            ]
        );
        assert_eq!(after(|new| new.standards.clear()), one(Weight::Breaks, "standard NEP-17 is no longer claimed"));
        assert_eq!(after(|new| new.name.push('2')).first().map(|change| change.0), Some(Weight::Refused));
    }

    #[test]
    fn a_right_counts_as_new_only_when_no_old_one_held_it() {
        let gas = |methods: Wild<String>| Permission { contract: Grantee::Contract(native::GAS), methods };
        let all = Permission { contract: Grantee::Any, methods: Wild::All };
        let told = |old: &[Permission], new: &[Permission]| uncovered(new, old);
        let transfer = gas(Wild::Only(vec!["transfer".into()]));
        assert_eq!(told(std::slice::from_ref(&all), std::slice::from_ref(&transfer)), Vec::<String>::new());
        assert_eq!(told(std::slice::from_ref(&transfer), &[all]), ["every method of any contract"]);
        assert_eq!(
            told(&[transfer], &[gas(Wild::Only(vec!["transfer".into(), "burn".into()]))]),
            [format!("burn of contract {}", native::GAS)]
        );
        assert_eq!(after(|new| new.trusts = Wild::All), one(Weight::Widens, "it trusts *"));
    }

    #[test]
    fn files_are_compared_too() {
        let old = Nef { compiler: "a".into(), source: String::new(), tokens: vec![], script: vec![0x40] };
        assert_eq!(nef_differences(&old, &old), vec![]);
        let new = Nef { script: vec![0x21, 0x40], source: "s".into(), ..old.clone() };
        let told: Vec<_> = nef_differences(&old, &new).into_iter().map(|change| change.text).collect();
        assert_eq!(told, ["the script changes (1 bytes before, 2 after)", "the source changes from \"\" to \"s\""]);
    }
}
