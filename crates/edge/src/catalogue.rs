use std::{collections::HashMap, sync::Arc};

use nsl_core::Code;
use serde::Serialize;

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
    for opening in ["Error::new(", "Error::invalid("] {
        for (at, _) in source.match_indices(opening) {
            let rest = &source[at + opening.len()..];
            let Some(slug) = rest.split_once('"').and_then(|(before, after)| {
                let plain = before.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || ":,_".contains(c));
                plain.then(|| after.split('"').next()).flatten()
            }) else {
                continue;
            };
            if known.find(slug).is_none() {
                missing.push(slug.to_owned());
            }
        }
    }
    missing
}
