//! What is said of arguments that don't fit: one wording for both chains.

use std::fmt::Display;

use nsl_core::Error;
use serde_json::Value;

use crate::error::shown;

/// How much of an argument is repeated.
const MOST: usize = 80;

/// An argument that can't be read as its type: its number from 1, its name, with the way into it (its number again where it has none), its type by manifest
/// or ABI, and what was given.
pub(crate) fn misfit(number: usize, name: &str, kind: impl Display, given: &Value, why: &str) -> Error {
    let named = if name == number.to_string() { String::new() } else { format!("{}, ", shown(name)) };
    let message = format!("argument {number} ({named}type {kind}) is given as {}: {}", bounded(given), shown(why));
    Error::invalid("chain.argument_invalid", message)
        .detail("argument", name.to_owned())
        .detail("number", number)
        .detail("type", kind.to_string())
}

/// Another number of arguments than are taken.
pub(crate) fn miscounted(given: usize, taker: &str, takes: &str) -> Error {
    let were = if given == 1 { "was" } else { "were" };
    let taker = shown(taker);
    Error::invalid("chain.argument_count", format!("{taker} takes {takes}, and {given} {were} given"))
}

/// How many parameters there are, and each with its name and type.
pub(crate) fn listed<N: Display, K: Display>(parameters: impl ExactSizeIterator<Item = (N, K)>) -> String {
    let count = parameters.len();
    let each: Vec<String> =
        parameters.map(|(name, kind)| format!("{name}: {kind}").trim_start_matches(": ").to_owned()).collect();
    match count {
        0 => "no arguments".to_owned(),
        1 => shown(&format!("1 argument ({})", each.join(", "))),
        _ => shown(&format!("{count} arguments ({})", each.join(", "))),
    }
}

fn bounded(given: &Value) -> String {
    let text = given.to_string();
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}... ({} characters)", shown(&text[..cut]), text.chars().count()),
        None => shown(&text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_argument_is_named_by_number_name_type_and_what_was_given() {
        let error = misfit(2, "amount", "uint256", &json!("1.5"), "write digits");
        assert_eq!(error.message, "argument 2 (amount, type uint256) is given as \"1.5\": write digits");
        assert_eq!(error.details["argument"], "amount");
        let error = misfit(1, "1", "bool", &json!("x".repeat(5_000)), "write true or false");
        assert!(error.message.starts_with("argument 1 (type bool) is given as \"xxx"), "{}", error.message);
        assert!(error.message.contains("... (5002 characters)") && error.message.len() < 200, "{}", error.message);
        assert_eq!(error.details["argument"], "1");
    }

    #[test]
    fn a_wrong_count_tells_what_is_taken() {
        let said = |given, parameters: &[(&str, &str)]| {
            miscounted(given, "f", &listed(parameters.iter().map(|(name, kind)| (name, kind)))).message
        };
        let two = [("key", "ByteArray"), ("", "Integer")];
        assert_eq!(said(1, &two), "f takes 2 arguments (key: ByteArray, Integer), and 1 was given");
        assert_eq!(said(0, &two[..1]), "f takes 1 argument (key: ByteArray), and 0 were given");
        assert_eq!(said(2, &[]), "f takes no arguments, and 2 were given");
    }
}
