//! Values of a request's parts for people: sizes, times, lists, commands.

use serde_json::Value;

/// How a value is written.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// A number of bytes.
    Bytes,
    /// Billionths: of a CPU.
    Billionths,
    /// The words of a command, quoted for a shell.
    Command,
    /// The names of an object, or the parts of a list.
    Names,
    /// `NAME=VALUE` of an object.
    Pairs,
    /// `SOURCE:DESTINATION:OPTIONS`, several.
    Binds,
    /// Docker's `PortBindings`.
    Ports,
    /// Docker's `Mounts`, `Ulimits` and the like: the values of each object.
    Objects,
}

impl Form {
    /// The value in that form; what has another one is written as JSON.
    pub(super) fn write(self, value: &Value) -> Vec<String> {
        let one = match self {
            Self::Plain => None,
            Self::Bytes => value.as_i64().map(bytes),
            Self::Billionths => value.as_f64().map(|number| (number / 1e9).to_string()),
            Self::Command => words(value),
            Self::Names => names(value),
            Self::Pairs => value.as_object().map(|fields| {
                let pair = |(name, value): (&String, &Value)| match plain(value).as_str() {
                    "" => name.clone(),
                    text => format!("{name}={text}"),
                };
                fields.iter().map(pair).collect::<Vec<_>>().join(", ")
            }),
            Self::Binds => return value.as_array().into_iter().flatten().map(plain).collect(),
            Self::Ports => return ports(value),
            Self::Objects => value.as_array().map(|all| {
                let one = |value: &Value| match value.as_object() {
                    Some(fields) => fields.values().map(plain).collect::<Vec<_>>().join(" "),
                    None => plain(value),
                };
                all.iter().map(one).collect::<Vec<_>>().join(", ")
            }),
        };
        vec![one.unwrap_or_else(|| plain(value))]
    }
}

/// A text without quotes, anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn bytes(bytes: i64) -> String {
    const UNITS: [(&str, i64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.into_iter().find(|(_, size)| bytes >= *size && bytes % (size / 4) == 0);
    match unit {
        Some((name, size)) => format!("{} {name}", bytes as f64 / size as f64),
        None if bytes < 0 => "∞".into(),
        None => format!("{bytes} B"),
    }
}

fn words(value: &Value) -> Option<String> {
    let quoted = |word: &Value| {
        let word = plain(word);
        let is_plain = |letter: char| letter.is_alphanumeric() || "_-./:=,@%+*".contains(letter);
        match !word.is_empty() && word.chars().all(is_plain) {
            true => word,
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    };
    Some(value.as_array()?.iter().map(quoted).collect::<Vec<_>>().join(" "))
}

fn names(value: &Value) -> Option<String> {
    let all: Vec<String> = match value {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(all) => all.iter().map(plain).collect(),
        _ => return None,
    };
    Some(all.join(", "))
}

/// `HOST-PORT|PORT/PROTOCOL` for each published port.
fn ports(value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (port, bindings) in value.as_object().into_iter().flatten() {
        for binding in bindings.as_array().into_iter().flatten() {
            let text = |name: &str| binding[name].as_str().unwrap_or_default();
            let host = match (text("HostIp"), text("HostPort")) {
                ("", "") => "?".into(),
                ("", number) => number.to_owned(),
                (address, number) => format!("{address}:{number}"),
            };
            all.push(format!("{host}|{port}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_have_the_unit_in_which_they_are_short() {
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(bytes(3 << 29), "1.5 GiB");
        assert_eq!((bytes(1000), bytes(-1)), ("1000 B".into(), "∞".into()));
    }

    #[test]
    fn a_value_of_another_form_is_json() {
        for form in [Form::Bytes, Form::Command, Form::Names, Form::Pairs, Form::Objects] {
            assert_eq!(form.write(&json!(true)), ["true"]);
        }
        assert!(Form::Ports.write(&json!(7)).is_empty() && Form::Binds.write(&json!(7)).is_empty());
    }
}
