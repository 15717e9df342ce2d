//! Whether a given value has the type of the default, and reading one from text.

use toml::Value;

/// Takes a value of a file if it has the type of the default.
pub(super) fn fit(default: &Value, given: Value) -> Result<Value, String> {
    match (default, given) {
        (Value::Float(_), Value::Integer(whole)) => Ok(Value::Float(whole as f64)),
        (Value::Array(_), Value::Array(items)) => {
            let texts = items.iter().all(Value::is_str);
            if texts { Ok(Value::Array(items)) } else { Err(format!("wants {}", wanted(default))) }
        }
        (default, given) if default.same_type(&given) => Ok(given),
        (default, given) => Err(format!("wants {}, got {}", wanted(default), named(&given))),
    }
}

/// Reads the text of an environment variable or flag as the type of the default.
pub(super) fn read(default: &Value, text: &str) -> Result<Value, String> {
    let refused = || format!("wants {}", wanted(default));
    let digits = || text.trim().replace('_', "");
    match default {
        Value::String(_) => Ok(Value::String(text.to_owned())),
        Value::Integer(_) => digits().parse().map(Value::Integer).map_err(|_| refused()),
        Value::Float(_) => match digits().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(refused()),
        },
        Value::Boolean(_) => text.trim().parse().map(Value::Boolean).map_err(|_| refused()),
        Value::Array(_) => texts(text).ok_or_else(refused),
        Value::Datetime(_) | Value::Table(_) => Err(refused()),
    }
}

/// `a, b` or `["a", "b"]`.
fn texts(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.starts_with('[') {
        let items: Vec<String> = serde_json::from_str(text).ok()?;
        return Some(Value::Array(items.into_iter().map(Value::String).collect()));
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
}

fn wanted(default: &Value) -> &'static str {
    match default {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list of texts",
        Value::Table(_) => "a table",
        Value::Datetime(_) => "a time",
    }
}

pub(super) fn named(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "a boolean",
        Value::Array(_) => "a list",
        other => wanted(other),
    }
}
