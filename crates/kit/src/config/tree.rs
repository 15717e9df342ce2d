use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{
    mistake::Mistakes,
    origin::Origin,
    redact,
    schema::{Found, Schema, join},
};

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What a type said of a value that it does not take.
#[derive(PartialEq)]
struct Refusal {
    path: String,
    message: String,
}

/// All settings by dotted path, after the layers were laid over each other.
#[derive(Clone)]
pub(super) struct Tree {
    entries: BTreeMap<String, Entry>,
    tables: Vec<String>,
}

impl Tree {
    pub(super) fn of_defaults(schema: &Schema) -> Self {
        let entry = |(path, value)| (path, Entry { value, origin: Origin::Default });
        Self { entries: schema.defaults().into_iter().map(entry).collect(), tables: schema.empty_tables() }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.entries.get(path).and_then(|entry| entry.value.as_str())
    }

    /// Sets a path that the schema knows; a new entry of an open table gets the defaults of its kind.
    pub(super) fn set(&mut self, schema: &Schema, path: &str, value: Value, origin: Origin) {
        if !self.entries.contains_key(path) {
            for (sibling, value) in schema.entry_defaults(path) {
                self.entries.entry(sibling).or_insert(Entry { value, origin: Origin::Default });
            }
        }
        self.entries.insert(path.to_owned(), Entry { value, origin });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The paths whose values differ between the two.
    pub(super) fn changes(&self, newer: &Self) -> Vec<String> {
        let differs = |path: &&String| {
            self.entries.get(*path).map(|entry| &entry.value) != newer.entries.get(*path).map(|entry| &entry.value)
        };
        let mut paths: Vec<_> = self.entries.keys().chain(newer.entries.keys()).filter(differs).cloned().collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Takes over one path as it stands in `newer`, even if that means that it is gone.
    pub(super) fn adopt(&mut self, newer: &Self, path: &str) {
        match newer.entries.get(path) {
            Some(entry) => self.entries.insert(path.to_owned(), entry.clone()),
            None => self.entries.remove(path),
        };
    }

    /// Reads the settings into a type. A value that the type refuses is noted and its default read
    /// instead, so that one pass names all of them.
    pub(super) fn read<T: DeserializeOwned>(&self, schema: &Schema, mistakes: &mut Mistakes) -> Option<T> {
        let mut tree = self.clone();
        loop {
            let refusal = match tree.attempt() {
                Ok(value) => return Some(value),
                Err(refusal) => refusal,
            };
            let Some((path, origin)) = tree.blame::<T>(schema, &refusal) else {
                mistakes.add(&refusal.path, refusal.message);
                return None;
            };
            let message = if redact::is_secret(&path) { "not a valid value".to_owned() } else { refusal.message };
            mistakes.push(origin, &path, message);
            tree.reset(schema, &path);
        }
    }

    fn attempt<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_path_to_error::deserialize(self.nested()).map_err(|error| {
            let path = error.path().to_string();
            // Within a list the list is the setting; the root is shown as a dot.
            let path = path.split('[').next().unwrap_or_default().trim_matches('.').to_owned();
            Refusal { path, message: error.inner().message().to_owned() }
        })
    }

    /// The setting whose value was refused. Flattened sections are reported as a whole: there it is the
    /// one without which reading gets further.
    fn blame<T: DeserializeOwned>(&self, schema: &Schema, refusal: &Refusal) -> Option<(String, Origin)> {
        let below = if refusal.path.is_empty() { String::new() } else { format!("{}.", refusal.path) };
        let set = |(path, entry): &(&String, &Entry)| {
            entry.origin != Origin::Default && (**path == refusal.path || path.starts_with(&below))
        };
        let to_blame = |path: &str| {
            let mut without = self.clone();
            without.reset(schema, path);
            without.attempt::<T>().err().as_ref() != Some(refusal)
        };
        let (path, entry) = self.entries.iter().filter(set).find(|(path, _)| to_blame(path))?;
        Some((path.clone(), entry.origin.clone()))
    }

    fn reset(&mut self, schema: &Schema, path: &str) {
        if let Found::Leaf(default) = schema.find(path) {
            self.entries.insert(path.to_owned(), Entry { value: default.clone(), origin: Origin::Default });
        }
    }

    fn nested(&self) -> Value {
        let mut root = Table::new();
        for path in &self.tables {
            table_at(&mut root, path);
        }
        for (path, entry) in &self.entries {
            let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
            table_at(&mut root, above).insert(key.to_owned(), entry.value.clone());
        }
        Value::Table(root)
    }
}

fn table_at<'a>(root: &'a mut Table, path: &str) -> &'a mut Table {
    path.split('.').filter(|part| !part.is_empty()).fold(root, |level, part| {
        match level.entry(part).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => inner,
            _ => unreachable!("the schema keeps a path from being both a value and a table"),
        }
    })
}

/// The leaves of a table, by path.
pub(super) fn leaves(above: &str, table: Table, schema: &Schema, visit: &mut impl FnMut(String, Value)) {
    for (key, value) in table {
        let path = join(above, &key);
        match value {
            Value::Table(inner) if !matches!(schema.find(&path), Found::Leaf(_)) => leaves(&path, inner, schema, visit),
            other => visit(path, other),
        }
    }
}
