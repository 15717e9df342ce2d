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
            let error = match serde_path_to_error::deserialize(tree.nested()) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let path = error.path().to_string();
            let message = error.inner().message().to_owned();
            let Some((path, origin)) = tree.blame(&path) else {
                mistakes.add(path.trim_matches('.'), message);
                return None;
            };
            let message = if redact::is_secret(&path) { "not a valid value".to_owned() } else { message };
            mistakes.push(origin, &path, message);
            match schema.find(&path) {
                Found::Leaf(default) => {
                    tree.entries.insert(path, Entry { value: default.clone(), origin: Origin::Default });
                }
                _ => return None,
            }
        }
    }

    /// The setting that somebody set at, around or below the path where reading failed.
    fn blame(&self, path: &str) -> Option<(String, Origin)> {
        let path = path.split('[').next().unwrap_or_default();
        let set = |entry: &&Entry| entry.origin != Origin::Default;
        if let Some(entry) = self.entries.get(path).filter(set) {
            return Some((path.to_owned(), entry.origin.clone()));
        }
        let below = format!("{path}.");
        let (found, entry) = self
            .entries
            .range(below.clone()..)
            .find(|(known, entry)| known.starts_with(&below) && entry.origin != Origin::Default)?;
        Some((found.clone(), entry.origin.clone()))
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
