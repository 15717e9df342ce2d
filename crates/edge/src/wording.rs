//! What the reader of a body found wrong, in words for people who never heard of it.
//!
//! Holds: no value is said back, only names of fields. What our own types say of a value is taken over as it is:
//! messages are safe to show.

/// Longer names help nobody, and may be something else by mistake.
const LONGEST: usize = 100;

/// What is wrong with the field at `path` (empty for the whole), from serde's words for it; and the field.
pub(crate) fn plain(path: &str, said: &str) -> (String, String) {
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _)| said);
    let at = |path: &str| if path.is_empty() || path.len() > LONGEST { "the body" } else { path }.to_owned();
    let quoted = |rest: &str| rest.split('`').nth(1).filter(|name| name.len() <= LONGEST).map(str::to_owned);
    if let Some(name) = said.strip_prefix("missing field ").and_then(quoted) {
        let field = join(path, &name);
        return (format!("{field} is missing"), field);
    }
    if let Some(name) = said.strip_prefix("duplicate field ").and_then(quoted) {
        let field = join(path, &name);
        return (format!("{field} is there twice"), field);
    }
    if let Some(rest) = said.strip_prefix("unknown field ") {
        let known = known(rest);
        let known = if known.is_empty() { "none are".to_owned() } else { format!("known are {known}") };
        let Some(name) = quoted(rest) else { return (format!("a field is not known: {known}"), at(path)) };
        // The path ends in the name itself, or before it.
        let field = if path == name || path.ends_with(&format!(".{name}")) { at(path) } else { join(path, &name) };
        return (format!("{field} is not known: {known}"), field);
    }
    let field = at(path);
    let message = if let Some(rest) = said.strip_prefix("unknown variant ") {
        format!("{field} wants one of {}", known(rest))
    } else if let Some((found, wanted)) = said.strip_prefix("invalid type: ").and_then(|rest| split(rest)) {
        format!("{field} wants {}, not {}", self::wanted(wanted), self::found(found))
    } else if let Some((_, wanted)) = said.strip_prefix("invalid value: ").and_then(|rest| split(rest)) {
        format!("{field} wants {}", self::wanted(wanted))
    } else if let Some(wanted) = of_text(said) {
        format!("{field} wants {wanted}")
    } else if ["invalid ", "unknown ", "data did not match "].iter().any(|words| said.starts_with(words)) {
        format!("{field} has a form that is not taken here")
    } else {
        format!("{field} does not fit: {said}")
    };
    (message, field)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() || path.len() > LONGEST { name.to_owned() } else { format!("{path}.{name}") }
}

// What was found may hold anything, what was wanted holds no comma of this kind.
fn split(rest: &str) -> Option<(&str, &str)> {
    rest.rsplit_once(", expected ")
}

// "`x`, expected one of `a`, `b`", "`x`, expected `a` or `b`", "`x`, there are no fields".
pub(crate) fn known(rest: &str) -> String {
    let Some((_, known)) = split(rest) else { return String::new() };
    known.split('`').skip(1).step_by(2).collect::<Vec<_>>().join(", ")
}

fn found(text: &str) -> &'static str {
    match text.split([' ', '`', '"']).next().unwrap_or_default() {
        "string" | "character" => "a string",
        "integer" | "floating" => "a number",
        "boolean" => "true or false",
        "null" | "unit" | "Option" => "null",
        "map" | "struct" => "an object",
        "sequence" | "tuple" => "an array",
        _ => "this",
    }
}

// What the standard library says of a text that was to be a number or a truth value.
fn of_text(said: &str) -> Option<&'static str> {
    Some(match said {
        "invalid digit found in string" | "cannot parse integer from empty string" => "a whole number",
        "number too large to fit in target type" => "a smaller number",
        "number too small to fit in target type" => "a larger number",
        "provided string was not `true` or `false`" => "true or false",
        _ => return None,
    })
}

fn wanted(text: &str) -> String {
    let whole = |least: i64, most: u64| format!("a whole number from {least} to {most}");
    match text.trim_start_matches("a borrowed ").trim_start_matches("a ") {
        "string" | "string or map" | "str" => "a string".to_owned(),
        "boolean" => "true or false".to_owned(),
        "u8" => whole(0, u8::MAX.into()),
        "u16" => whole(0, u16::MAX.into()),
        "u32" => whole(0, u32::MAX.into()),
        "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "unit" => "null".to_owned(),
        "sequence" => "an array".to_owned(),
        "map" => "an object".to_owned(),
        // Our own bounds.
        text if text.starts_with("whole number from ") => format!("a {text}"),
        text if text.starts_with("struct ") => "an object".to_owned(),
        text if text.starts_with("tuple ") => "an array".to_owned(),
        _ => "another form".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_without_what_was_sent() {
        for (path, said, message, field) in [
            ("", "missing field `key` at line 1 column 9", "key is missing", "key"),
            ("items[3]", "missing field `key`", "items[3].key is missing", "items[3].key"),
            (
                "",
                "unknown field `more`, expected `key` or `value` at line 1 column 3",
                "more is not known: known are key, value",
                "more",
            ),
            (
                "items[0].more",
                "unknown field `more`, expected one of `a`, `b`, `c`",
                "items[0].more is not known: known are a, b, c",
                "items[0].more",
            ),
            ("", "unknown field `x`, there are no fields", "x is not known: none are", "x"),
            (
                "access",
                "unknown variant `hunter2`, expected one of `private`, `shared`",
                "access wants one of private, shared",
                "access",
            ),
            ("key", "invalid type: integer `7`, expected a string", "key wants a string, not a number", "key"),
            (
                "n",
                "invalid type: string \"hunter2, expected i64\", expected u32 at line 1 column 2",
                "n wants a whole number from 0 to 4294967295, not a string",
                "n",
            ),
            ("n", "invalid value: integer `-1`, expected u64", "n wants a whole number that is not negative", "n"),
            (
                "",
                "invalid type: string \"x\", expected struct Body",
                "the body wants an object, not a string",
                "the body",
            ),
            ("to", "not an RFC 3339 time", "to does not fit: not an RFC 3339 time", "to"),
            ("size", "invalid digit found in string", "size wants a whole number", "size"),
            ("v", "invalid type: string \"cut at line 3\"", "v has a form that is not taken here", "v"),
            ("v", "data did not match any variant of untagged enum X", "v has a form that is not taken here", "v"),
        ] {
            assert_eq!(plain(path, said), (message.to_owned(), field.to_owned()));
        }
        let (message, _) = plain("", &format!("unknown field `{}`, expected `a`", "x".repeat(101)));
        assert_eq!(message, "a field is not known: known are a");
    }
}
