//! Whether a contract has what the standards that it claims ask for.

use super::{
    Manifest, Parameter,
    ParameterType::{self, *},
};

/// The standards whose methods and events are known here.
pub const KNOWN_STANDARDS: &[&str] =
    &["NEP-11", "NEP-17", "NEP-22", "NEP-24", "NEP-26", "NEP-27", "NEP-29", "NEP-30", "NEP-31"];

struct Wanted {
    name: &'static str,
    /// `None`: any number of any type.
    takes: Option<&'static [ParameterType]>,
    gives: ParameterType,
    safe: bool,
}

const fn method(name: &'static str, takes: &'static [ParameterType], gives: ParameterType) -> Wanted {
    Wanted { name, takes: Some(takes), gives, safe: false }
}

const fn safe(name: &'static str, takes: &'static [ParameterType], gives: ParameterType) -> Wanted {
    Wanted { name, takes: Some(takes), gives, safe: true }
}

const fn event(name: &'static str, takes: &'static [ParameterType]) -> Wanted {
    method(name, takes, Void)
}

const TOKEN: &[Wanted] =
    &[safe("symbol", &[], String), safe("decimals", &[], Integer), safe("totalSupply", &[], Integer)];
const FUNGIBLE: &[Wanted] =
    &[safe("balanceOf", &[Hash160], Integer), method("transfer", &[Hash160, Hash160, Integer, Any], Boolean)];
const FUNGIBLE_EVENTS: &[Wanted] = &[event("Transfer", &[Hash160, Hash160, Integer])];
const UNIQUE: &[Wanted] = &[
    safe("balanceOf", &[Hash160], Integer),
    safe("tokensOf", &[Hash160], InteropInterface),
    method("transfer", &[Hash160, ByteArray, Any], Boolean),
];
const UNIQUE_EVENTS: &[Wanted] = &[event("Transfer", &[Hash160, Hash160, Integer, ByteArray])];
const INDIVISIBLE: &[Wanted] = &[safe("ownerOf", &[ByteArray], Hash160)];
const DIVISIBLE: &[Wanted] = &[
    safe("balanceOf", &[Hash160, ByteArray], Integer),
    safe("ownerOf", &[ByteArray], InteropInterface),
    method("transfer", &[Hash160, Hash160, Integer, ByteArray, Any], Boolean),
];
const UNIQUE_OPTIONAL: &[Wanted] = &[safe("properties", &[ByteArray], Map), safe("tokens", &[], InteropInterface)];
const UPDATABLE: &[Wanted] = &[method("update", &[ByteArray, ByteArray, Any], Void)];
const ROYALTY: &[Wanted] = &[safe("royaltyInfo", &[ByteArray, Hash160, Integer], Array)];
const TAKES_UNIQUE: &[Wanted] = &[method("onNEP11Payment", &[Hash160, Integer, ByteArray, Any], Void)];
const TAKES_FUNGIBLE: &[Wanted] = &[method("onNEP17Payment", &[Hash160, Integer, Any], Void)];
const DEPLOYED: &[Wanted] = &[method("_deploy", &[Any, Boolean], Void)];
const VERIFIES: &[Wanted] = &[Wanted { name: "verify", takes: None, gives: Boolean, safe: true }];
const DESTROYABLE: &[Wanted] = &[method("destroy", &[], Void)];

/// What the contract lacks of a standard, one sentence each; empty when it keeps it, `None` for a standard that is not
/// known here. Types and the safe flag count, names of parameters do not.
pub fn missing(manifest: &Manifest, standard: &str) -> Option<Vec<std::string::String>> {
    let methods = |groups: &[&[Wanted]]| -> Vec<_> {
        groups.iter().copied().flatten().filter_map(|wanted| lacks_method(manifest, wanted)).collect()
    };
    let events = |wanted: &[Wanted]| wanted.iter().filter_map(|wanted| lacks_event(manifest, wanted)).collect();
    let both = |mut all: Vec<_>, more: Vec<_>| {
        all.extend(more);
        all
    };
    Some(match standard {
        "NEP-17" => both(methods(&[TOKEN, FUNGIBLE]), events(FUNGIBLE_EVENTS)),
        "NEP-11" => both(both(unique(manifest, methods), events(UNIQUE_EVENTS)), wrong(manifest, UNIQUE_OPTIONAL)),
        "NEP-22" => methods(&[UPDATABLE]),
        "NEP-24" => both(missing(manifest, "NEP-11").unwrap_or_default(), methods(&[ROYALTY])),
        "NEP-26" => methods(&[TAKES_UNIQUE]),
        "NEP-27" => methods(&[TAKES_FUNGIBLE]),
        "NEP-29" => methods(&[DEPLOYED]),
        "NEP-30" => methods(&[VERIFIES]),
        "NEP-31" => methods(&[DESTROYABLE]),
        _ => return None,
    })
}

