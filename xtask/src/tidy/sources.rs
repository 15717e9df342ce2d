use super::Source;

const MOST_LINES: usize = 500;
const MOST_TEST_LINES: usize = 800;
/// Files that programs write.
const GENERATED: &[&str] = &["Cargo.lock", "docs/openapi.json"];
/// Words that name nothing: they are refused as parts of a file's or a type's name.
const EMPTY_NAMES: &[&str] = &["Manager", "Helper", "Util", "Utils", "Common", "Impl", "Processor"];

pub(super) fn check(sources: &[Source], found: &mut Vec<String>) {
    for source in sources {
        if GENERATED.contains(&source.path.as_str()) {
            continue;
        }
        size(source, found);
        characters(source, found);
        names(source, found);
        if source.has_extension(&["rs"]) {
            opening(source, found);
            lines(source, found);
            exceptions(source, found);
        }
    }
}

fn size(source: &Source, found: &mut Vec<String>) {
    let most = if source.is_test() { MOST_TEST_LINES } else { MOST_LINES };
    let length = source.text.lines().count();
    if source.has_extension(&["rs", "py", "sh", "js", "css"]) && length > most {
        found.push(format!("{}: {length} lines, {most} at most", source.path));
    }
}

fn characters(source: &Source, found: &mut Vec<String>) {
    let tabs_belong = source.path.ends_with("Makefile") || source.has_extension(&["mk"]);
    for (number, line) in (1..).zip(source.text.lines()) {
        if !tabs_belong && line.contains('\t') {
            found.push(format!("{}:{number}: a tab", source.path));
        }
        if line.ends_with(' ') && !source.has_extension(&["md"]) {
            found.push(format!("{}:{number}: a blank at the end of the line", source.path));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        found.push(format!("{}: the last line does not end", source.path));
    }
}

fn names(source: &Source, found: &mut Vec<String>) {
    for part in source.path.split(['/', '.', '_', '-']) {
        if EMPTY_NAMES.iter().any(|name| name.eq_ignore_ascii_case(part)) {
            found.push(format!("{}: the name {part} says nothing", source.path));
        }
    }
}

// Each crate opens with its promises.
fn opening(source: &Source, found: &mut Vec<String>) {
    let library = source.path.ends_with("src/lib.rs");
    let program = source.path.ends_with("src/main.rs");
    if !(library || program) || source.is_test() {
        return;
    }
    let doc: Vec<&str> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let promises = doc.iter().any(|line| line.contains("Holds:") || line.contains("Promises:"));
    if doc.is_empty() || (library && !promises) {
        found.push(format!("{}: open with a doc comment that says what holds (Holds: or Promises:)", source.path));
    }
}

fn lines(source: &Source, found: &mut Vec<String>) {
    let mut say = |number: usize, what: &str| found.push(format!("{}:{number}: {what}", source.path));
    for (number, line) in (1..).zip(source.text.lines()) {
        let text = line.trim_start();
        let comment = text.starts_with("//");
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
        // Put together here, so that this file does not find itself.
        if comment
            && words.iter().any(|word| [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")].contains(word))
        {
            say(number, "an open end: do it or write it down where work is planned");
        }
        if comment && ["----", "====", "****", "####"].iter().any(|rule| text.contains(rule)) {
            say(number, "a banner: let the file be smaller instead");
        }
        if let Some(name) = declared(text)
            && EMPTY_NAMES.iter().any(|empty| name.ends_with(empty) || name.starts_with(empty))
        {
            say(number, &format!("the name {name} says nothing"));
        }
    }
}

// A lint that is not heeded somewhere, in one line or in several.
fn exceptions(source: &Source, found: &mut Vec<String>) {
    let mut lines = (1..).zip(source.text.lines());
    while let Some((number, line)) = lines.next() {
        let text = line.trim_start();
        let Some(kind) = ["allow", "expect"].into_iter().find(|kind| {
            let inside = text.strip_prefix("#![").or_else(|| text.strip_prefix("#["));
            inside.and_then(|inside| inside.strip_prefix(kind)).is_some_and(|rest| rest.starts_with('('))
        }) else {
            continue;
        };
        let mut whole = text.to_owned();
        while !whole.contains(")]") {
            let Some((_, more)) = lines.next() else { break };
            whole.push_str(more);
        }
        if !whole.contains("reason = \"") {
            found.push(format!("{}:{number}: an {kind} without its reason", source.path));
        }
    }
}

// The name of a type that this line declares.
fn declared(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace().skip_while(|word| word.starts_with("pub"));
    let kind = words.next()?;
    let name = words.next()?.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    matches!(kind, "struct" | "enum" | "trait" | "type" | "union").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        let mut found = Vec::new();
        check(&[Source { path: path.into(), text: text.into() }], &mut found);
        found.len()
    }

    #[test]
    fn each_rule_bites() {
        assert_eq!(findings("crates/a/src/b.rs", "struct Whole;\n"), 0);
        assert_eq!(findings("crates/a/src/b.rs", "pub(crate) struct TaskManager;\n"), 1);
        assert_eq!(findings("crates/a/src/utils.rs", "struct Whole;\n"), 1);
        assert_eq!(findings("crates/a/src/b.rs", "\tstruct Whole;\n"), 1);
        assert_eq!(findings("crates/a/src/b.rs", "struct Whole; \n"), 1);
        assert_eq!(findings("crates/a/src/b.rs", "struct Whole;"), 1);
        assert_eq!(findings("crates/a/src/b.rs", "// -------- part two\n"), 1);
        assert_eq!(findings("crates/a/src/b.rs", concat!("// TO", "DO: later\n")), 1);
        for attribute in ["#[allow", "#![allow", "    #[expect", "#![expect"] {
            let text = |inside: &str| format!("{attribute}({inside})]\nfn reason() {{}}\n");
            for bare in ["dead_code", "dead_code, clippy::reason", "\n    dead_code,\n    unused\n"] {
                assert_eq!(findings("crates/a/src/b.rs", &text(bare)), 1, "{attribute} {bare}");
            }
            for told in ["dead_code, reason = \"it is\"", "\n    dead_code,\n    reason = \"it (is)\"\n"] {
                assert_eq!(findings("crates/a/src/b.rs", &text(told)), 0, "{attribute} {told}");
            }
        }
        assert_eq!(findings("crates/a/src/lib.rs", "//! Says much.\n"), 1);
        assert_eq!(findings("crates/a/src/lib.rs", "//! Says much.\n//!\n//! Holds: this.\n"), 0);
        assert_eq!(findings("crates/a/src/b.rs", &"struct A;\n".repeat(501)), 1);
        assert_eq!(findings("crates/a/tests/it/b.rs", &"struct A;\n".repeat(501)), 0);
    }
}
