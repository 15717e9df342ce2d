//! Replies for people: columns and pairs. For programs there is `--json`.

use serde_json::Value;

/// A line per item under a heading; `columns` are headings and the fields they show.
pub(crate) fn table(columns: &[(&str, &str)], items: &[Value]) -> String {
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|(_, field)| cell(&item[*field])).collect()).collect();
    let width = |at: usize| {
        let widest = rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
        widest.max(columns[at].0.chars().count())
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let headings = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect::<Vec<_>>();
    let mut out = String::new();
    for row in std::iter::once(&headings).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A line per field, in the given order; absent fields are left out.
pub(crate) fn pairs(fields: &[(&str, &str)], item: &Value) -> String {
    let widest = fields.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (label, field) in fields {
        if !item[*field].is_null() {
            out.push_str(&format!("{label:<widest$}  {}\n", cell(&item[*field])));
        }
    }
    out
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    clean(&text)
}

/// Text on one line: what others wrote must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A long word, such as data in hex or base64, by its beginning, its end and its length.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 100;
    let length = text.chars().count();
    if length <= MOST {
        return clean(text);
    }
    let part = |from: usize, count: usize| text.chars().skip(from).take(count).collect::<String>();
    clean(&format!("{}…{} ({length} characters)", part(0, 48), part(length - 8, 8)))
}

/// A value with each long word in it cut.
pub(crate) fn trimmed(value: &Value) -> Value {
    match value {
        Value::String(text) => short(text).into(),
        Value::Array(items) => items.iter().map(trimmed).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), trimmed(field))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let items = [json!({"key": "a", "n": 1}), json!({"key": "längere", "n": null})];
        assert_eq!(table(&[("KEY", "key"), ("N", "n")], &items), "KEY      N\na        1\nlängere  -\n");
        assert_eq!(pairs(&[("key", "key"), ("none", "x"), ("n", "n")], &items[0]), "key   a\nn     1\n");
        assert_eq!(cell(&json!("a\u{1b}[2Jb")), "a\u{fffd}[2Jb");
    }

    #[test]
    fn a_long_word_is_cut_and_a_short_one_is_not() {
        assert_eq!(short(&"ü".repeat(100)), "ü".repeat(100));
        let cut = short(&format!("0x{}end", "a".repeat(5_000)));
        assert_eq!(cut, format!("0x{}…aaaaaend (5005 characters)", "a".repeat(46)));
        let nested = json!([{ "data": "b".repeat(200), "n": 5 }, null]);
        let cut = trimmed(&nested);
        assert!(cut[0]["data"].as_str().unwrap().ends_with("(200 characters)"), "{cut}");
        assert_eq!((&cut[0]["n"], &cut[1]), (&json!(5), &Value::Null));
    }
}