/// A token of NEP-11 is divisible or not; what it lacks is told by the kind that it is nearer to.
fn unique<R>(manifest: &Manifest, methods: impl Fn(&[&[Wanted]]) -> Vec<R>) -> Vec<R> {
    let divisible = manifest.method("transfer", 5).is_some() || manifest.method("balanceOf", 2).is_some();
    methods(&[TOKEN, UNIQUE, if divisible { DIVISIBLE } else { INDIVISIBLE }])
}

/// Optional methods that are there in another form.
fn wrong(manifest: &Manifest, optional: &[Wanted]) -> Vec<std::string::String> {
    optional
        .iter()
        .filter(|wanted| manifest.method(wanted.name, wanted.takes.map_or(0, <[_]>::len)).is_some())
        .filter_map(|wanted| lacks_method(manifest, wanted))
        .collect()
}

fn lacks_method(manifest: &Manifest, wanted: &Wanted) -> Option<std::string::String> {
    let found = match wanted.takes {
        Some(takes) => manifest.method(wanted.name, takes.len()),
        None => manifest.methods(wanted.name).next(),
    };
    let signature = wanted.signature();
    let Some(found) = found else {
        return Some(format!("method {signature} is missing"));
    };
    if wanted.takes.is_some_and(|takes| !types(&found.parameters).eq(takes.iter().copied())) {
        let have: Vec<_> = types(&found.parameters).map(|kind| kind.to_string()).collect();
        return Some(format!("method {signature} takes ({})", have.join(", ")));
    }
    if found.return_type != wanted.gives {
        return Some(format!("method {signature} returns {}", found.return_type));
    }
    (found.safe != wanted.safe).then(|| {
        let is = if found.safe { "is marked safe and must not be" } else { "is not marked safe" };
        format!("method {signature} {is}")
    })
}

fn lacks_event(manifest: &Manifest, wanted: &Wanted) -> Option<std::string::String> {
    let takes = wanted.takes.unwrap_or_default();
    let signature = format!("{}({})", wanted.name, names(takes));
    let Some(found) = manifest.event(wanted.name) else {
        return Some(format!("event {signature} is missing"));
    };
    let have: Vec<_> = types(&found.parameters).collect();
    (have != takes).then(|| format!("event {signature} carries ({})", names(&have)))
}

fn types(parameters: &[Parameter]) -> impl Iterator<Item = ParameterType> + '_ {
    parameters.iter().map(|parameter| parameter.kind)
}

fn names(types: &[ParameterType]) -> std::string::String {
    types.iter().map(ParameterType::to_string).collect::<Vec<_>>().join(", ")
}

impl Wanted {
    fn signature(&self) -> std::string::String {
        let takes = self.takes.map_or_else(|| "...".to_owned(), names);
        format!("{}({takes}) -> {}", self.name, self.gives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::token;

    #[test]
    fn a_token_lacks_nothing_until_something_is_taken_away() {
        let good = token();
        assert_eq!(missing(&good, "NEP-17"), Some(vec![]));
        assert_eq!(missing(&good, "NEP-99"), None);
        for at in 0..good.abi.methods.len() {
            let mut bad = good.clone();
            let gone = bad.abi.methods.remove(at);
            let told = missing(&bad, "NEP-17").unwrap();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(&format!("method {}(", gone.name)) && told[0].ends_with("is missing"));
        }
    }

    #[test]
    fn what_has_another_form_is_told() {
        let change = |change: &dyn Fn(&mut Manifest)| {
            let mut manifest = token();
            change(&mut manifest);
            missing(&manifest, "NEP-17").unwrap().join("; ")
        };
        assert_eq!(change(&|m| m.abi.events.clear()), "event Transfer(Hash160, Hash160, Integer) is missing");
        assert_eq!(change(&|m| m.abi.methods[0].safe = false), "method symbol() -> String is not marked safe");
        assert_eq!(change(&|m| m.abi.methods[1].return_type = Any), "method decimals() -> Integer returns Any");
        assert_eq!(
            change(&|m| m.abi.methods[4].parameters[2].kind = String),
            "method transfer(Hash160, Hash160, Integer, Any) -> Boolean takes (Hash160, Hash160, String, Any)"
        );
        assert_eq!(
            change(&|m| m.abi.events[0].parameters[0].kind = Any),
            "event Transfer(Hash160, Hash160, Integer) carries (Any, Hash160, Integer)"
        );
    }

    #[test]
    fn a_known_standard_is_one_that_is_looked_at() {
        for standard in KNOWN_STANDARDS {
            assert!(missing(&token(), standard).is_some(), "{standard}");
        }
        assert_eq!(missing(&token(), "NEP-30").unwrap(), ["method verify(...) -> Boolean is missing"]);
        let told = missing(&token(), "NEP-11").unwrap().join("; ");
        assert!(told.contains("tokensOf(Hash160)") && told.contains("ownerOf(ByteArray) -> Hash160"), "{told}");
    }
}
