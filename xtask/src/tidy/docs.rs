use std::path::Path;

use super::Source;

pub(super) fn check(root: &Path, sources: &[Source], found: &mut Vec<String>) {
    for source in sources {
        if source.has_extension(&["md"]) {
            links(root, source, found);
        }
        if source.path == "config/default.toml" {
            settings(source, found);
        }
    }
}

// Links to places outside are not followed.
fn links(root: &Path, source: &Source, found: &mut Vec<String>) {
    let here = root.join(&source.path);
    let folder = here.parent().unwrap_or(root);
    for (number, target) in targets(&source.text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = if path.is_empty() { here.clone() } else { folder.join(path) };
        if !file.exists() {
            found.push(format!("{}:{number}: the link {target} leads nowhere", source.path));
            continue;
        }
        if !anchor.is_empty() && file.extension().is_some_and(|extension| extension == "md") {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if !headings(&text).contains(&anchor.to_owned()) {
                found.push(format!("{}:{number}: the link {target} names no heading", source.path));
            }
        }
    }
}

// What stands in the parentheses of `[words](target)`, with its line; code is skipped.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let mut rest = line;
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            // Between backticks, an odd number of them stands before.
            let before = &line[..line.len() - rest.len()];
            if before.matches('`').count() % 2 == 0 {
                found.push((number, target));
            }
        }
    }
    found
}

// The lines outside fenced blocks.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number, line));
        }
    }
    lines
}

// The anchors that a renderer makes of the headings.
fn headings(text: &str) -> Vec<String> {
    let heading = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    prose(text).into_iter().filter(|(_, line)| line.starts_with('#')).map(|(_, line)| heading(line)).collect()
}

// Every key says in a comment above it or behind it what it does.
fn settings(source: &Source, found: &mut Vec<String>) {
    let mut explained = false;
    let mut depth = 0i32;
    for (number, line) in (1..).zip(source.text.lines()) {
        let text = line.trim();
        if text.starts_with('#') {
            explained = true;
        } else if text.is_empty() || text.starts_with('[') && depth == 0 {
            explained = false;
        } else {
            let key = text.split('=').next().unwrap_or_default().trim();
            if depth == 0 && text.contains('=') && !explained && !text.contains(" # ") {
                found.push(format!("{}:{number}: the setting {key} has no comment", source.path));
            }
            depth += text.matches('[').count() as i32 - text.matches(']').count() as i32;
            explained = depth > 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let text = "see [a](b.md) and [c](d.md#e)\n```\n[no](f.md)\n```\n`[no](g.md)`\n";
        assert_eq!(targets(text), [(1, "b.md"), (1, "d.md#e")]);
        assert_eq!(headings("# One two\n## It's `x`: y_z\n"), ["one-two", "its-x-y_z"]);
    }

    #[test]
    fn a_setting_without_a_comment_is_named() {
        let text = "# says\na = 1\nb = 2\n[part]\nc = 3 # says\n# says\nd = [\n  1,\n]\ne = 4\n";
        let mut found = Vec::new();
        settings(&Source { path: "config/default.toml".into(), text: text.into() }, &mut found);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("setting b") && found[1].contains("setting e"));
    }
}
