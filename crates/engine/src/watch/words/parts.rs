//! The parts of a body: which were set, without the hundred others that a client sends.

use host::Language;
use serde_json::Value;

use super::{Call, Part, fields, values::plain};

/// What the body says, without what is empty or as usual.
pub(super) fn of_body(call: &Call<'_>, body: &Value, language: Language) -> Vec<Part> {
    let mut parts = Vec::new();
    let is_of_container =
        matches!(call.parts.first().map(String::as_str), Some("containers" | "exec" | "commit"));
    collect(body, "", is_of_container, language, &mut parts);
    // In the order of the table, whatever order a client's fields have.
    parts.sort_by_key(|part| fields::position(&part.field));
    parts
}

fn collect(value: &Value, path: &str, known: bool, language: Language, parts: &mut Vec<Part>) {
    if is_unset(value) || is_usual(path, value) {
        return;
    }
    let found = if known { fields::at(path) } else { None };
    if let Some(field) = found {
        for text in field.form.write(value) {
            let words = field.words(&text, language);
            let (question, path) = (Some(field.question), path.to_owned());
            parts.push(Part { question, field: path, value: plain(value), words });
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(value, &below, known, language, parts);
            }
        }
        value => parts.push(Part {
            question: None,
            field: path.to_owned(),
            value: plain(value),
            words: String::new(),
        }),
    }
}

/// Whether nothing is said: the docker command sends all fields that it knows.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_on) => !is_on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.iter().all(is_unset),
        Value::Object(fields) => {
            // `{"80/tcp": {}}` says something by its name.
            let is_set_of_names = fields.keys().any(|name| name.contains(['/', '.']));
            !is_set_of_names && fields.values().all(is_unset)
        }
    }
}

/// Whether it is what a client sends without being asked.
fn is_usual(path: &str, value: &Value) -> bool {
    let text = value.as_str();
    match path {
        "HostConfig.MemorySwappiness" => value == -1,
        "HostConfig.NetworkMode" => text == Some("default"),
        "HostConfig.RestartPolicy.Name" => text == Some("no"),
        "ConsoleSize" | "HostConfig.ConsoleSize" => is_unset(value),
        _ => false,
    }
}
