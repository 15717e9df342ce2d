//! What settings there are and of which type: both are read from the default tree.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::near::nearest;

/// The key that stands for any name in an open table; its value is what each entry starts from.
const ANY: &str = "*";

pub(super) enum Node {
    Leaf(Value),
    Table(BTreeMap<String, Node>),
}

pub(super) struct Schema {
    root: BTreeMap<String, Node>,
}

pub(super) enum Found<'a> {
    Leaf(&'a Value),
    Table,
    Unknown { near: Option<String> },
}

impl Schema {
    pub(super) fn parse(defaults: &str) -> Result<Self, toml::de::Error> {
        Ok(Self { root: grow(toml::from_str::<Table>(defaults)?) })
    }

    pub(super) fn find(&self, path: &str) -> Found<'_> {
        let mut level = &self.root;
        let mut parts = path.split('.').peekable();
        let mut walked = String::new();
        while let Some(part) = parts.next() {
            let node = level.get(part).filter(|_| part != ANY).or_else(|| level.get(ANY).filter(|_| is_name(part)));
            match (node, parts.peek().is_some()) {
                (Some(Node::Leaf(value)), false) => return Found::Leaf(value),
                (Some(Node::Table(_)), false) => return Found::Table,
                (Some(Node::Table(inner)), true) => {
                    walked = join(&walked, part);
                    level = inner;
                }
                (Some(Node::Leaf(_)), true) => return Found::Unknown { near: Some(join(&walked, part)) },
                (None, _) => return Found::Unknown { near: self.near(path) },
            }
        }
        Found::Unknown { near: None }
    }

    /// The known path most like `path`, if one is like it at all; else the section most like its first word. Free
    /// names are like anything and are never held against the last word alone.
    fn near(&self, path: &str) -> Option<String> {
        let (mut fixed, mut free) = (Vec::new(), Vec::new());
        list(&self.root, "", &mut |known, _| match known.split('.').any(|part| part == ANY) {
            true => free.push(named_after(known, path)),
            false => fixed.push(known.to_owned()),
        });
        let all = || fixed.iter().chain(&free).map(String::as_str);
        if let Some(near) = nearest(path, all()) {
            return Some(near.to_owned());
        }
        let (section, rest) = path.split_once('.')?;
        let sections = self.root.iter().filter(|(_, node)| matches!(node, Node::Table(_))).map(|(name, _)| &**name);
        if let Some(meant) = nearest(section, sections).filter(|meant| *meant != section) {
            let within = all().filter_map(|known| known.strip_prefix(meant)?.strip_prefix('.'));
            return Some(nearest(rest, within).map_or_else(|| format!("[{meant}]"), |rest| join(meant, rest)));
        }
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let mut same = fixed.iter().filter(|known| last(known) == last(path));
        same.next().filter(|_| same.next().is_none()).cloned()
    }

    /// Every setting that has a default, by path; the templates of open tables are left out.
    pub(super) fn defaults(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        list(&self.root, "", &mut |path, value| {
            if !path.split('.').any(|part| part == ANY) {
                all.insert(path.to_owned(), value.clone());
            }
        });
        all
    }

    /// What the other settings of the open-table entry around `path` start from.
    pub(super) fn entry_defaults(&self, path: &str) -> Vec<(String, Value)> {
        let mut level = &self.root;
        let mut walked = String::new();
        for part in path.split('.') {
            walked = join(&walked, part);
            match (level.get(part), level.get(ANY)) {
                (Some(Node::Table(inner)), _) => level = inner,
                (None, Some(Node::Table(template))) => {
                    let mut all = Vec::new();
                    list(template, &walked, &mut |path, value| all.push((path.to_owned(), value.clone())));
                    return all;
                }
                _ => return Vec::new(),
            }
        }
        Vec::new()
    }

    /// Sections without any setting of their own still appear, as empty tables.
    pub(super) fn empty_tables(&self) -> Vec<String> {
        let mut found = Vec::new();
        tables(&self.root, "", &mut found);
        found
    }
}

fn grow(table: Table) -> BTreeMap<String, Node> {
    let node = |value| match value {
        Value::Table(inner) => Node::Table(grow(inner)),
        other => Node::Leaf(other),
    };
    table.into_iter().map(|(key, value)| (key, node(value))).collect()
}

fn list(level: &BTreeMap<String, Node>, above: &str, visit: &mut impl FnMut(&str, &Value)) {
    for (key, node) in level {
        let path = join(above, key);
        match node {
            Node::Leaf(value) => visit(&path, value),
            Node::Table(inner) => list(inner, &path, visit),
        }
    }
}

fn tables(level: &BTreeMap<String, Node>, above: &str, found: &mut Vec<String>) {
    for (key, node) in level {
        if let (Node::Table(inner), true) = (node, key != ANY) {
            let path = join(above, key);
            tables(inner, &path, found);
            found.push(path);
        }
    }
}

/// The path of a template with the free names that `path` has in their place.
fn named_after(known: &str, path: &str) -> String {
    let mut given = path.split('.');
    let parts: Vec<_> = known.split('.').map(|part| (part, given.next())).collect();
    let parts = parts.into_iter().map(|(part, name)| if part == ANY { name.unwrap_or(ANY) } else { part });
    parts.collect::<Vec<_>>().join(".")
}

pub(super) fn join(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}

/// A free name in an open table: dots would make its path ambiguous.
fn is_name(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_tables_take_any_name_and_typed_entries() {
        let schema = Schema::parse("[peers]\n\"*\" = []\n[limits.classes.\"*\"]\nrate = 5\nburst = 1\n").unwrap();
        assert!(matches!(schema.find("peers.storage"), Found::Leaf(Value::Array(_))));
        assert!(matches!(schema.find("limits.classes.slow.rate"), Found::Leaf(Value::Integer(5))));
        assert!(matches!(schema.find("limits.classes.slow.rat"), Found::Unknown { .. }));
        assert!(matches!(schema.find("peers.*"), Found::Unknown { .. }));
        assert!(schema.defaults().is_empty());
        assert_eq!(schema.entry_defaults("limits.classes.slow.rate").len(), 2);
    }

    #[test]
    fn a_misspelt_section_is_told_by_its_own_name_or_not_at_all() {
        let text = "[http]\nmax_headers = 5\n[limits]\nper_minute = 5\n[log]\nlevel = \"info\"\n[peers]\n\"*\" = []\n";
        let schema = Schema::parse(text).unwrap();
        for (path, near) in [
            ("lmits.x", Some("[limits]")),
            ("lmits.per_minute", Some("limits.per_minute")),
            ("lmits.per_mniute", Some("limits.per_minute")),
            ("limits.x", None),
            ("pers.storage", Some("peers.storage")),
            ("logging.level", Some("log.level")),
            ("quite.other", None),
            ("x", None),
        ] {
            let Found::Unknown { near: found } = schema.find(path) else { panic!("{path} is known") };
            assert_eq!(found.as_deref(), near, "{path}");
        }
    }
}
