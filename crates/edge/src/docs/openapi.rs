use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

use crate::{face::Face, problem::ProblemBody};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const CHANGING: [&str; 4] = ["post", "put", "patch", "delete"];

/// The OpenAPI 3.1 description of all faces together: what the services say of their routes, and what
/// holds for each route because the edge stands in front of it.
pub fn openapi(faces: &[Face], version: &str) -> Value {
    let mut whole = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Neo Service Layer",
            "version": version,
            "description": "Every answer that is not a success is a problem (RFC 9457) whose `code` is explained under `/problems`.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": [],
        "paths": {},
        "components": {},
    });
    for face in faces {
        let mut part = serde_json::to_value(&face.docs).expect("an OpenAPI document is JSON");
        if let Some(paths) = part.get_mut("paths").and_then(Value::as_object_mut) {
            for (route, item) in paths.iter_mut() {
                complete(item, face, route);
            }
        }
        let mut tag = json!({ "name": face.name });
        let mut own = part["tags"].as_array().into_iter().flatten();
        if let Some(said) = own.find(|own| own["name"] == face.name).and_then(|own| own.get("description")) {
            tag["description"] = said.clone();
        }
        whole["tags"].as_array_mut().expect("made above").push(tag);
        for section in ["paths", "components"] {
            if let Some(more) = part.get_mut(section).map(Value::take) {
                merge(&mut whole[section], more);
            }
        }
    }
    merge(&mut whole["components"], shared_components());
    whole
}

// Adds what every operation has in common.
fn complete(item: &mut Value, face: &Face, route: &str) {
    let open = face.rules.iter().find(|rule| rule.fits(route)).is_some_and(|rule| rule.open);
    for method in METHODS {
        let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) else { continue };
        operation.insert("tags".to_owned(), json!([face.name]));
        let mut security = vec![json!({ "bearer": [] }), json!({ "apiKey": [] })];
        if open {
            security.insert(0, json!({}));
        }
        operation.insert("security".to_owned(), Value::Array(security));
        if CHANGING.contains(&method) {
            let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
            if let Some(list) = parameters.as_array_mut() {
                list.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
            }
        }
        let responses = operation.entry("responses").or_insert_with(|| json!({}));
        if let Some(responses) = responses.as_object_mut() {
            for (_, success) in responses.iter_mut().filter(|(status, _)| status.starts_with('2')) {
                if CHANGING.contains(&method) {
                    success["headers"]["Idempotency-Replayed"] =
                        json!({ "$ref": "#/components/headers/IdempotencyReplayed" });
                }
            }
            for (status, name) in [
                ("401", "Unauthenticated"),
                ("403", "Forbidden"),
                ("429", "TooManyRequests"),
                ("503", "Unavailable"),
                ("default", "Problem"),
            ] {
                let reference = json!({ "$ref": format!("#/components/responses/{name}") });
                responses.entry(status).or_insert(reference);
            }
        }
    }
}

fn shared_components() -> Value {
    let problem = |description: &str, headers: Value| {
        let mut response = json!({
            "description": description,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        if !headers.is_null() {
            response["headers"] = headers;
        }
        response
    };
    let retry = json!({ "Retry-After": {
        "description": "Seconds to wait before a further try.", "schema": { "type": "integer", "minimum": 1 },
    } });
    let challenge =
        json!({ "WWW-Authenticate": { "description": "How to authenticate.", "schema": { "type": "string" } } });
    let schema = serde_json::to_value(ProblemBody::schema()).expect("a schema is JSON");
    json!({
        "schemas": { "Problem": schema },
        "parameters": { "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Makes the request safe to repeat: the same key with the same request has one effect, and what is \
                answered again says so in `Idempotency-Replayed`.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        } },
        "headers": { "IdempotencyReplayed": {
            "description": "There, and `true`, where the answer repeats the outcome of an earlier request under the same key.",
            "schema": { "type": "string", "const": "true" },
        } },
        "responses": {
            "Problem": problem("Any other problem.", Value::Null),
            "Unauthenticated": problem("No valid credential was shown.", challenge),
            "Forbidden": problem("The credential does not allow this.", Value::Null),
            "TooManyRequests": problem("A rate limit or quota is reached.", retry.clone()),
            "Unavailable": problem("Try again later.", retry),
        },
        "securitySchemes": {
            "bearer": {
                "type": "http", "scheme": "bearer",
                "description": "An API key (`nsl_...`) or a JWT of the configured issuer.",
            },
            "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key (`nsl_...`)." },
        },
    })
}

// Objects are merged key by key; of two other values with one name the first stands.
fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            more.into_iter().for_each(|(key, value)| match into.get_mut(&key) {
                Some(known) => merge(known, value),
                None => drop(into.insert(key, value)),
            })
        }
        (into @ Value::Null, more) => *into = more,
        _ => {}
    }
}

/// Every operation with its route and method, in the order of the document.
pub(crate) fn operations(whole: &Value) -> impl Iterator<Item = (&str, &str, &Map<String, Value>)> {
    let paths = whole["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(route, item)| {
        METHODS.iter().filter_map(move |method| Some((route.as_str(), *method, item.get(method)?.as_object()?)))
    })
}
