//! Every slug that the sources can send is in the catalogue, also where it goes through a constant or a variable.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use nsl_edge::Catalogue;

use crate::openapi;

/// These end a start-up, a command or a worker's try, or are said between a queue and its consumer: never an answer
/// to a request.
const INNER: [&str; 13] = [
    "sql.not_asked_before",
    "relay.lane_lost",
    "storage.request_taken",
    "storage.erasure_open",
    "relay.erasure_waits",
    "peer.key_missing",
    "peer.key_short",
    "queue.lease_lost",
    "queue.not_dead",
    "secrets.empty",
    "secrets.name",
    "secrets.read_only",
    "secrets.twice",
];

#[derive(Default)]
struct Said {
    slugs: BTreeSet<String>,
    /// Where a slug comes from what this reading does not follow.
    unseen: Vec<String>,
}

fn sources(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs")
            && !path.as_os_str().as_encoded_bytes().ends_with(b"tests.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            // What tests make up is not sent, what comments tell of is not code.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines();
            let code: Vec<_> = code.filter(|line| !line.trim_start().starts_with("//")).collect();
            found.push((path, code.join("\n")));
        }
    }
}

/// `text` up to the first `end` that stands in no bracket and no literal.
fn up_to(text: &str, end: char) -> &str {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            c if c == end && depth == 0 => return &text[..at],
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return &text[..at],
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    text
}

fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

fn literal(argument: &str) -> Option<&str> {
    argument.strip_prefix('"')?.strip_suffix('"')
}

/// The functions that take a `slug`, of those that begin with these words.
fn takers<'a>(code: &'a str, words: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(words).filter_map(|(at, words)| {
        let (name, rest) = code[at + words.len()..].split_once('(')?;
        up_to(rest, ')').contains("slug: &'static str").then_some(name)
    })
}

/// What functions and closures that take a `slug` are given, also those of other files (`shared`), and what a variable
/// of that name becomes.
fn handed_on<'a>(code: &'a str, shared: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("let slug =") {
        found.extend(literals(up_to(&code[at..], ';')));
    }
    for (at, word) in code.match_indices(".slug = ") {
        found.extend(literals(up_to(&code[at + word.len()..], ';')));
    }
    let mut names = shared.clone();
    names.extend(takers(code, "fn "));
    for (at, _) in code.match_indices("= |slug") {
        names.extend(code[..at].split_whitespace().last());
    }
    for name in names {
        let call = format!("{name}(");
        for (at, _) in code.match_indices(&call) {
            found.extend(literal(up_to(&code[at + call.len()..], ',').trim()));
        }
    }
    found
}

fn read(all: &[(PathBuf, String)]) -> Said {
    let mut constants = BTreeMap::new();
    for (_, code) in all {
        for (at, word) in code.match_indices("const ") {
            let rest = &code[at + word.len()..];
            if let Some((name, value)) = rest.split_once(": &str = \"") {
                constants.insert(name, value.split('"').next().unwrap_or_default());
            }
        }
    }
    let shared = all.iter().flat_map(|(_, code)| takers(code, "pub(crate) fn ")).collect();
    let mut said = Said::default();
    for (path, code) in all {
        let handed_on = handed_on(code, &shared);
        said.slugs.extend(handed_on.iter().map(|slug| (*slug).to_owned()));
        for (opening, skipped) in [("Error::new(", 1), ("Error::invalid(", 0)] {
            for (at, _) in
                code.match_indices(opening).filter(|(at, _)| !["io::", "\""].iter().any(|no| code[..*at].ends_with(no)))
            {
                let mut rest = &code[at + opening.len()..];
                for _ in 0..skipped {
                    rest = rest[up_to(rest, ',').len()..].trim_start_matches(',');
                }
                let argument = up_to(rest, ',').trim();
                let constant = argument.rsplit("::").next().and_then(|name| constants.get(name));
                match literal(argument).or(constant.copied()) {
                    Some(slug) => drop(said.slugs.insert(slug.to_owned())),
                    None if argument == "slug" && (!handed_on.is_empty() || takers(code, "fn ").next().is_some()) => {}
                    None => said.unseen.push(format!("{}: {argument}", path.display())),
                }
            }
        }
    }
    // An error that is made from another has its slug put in afterwards.
    said.slugs.remove("");
    said
}

/// The sources of what this program is made of.
fn parts(group: &str) -> Vec<(PathBuf, String)> {
    let manifest = include_str!("../Cargo.toml");
    let mut all = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(group)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if manifest.contains(&format!("\nnsl-{name}.workspace")) {
            sources(&entry.path().join("src"), &mut all);
        }
    }
    all
}

#[tokio::test]
async fn every_slug_that_can_be_sent_can_be_looked_up() {
    let mut all = [parts("crates"), parts("services")].concat();
    // The crate that makes errors has no slug of its own but these two, by name.
    all.retain(|(path, _)| !path.components().any(|part| part.as_os_str() == "core"));
    let catalogue = Catalogue::of(&openapi::faces().unwrap());
    let said = read(&all);
    assert_eq!(said.unseen, [""; 0], "this test has to learn where these come from");
    assert!(said.slugs.len() > 60, "{:?}", said.slugs);
    let missing: Vec<_> =
        said.slugs.iter().filter(|slug| catalogue.find(slug).is_none() && !INNER.contains(&slug.as_str())).collect();
    assert_eq!(missing, [""; 0]);
    let stale: Vec<_> = INNER.iter().filter(|slug| !said.slugs.contains(**slug)).collect();
    assert_eq!(stale, [&""; 0]);
}

#[test]
fn every_scope_that_a_service_asks_for_can_be_given_to_a_key() {
    let all = parts("services");
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_scope = |text: &&str| text.split_once(':').is_some_and(|(service, verb)| word(service) && word(verb));
    let asked: BTreeSet<&str> = all.iter().flat_map(|(_, code)| code.split('"').filter(is_scope)).collect();
    assert_eq!(asked, crate::wire::scopes().into_iter().collect());
}

#[test]
fn slugs_are_found_behind_constants_closures_functions_and_variables() {
    let code = r#"
        const GONE: &str = "a.gone";
        let refuse = |slug, why: &str| Err(Error::new(Code::Invalid, slug, why));
        refuse("a.refused", "text");
        fn flaw(&self, slug: &'static str, at: usize) -> Error { Error::invalid(slug, at) }
        self.flaw(
            "a.flaw", 3);
        let slug = if odd { "a.odd" } else { "a.even" };
        Error::new(Code::NotFound, inner::GONE, format!("{a}, {b}"));
        error.slug = "a.changed".into();
        Error::new(code(1, 2), "a.plain", "text"); io::Error::new(kind, "text");"#;
    let said = read(&[(PathBuf::from("a.rs"), code.to_owned())]);
    let found: Vec<_> = said.slugs.iter().map(String::as_str).collect();
    assert_eq!(found, ["a.changed", "a.even", "a.flaw", "a.gone", "a.odd", "a.plain", "a.refused"]);
    assert_eq!(said.unseen, [""; 0]);
    let said = read(&[(PathBuf::from("b.rs"), "Error::invalid(choose(), text)".to_owned())]);
    assert_eq!(said.unseen, ["b.rs: choose()"]);
}
