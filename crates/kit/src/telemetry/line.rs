use std::fmt::{self, Write as _};

use nsl_core::Timestamp;
use serde_json::{Map, Number, Value};
use tracing::{
    Level,
    field::{Field, Visit},
};

/// What log lines say of the request that they belong to; kept with the span that named it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) request_id: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) trace_id: Option<String>,
    pub(super) span_id: Option<String>,
}

impl Facts {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Fills the gaps from a span further out.
    pub(super) fn fill(&mut self, outer: &Self) {
        for (mine, theirs) in [
            (&mut self.request_id, &outer.request_id),
            (&mut self.tenant, &outer.tenant),
            (&mut self.trace_id, &outer.trace_id),
            (&mut self.span_id, &outer.span_id),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "request_id" => Some(&mut self.request_id),
            "tenant" => Some(&mut self.tenant),
            "trace_id" => Some(&mut self.trace_id),
            "span_id" => Some(&mut self.span_id),
            _ => None,
        }
    }
}

impl Visit for Facts {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(slot) = self.slot(field.name()) {
            *slot = (!value.is_empty()).then(|| value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(slot) = self.slot(field.name()) {
            *slot = Some(format!("{value:?}"));
        }
    }
}

/// One event, taken apart.
#[derive(Default)]
pub(super) struct Said {
    pub(super) message: String,
    pub(super) facts: Facts,
    pub(super) duration: Option<Value>,
    pub(super) error_code: Option<Value>,
    pub(super) others: Map<String, Value>,
}

impl Said {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "duration" => self.duration = Some(value),
            "error.code" => self.error_code = Some(value),
            name => {
                self.others.insert(name.trim_start_matches("r#").to_owned(), value);
            }
        }
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Number::from_f64(value).map_or(Value::Null, Value::Number));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name if self.facts.slot(name).is_some() => self.facts.record_str(field, value),
            _ => self.put(field, value.into()),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut next = value.source();
        while let Some(cause) = next {
            let _ = write!(text, ": {cause}");
            next = cause.source();
        }
        self.put(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => {
                self.message.clear();
                let _ = write!(self.message, "{value:?}");
            }
            name if self.facts.slot(name).is_some() => self.facts.record_debug(field, value),
            _ => self.put(field, format!("{value:?}").into()),
        }
    }
}

/// The process that speaks.
#[derive(Clone, Debug)]
pub(super) struct Speaker {
    pub(super) name: String,
    pub(super) version: String,
}

/// One JSON object and a line end. The names are the ones that log queries use.
pub(super) fn json(out: &mut Vec<u8>, at: Timestamp, level: Level, target: &str, speaker: &Speaker, said: &Said) {
    let Facts { request_id, tenant, trace_id, span_id } = &said.facts;
    text_field(out, b"{\"@timestamp\":", &at.rfc3339());
    text_field(out, b",\"level\":", level.as_str());
    text_field(out, b",\"message\":", &said.message);
    text_field(out, b",\"service\":{\"name\":", &speaker.name);
    text_field(out, b",\"version\":", &speaker.version);
    out.push(b'}');
    let ids = [
        (&b",\"trace_id\":"[..], trace_id),
        (b",\"span_id\":", span_id),
        (b",\"request_id\":", request_id),
        (b",\"tenant\":", tenant),
    ];
    for (name, value) in ids {
        if let Some(value) = value {
            text_field(out, name, value);
        }
    }
    if let Some(duration) = &said.duration {
        field(out, b",\"duration\":", duration);
    }
    if let Some(code) = &said.error_code {
        field(out, b",\"error.code\":", code);
    }
    text_field(out, b",\"target\":", target);
    if !said.others.is_empty() {
        field(out, b",\"fields\":", &said.others);
    }
    out.extend_from_slice(b"}\n");
}

fn text_field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    field(out, name, value);
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &(impl serde::Serialize + ?Sized)) {
    out.extend_from_slice(name);
    serde_json::to_writer(out, value).expect("writing JSON to memory cannot fail");
}

/// The same for people, on one line whatever the message contains.
pub(super) fn text(out: &mut Vec<u8>, at: Timestamp, level: Level, target: &str, said: &Said) {
    let mut line = format!("{} {level:>5} {target}: {}", at.rfc3339(), said.message);
    let facts =
        [("request_id", &said.facts.request_id), ("tenant", &said.facts.tenant), ("trace_id", &said.facts.trace_id)];
    for (name, value) in facts {
        if let Some(value) = value {
            let _ = write!(line, " {name}={value}");
        }
    }
    for (name, value) in [("duration", &said.duration), ("error.code", &said.error_code)] {
        if let Some(value) = value {
            let _ = write!(line, " {name}={value}");
        }
    }
    for (name, value) in &said.others {
        match value {
            Value::String(text) if !text.contains([' ', '"', '=']) => {
                let _ = write!(line, " {name}={text}");
            }
            other => {
                let _ = write!(line, " {name}={other}");
            }
        }
    }
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
}
