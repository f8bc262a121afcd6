//! Every property of the specification is done, or refused by its name: PROPERTIES.md says which, and
//! each is tried with a valid value.

mod bundle;

use std::{fmt::Write as _, fs, path::Path};

use bundle::Bundle;
use serde_json::{Value, json};

/// A property, and a part of config.json with a valid value for it.
struct Property {
    path: String,
    /// `None` for one of another platform.
    value: Option<Value>,
}

fn properties() -> Vec<Property> {
    let lines = include_str!("properties.txt").lines().filter(|line| !line.starts_with('#'));
    let parse = |line: &str| {
        let (path, value) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        let json = || serde_json::from_str(value).unwrap_or_else(|error| panic!("{path}: {error}"));
        Property { path: path.into(), value: (value != "other").then(json) }
    };
    lines.map(parse).collect()
}

/// The rows of PROPERTIES.md: property and what becomes of it.
fn rows() -> Vec<(String, String)> {
    let text = fs::read_to_string(table()).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(path, rest)| (path.into(), rest.trim_end_matches(" |").into())).collect()
}

fn table() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("PROPERTIES.md")
}

/// Objects are merged, lists appended, all else is replaced.
fn merge(into: &mut Value, part: &Value) {
    match (into, part) {
        (Value::Object(into), Value::Object(part)) => {
            for (name, value) in part {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(part)) => into.extend(part.iter().cloned()),
        (into, part) => *into = part.clone(),
    }
}

/// What the runtime makes of a configuration: nothing to say, or its message.
fn tried(bundle: &mut Bundle, property: &Property, value: &Value) -> Option<String> {
    let mut config = json!({
        "ociVersion": "1.2.1",
        "root": { "path": "rootfs" },
        "process": { "args": ["sleep", "100"], "cwd": "/", "env": ["PATH=/bin"], "user": {} },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
        ],
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "uts" }, { "type": "ipc" }] },
    });
    merge(&mut config, value);
    if property.path == "linux.cgroupsPath" {
        config["linux"]["cgroupsPath"] = json!(format!("/{}", bundle.id));
    }
    bundle.config = config;
    bundle.write();
    let answer = bundle.create(&[]);
    let said = (answer.code != 0).then(|| answer.failed(1));
    bundle.call(&["delete", "--force", "@"]).ok();
    said
}

/// Whether a message refuses that property: by its path, or by one above or below it.
fn names(message: &str, path: &str) -> bool {
    let plain = |text: &str| {
        let mut plain = String::new();
        let mut inside = false;
        for letter in text.chars() {
            inside = (inside || letter == '[') && letter != ']';
            if !inside && letter != ']' {
                plain.push(letter);
            }
        }
        plain
    };
    let Some(rest) = message.strip_prefix("config.json: ") else { return false };
    let Some((named, _)) = rest.split_once(": ") else { return false };
    let (named, path) = (plain(named), plain(path).replace(".*", ""));
    let is_above = |above: &str, below: &str| {
        below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    is_above(&named, &path) || is_above(&path, &named) || parent(&named) == parent(&path)
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(parent, _)| parent)
}

#[test]
fn the_table_has_every_property_in_the_order_of_the_specification() {
    let paths: Vec<String> = properties().into_iter().map(|property| property.path).collect();
    let rows: Vec<String> = rows().into_iter().map(|(path, _)| path).collect();
    assert_eq!(rows, paths);
}

/// With ISOLAB_BLESS=1 it writes the table anew, by what the runtime does.
#[test]
fn every_property_is_done_or_refused_by_its_name() {
    let Some(mut bundle) = Bundle::new("true") else { return };
    let rows = rows();
    let mut wrong = Vec::new();
    let mut blessed = String::new();
    for property in properties() {
        let said = property.value.as_ref().map(|value| tried(&mut bundle, &property, value));
        let becomes = match &said {
            None => "other platform".into(),
            Some(Some(message)) if names(message, &property.path) => {
                let why = message.splitn(3, ": ").nth(2).unwrap_or_default();
                format!("refused: {why}")
            }
            // A value that is not known at all.
            Some(Some(message)) if message.contains("is not valid: unknown variant") => {
                let why = message.split(": ").nth(1).unwrap_or_default();
                format!("refused: {}", why.split(',').next().unwrap_or_default())
            }
            Some(Some(message)) => {
                // What this host lacks, not what the runtime does not do.
                println!("skipped: {}: {message}", property.path);
                "done".into()
            }
            Some(None) => "done".into(),
        };
        let row = rows.iter().find(|(path, _)| *path == property.path);
        let in_table = row.map(|(_, text)| text.as_str()).unwrap_or_default();
        // The reason may depend on the host: `cgroup version 1`.
        let kind = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        let depends_on_host = in_table.starts_with("done on ");
        let kept = if depends_on_host { in_table } else { &becomes };
        let _ = writeln!(blessed, "| `{}` | {kept} |", property.path);
        if kind(in_table) != kind(&becomes) && !depends_on_host {
            wrong.push(format!("{}: {becomes:?}, the table says {in_table:?}", property.path));
        }
    }
    bundle.assert_nothing_left();
    if std::env::var_os("ISOLAB_BLESS").is_some() {
        let text = fs::read_to_string(table()).unwrap_or_default();
        let (head, _) = text.split_once("| `").unwrap_or((&text, ""));
        fs::write(table(), format!("{head}{blessed}")).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
