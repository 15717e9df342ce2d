use std::{collections::HashMap, sync::Arc};

use nsl_core::Code;
use serde::Serialize;

use crate::face::Face;

/// What a slug means to a person: one line of the public list of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `service.what`, as it stands in `nsl_core::Error::slug`.
    pub slug: &'static str,
    /// The HTTP status; it may narrow the table of [`Code::http`] (413 for an `invalid`, 507 for an `exhausted`).
    pub status: u16,
    /// The same sentence for each occurrence, without a full stop.
    pub title: &'static str,
    /// What the caller can do about it.
    pub mend: &'static str,
}

impl Entry {
    pub const fn new(slug: &'static str, status: u16, title: &'static str, mend: &'static str) -> Self {
        Self { slug, status, title, mend }
    }
}

/// Every slug that this process can send: the platform's own and those that the services brought.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    by_slug: Arc<HashMap<&'static str, Entry>>,
}

impl Catalogue {
    /// The platform's entries and `more`; the first of two with one slug stands.
    pub fn with(more: impl IntoIterator<Item = Entry>) -> Self {
        let mut by_slug = HashMap::new();
        for entry in crate::problems::BASE.iter().copied().chain(more) {
            by_slug.entry(entry.slug).or_insert(entry);
        }
        Self { by_slug: Arc::new(by_slug) }
    }

    /// What a process with these faces can send.
    pub fn of(faces: &[Face]) -> Self {
        Self::with(faces.iter().flat_map(|face| face.problems.iter().copied()))
    }

    pub fn find(&self, slug: &str) -> Option<&Entry> {
        self.by_slug.get(slug)
    }

    /// All entries by slug.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<_> = self.by_slug.values().copied().collect();
        entries.sort_by_key(|entry| entry.slug);
        entries
    }

    /// The status for an error: the slug's own, else the code's.
    pub fn status(&self, slug: &str, code: Code) -> u16 {
        self.find(slug).map_or_else(|| code.http(), |entry| entry.status)
    }
}

/// The slugs that a Rust source text hands to `Error::new` or `Error::invalid` and that `known` lacks.
/// For tests over sources: a slug that is not in the catalogue can't be looked up by the person who gets it.
pub fn unlisted(source: &str, known: &Catalogue) -> Vec<String> {
    let mut missing = Vec::new();
    for (opening, code) in [("Error::new(", true), ("Error::invalid(", false)] {
        for (at, _) in source.match_indices(opening) {
            let Some((before, after)) = source[at + opening.len()..].split_once('"') else { continue };
            let argument = before.trim();
            let fits = match code {
                true => argument.strip_prefix("Code::").is_some_and(|rest| rest.find(',') == Some(rest.len() - 1)),
                false => argument.is_empty(),
            };
            let Some(slug) = after.split('"').next().filter(|_| fits) else { continue };
            let is_slug = slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(&b));
            if is_slug && known.find(slug).is_none() {
                missing.push(slug.to_owned());
            }
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sources(dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                // What tests make up is not sent.
                found.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
            }
        }
    }

    #[test]
    fn every_slug_of_the_crates_below_can_be_looked_up() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let catalogue = Catalogue::with([]);
        // These end a start-up and are never an answer; those of the faces come with the faces.
        let inner = [
            "peer.key_missing",
            "peer.key_short",
            "secrets.name",
            "secrets.empty",
            "secrets.twice",
            "secrets.read_only",
        ];
        let mut missing = Vec::new();
        for name in ["core", "sql", "engine", "rpc", "kit", "keyring", "ledger", "edge"] {
            let mut texts = Vec::new();
            sources(&crates.join(name).join("src"), &mut texts);
            assert!(!texts.is_empty(), "{name}");
            missing.extend(texts.iter().flat_map(|text| unlisted(text, &catalogue)));
        }
        missing.retain(|slug| !inner.contains(&slug.as_str()) && !slug.starts_with("queue."));
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn unlisted_slugs_are_found_however_the_call_is_laid_out() {
        let source = r#"
            Error::new(Code::NotFound, "a.b", why);
            Error::new(
                Code::Invalid,
                "c.d",
                "text",
            )
            Error::invalid("internal", "known"); Error::invalid("e.f", "text"); Error::new(code, slug, "text")"#;
        assert_eq!(unlisted(source, &Catalogue::with([])), ["a.b", "c.d", "e.f"]);
    }

    #[test]
    fn no_slug_stands_twice_and_each_status_is_a_failure() {
        let mut slugs: Vec<_> = crate::problems::BASE.iter().map(|entry| entry.slug).collect();
        slugs.sort_unstable();
        let count = slugs.len();
        slugs.dedup();
        assert_eq!(slugs.len(), count);
        for entry in crate::problems::BASE {
            assert!((400..600).contains(&entry.status), "{}", entry.slug);
            assert!(!entry.title.ends_with('.') && !entry.mend.ends_with('.'), "{}", entry.slug);
        }
    }
}
