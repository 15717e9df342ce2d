//! Pages for people, made here: no script, no request to anyone else.

use std::fmt::{self, Display, Write};

use serde_json::Value;

use super::openapi::operations;
use crate::catalogue::Entry;

pub(super) const STYLE: &str = include_str!("style.css");

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn page(title: &str, body: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><link rel=\"stylesheet\" href=\"/docs/style.css\"></head>\n<body>\
         <header><a href=\"/docs\">Neo Service Layer</a><nav><a href=\"/docs\">API</a> \
         <a href=\"/problems\">Problems</a> <a href=\"/openapi.json\">openapi.json</a></nav></header>\n\
         <main>{body}</main></body></html>\n"
    )
}

/// The page of the API: every operation with its parameters, its body and its answers.
pub(super) fn api(whole: &Value) -> String {
    let mut body = String::new();
    let title = whole["info"]["title"].as_str().unwrap_or_default();
    let _ = write!(body, "<h1>{} <small>{}</small></h1>", Escaped(title), Escaped(text(&whole["info"], "version")));
    prose(&mut body, text(&whole["info"], "description"));
    for tag in whole["tags"].as_array().into_iter().flatten() {
        let name = text(tag, "name");
        let mut own = operations(whole).filter(|(_, _, operation)| operation["tags"][0] == name).peekable();
        if own.peek().is_none() {
            continue;
        }
        let _ = write!(body, "<section><h2 id=\"{0}\">{0}</h2>", Escaped(name));
        prose(&mut body, text(tag, "description"));
        for (route, method, operation) in own {
            let operation = Value::Object(operation.clone());
            one_operation(&mut body, whole, route, method, &operation);
        }
        body.push_str("</section>");
    }
    page(title, &body)
}

fn one_operation(body: &mut String, whole: &Value, route: &str, method: &str, operation: &Value) {
    let summary = text(operation, "summary");
    let _ = write!(
        body,
        "<details><summary><b class=\"{method}\">{}</b> <code>{}</code> <span>{}</span></summary>",
        method.to_ascii_uppercase(),
        Escaped(route),
        Escaped(summary)
    );
    prose(body, text(operation, "description"));
    let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
    if !parameters.is_empty() {
        body.push_str("<h3>Parameters</h3><table>");
        for parameter in parameters {
            let parameter = follow(whole, parameter);
            let needed = if parameter["required"] == true { "required" } else { "optional" };
            let _ = write!(
                body,
                "<tr><td><code>{}</code></td><td>{}, {needed}</td><td>{}</td></tr>",
                Escaped(text(parameter, "name")),
                Escaped(text(parameter, "in")),
                Escaped(text(parameter, "description"))
            );
        }
        body.push_str("</table>");
    }
    for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let _ = write!(body, "<h3>Body <small>{}</small></h3>", Escaped(kind));
        shape(body, whole, &content["schema"]);
    }
    body.push_str("<h3>Answers</h3>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let response = follow(whole, response);
        let _ = write!(body, "<p><b>{}</b> {}</p>", Escaped(status), Escaped(text(response, "description")));
        if status.starts_with('2') {
            for content in response["content"].as_object().into_iter().flat_map(|content| content.values()) {
                shape(body, whole, &content["schema"]);
            }
        }
    }
    body.push_str("</details>");
}

fn prose(body: &mut String, text: &str) {
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        body.push_str("<p>");
        // Every second part stood between backticks.
        for (i, part) in paragraph.split('`').enumerate() {
            let part = Escaped(part);
            let _ = if i % 2 == 0 { write!(body, "{part}") } else { write!(body, "<code>{part}</code>") };
        }
        body.push_str("</p>");
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn follow<'a>(whole: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => whole.pointer(pointer).unwrap_or(value),
        None => value,
    }
}

fn shape(body: &mut String, whole: &Value, schema: &Value) {
    let mut sketch = String::new();
    draw(&mut sketch, whole, schema, 0);
    let _ = write!(body, "<pre>{}</pre>", Escaped(&sketch));
}

// A schema as it would look as JSON with types for values and descriptions beside them.
fn draw(out: &mut String, whole: &Value, schema: &Value, depth: usize) {
    if depth > 5 {
        out.push_str("...");
        return;
    }
    let schema = follow(whole, schema);
    if let Some(fields) = schema["properties"].as_object() {
        let needed: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        out.push_str("{\n");
        for (name, field) in fields {
            let optional = if needed.contains(&name.as_str()) { "" } else { "?" };
            let _ = write!(out, "{}{name}{optional}: ", "  ".repeat(depth + 1));
            draw(out, whole, field, depth + 1);
            let said = text(field, "description");
            let _ = writeln!(out, "{}{}", if said.is_empty() { "" } else { "   // " }, said.replace('\n', " "));
        }
        let _ = write!(out, "{}}}", "  ".repeat(depth));
        return;
    }
    if let Some(items) = schema.get("items") {
        out.push('[');
        draw(out, whole, items, depth + 1);
        out.push(']');
        return;
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(kinds) = schema[several].as_array() {
            for (i, kind) in kinds.iter().enumerate() {
                out.push_str(if i > 0 { " | " } else { "" });
                draw(out, whole, kind, depth + 1);
            }
            return;
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(Value::to_string).collect();
        out.push_str(&values.join(" | "));
        return;
    }
    match &schema["type"] {
        Value::String(kind) => out.push_str(kind),
        Value::Array(kinds) => {
            out.push_str(&kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | "));
        }
        _ => out.push_str("any JSON"),
    }
}

/// The list of all problems.
pub(super) fn problems(entries: &[Entry]) -> String {
    let mut body = "<h1>Problems</h1><table><tr><th>Code</th><th>Status</th><th>What it means</th></tr>".to_owned();
    for entry in entries {
        let slug = Escaped(entry.slug);
        let _ = write!(
            body,
            "<tr><td><a href=\"/problems/{slug}\"><code>{slug}</code></a></td><td>{}</td><td>{}</td></tr>",
            entry.status,
            Escaped(entry.title)
        );
    }
    body.push_str("</table>");
    page("Problems", &body)
}

/// One problem.
pub(super) fn problem(entry: &Entry) -> String {
    let body = format!(
        "<h1><code>{}</code> <small>{}</small></h1><p>{}.</p><h2>What to do</h2><p>{}.</p>",
        Escaped(entry.slug),
        entry.status,
        Escaped(entry.title),
        Escaped(entry.mend)
    );
    page(entry.slug, &body)
}
