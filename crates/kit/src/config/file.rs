//! The file layer: TOML, with the line of each setting.

use std::{collections::BTreeMap, fs, path::Path};

use toml::{
    Spanned, Table,
    de::{DeTable, DeValue},
};

use super::{
    layers::Given,
    mistake::Mistakes,
    origin::Origin,
    schema::{Schema, join},
    tree::leaves,
};

pub(super) fn read(path: &Path, schema: &Schema, mistakes: &mut Mistakes) -> Vec<Given> {
    let at = |line| Origin::File { path: path.to_owned(), line };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            mistakes.add("", format!("cannot read the configuration file {}: {error}", path.display()));
            return Vec::new();
        }
    };
    let parsed = DeTable::parse(&text).and_then(|spanned| Ok((spanned, toml::from_str::<Table>(&text)?)));
    let (spanned, table) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            mistakes.push(at(line), "", format!("not valid TOML: {}", error.message()));
            return Vec::new();
        }
    };
    let mut lines = BTreeMap::new();
    collect(&text, "", spanned.get_ref(), &mut lines);
    let mut given = Vec::new();
    leaves("", table, schema, &mut |path, value| {
        let line = lines.get(&path).copied().unwrap_or(1);
        given.push(Given { path, value: Ok(value), origin: at(line) });
    });
    given
}

fn collect(text: &str, above: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table.iter() {
        let path = join(above, key.get_ref());
        lines.insert(path.clone(), line_of(text, start(key)));
        if let DeValue::Table(inner) = value.get_ref() {
            collect(text, &path, inner, lines);
        }
    }
}

fn start<T>(spanned: &Spanned<T>) -> usize {
    spanned.span().start
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}
