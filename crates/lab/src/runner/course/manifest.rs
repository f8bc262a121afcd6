//! Manifests that isolab writes: the package around a student's file, and what it takes over of the
//! checkout's own.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{Table, Value};

use super::{Course, Lab};
use crate::runner::{Error, LocalUser, Result};

/// The manifest of the checkout's workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkspaceManifest(Table);

/// What a package needs, as `cargo metadata` has it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
    /// `dev`, `build`, or nothing.
    pub(crate) kind: Option<String>,
    pub(crate) rename: Option<String>,
    pub(crate) optional: bool,
    pub(crate) uses_default_features: bool,
    pub(crate) features: Vec<String>,
    /// The platform on which alone it is needed.
    pub(crate) target: Option<String>,
    /// Where it is, if that is in the checkout.
    pub(crate) path: Option<PathBuf>,
}

impl WorkspaceManifest {
    /// Reads the one in `root`.
    pub(crate) fn read(root: &Path, owner: &LocalUser) -> Result<Self> {
        let path = root.join("Cargo.toml");
        let text = owner.read_text(&path).map_err(Error::file("read", &path))?;
        let table = text.parse().map_err(|error: toml::de::Error| Error::Damaged {
            path,
            cause: error.to_string().trim_end().to_owned(),
        })?;
        Ok(Self(table))
    }

    /// Whether the workspace has these members.
    pub(crate) fn has_member(&self, pattern: &str) -> bool {
        let members = self.0.get("workspace").and_then(|it| it.get("members")?.as_array());
        members.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(pattern)))
    }

    /// Its profiles: what is built with others is built anew.
    pub(crate) fn profiles(&self) -> String {
        let mut text = String::new();
        if let Some(Value::Table(profiles)) = self.0.get("profile") {
            let kept =
                ["lab", "dev"].into_iter().filter_map(|name| Some((name, profiles.get(name)?)));
            for (name, profile) in kept {
                write_table(&mut text, &format!("profile.{name}"), profile);
            }
        }
        text
    }
}

/// The package around a student's file: what the lab's own package has, and that package.
pub(crate) fn of_work(course: &Course, lab: &Lab) -> String {
    let mut text = format!(
        "# Made by `isolab lab start`, and made again when the lab changes.\n[package]\n\
         name = {}\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\nautobins = false\n\n\
         [[bin]]\nname = {}\npath = \"student.rs\"\ntest = false\n\n[dependencies]\n",
        quoted(&lab.work_package()),
        quoted(&lab.bin("")),
    );
    let path = relative(&lab.folder, &lab.work, &course.root);
    let _ = writeln!(text, "{} = {{ path = {} }}", lab.name, quoted(&path));
    for dependency in lab.dependencies.iter().filter(|it| it.kind.is_none() && it.target.is_none())
    {
        text += &dependency.line(&lab.work, &course.root);
    }
    text
}

impl Dependency {
    /// Its line in the manifest of the package in `folder` of the workspace in `root`.
    pub(crate) fn line(&self, folder: &Path, root: &Path) -> String {
        let mut line = format!("{} = {{ ", self.rename.as_ref().unwrap_or(&self.name));
        let _ = match &self.path {
            Some(path) => write!(line, "path = {}", quoted(&relative(path, folder, root))),
            None => write!(line, "version = {}", quoted(&self.req)),
        };
        if self.rename.is_some() {
            let _ = write!(line, ", package = {}", quoted(&self.name));
        }
        if !self.uses_default_features {
            line += ", default-features = false";
        }
        if self.optional {
            line += ", optional = true";
        }
        if !self.features.is_empty() {
            let features: Vec<String> = self.features.iter().map(|name| quoted(name)).collect();
            let _ = write!(line, ", features = [{}]", features.join(", "));
        }
        line + " }\n"
    }
}

/// The path of `to` as it is typed in `from`, so that the workspace can be moved.
pub(crate) fn relative(to: &Path, from: &Path, root: &Path) -> String {
    match (to.strip_prefix(root), from.strip_prefix(root)) {
        (Ok(to), Ok(from)) => {
            let up = "../".repeat(from.components().count());
            format!("{up}{}", to.display())
        }
        _ => to.display().to_string(),
    }
}

/// A string of TOML. JSON's escapes are among those of a basic string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string has a form in JSON")
}

fn write_table(text: &mut String, name: &str, table: &Value) {
    let Value::Table(table) = table else { return };
    let (tables, values): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    let _ = writeln!(text, "\n[{name}]");
    for (key, value) in values {
        let _ = writeln!(text, "{} = {}", quoted(key), inline(value));
    }
    for (key, table) in tables {
        write_table(text, &format!("{name}.{}", quoted(key)), table);
    }
}

/// A value in one line.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(all) => format!("[{}]", all.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let pairs =
                table.iter().map(|(key, value)| format!("{} = {}", quoted(key), inline(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_taken_over_as_they_are() {
        let text = "[workspace]\nmembers = [\"work/*\"]\n[profile.release]\nlto = \"fat\"\n\
                    [profile.lab]\ninherits = \"dev\"\ndebug = false\n\
                    [profile.dev.package.\"zlib-rs\"]\nopt-level = 3\n";
        let manifest = WorkspaceManifest(text.parse().unwrap());
        assert!(manifest.has_member("work/*") && !manifest.has_member("labs/*"));
        let again: Table = manifest.profiles().parse().unwrap();
        let mut expected = manifest.0["profile"].as_table().unwrap().clone();
        expected.remove("release");
        assert_eq!(again["profile"].as_table().unwrap(), &expected);
    }

    #[test]
    fn a_dependency_is_written_as_it_was() {
        let root = Path::new("/course");
        let parsed = |value| serde_json::from_value::<Dependency>(value).unwrap();
        let nix = parsed(serde_json::json!({
            "name": "nix", "req": "^0.31", "kind": null, "rename": null, "optional": false,
            "uses_default_features": false, "features": ["fs", "sched"], "target": null,
        }));
        let folder = root.join("work/08-own-name");
        let expected = "nix = { version = \"^0.31\", default-features = false, features = [\"fs\", \"sched\"] }\n";
        assert_eq!(nix.line(&folder, root), expected);
        let lab = Dependency {
            path: Some(root.join("crates/lab")),
            rename: Some("l".into()),
            name: "lab".into(),
            features: Vec::new(),
            ..nix
        };
        let expected =
            "l = { path = \"../../crates/lab\", package = \"lab\", default-features = false }\n";
        assert_eq!(lab.line(&folder, root), expected);
    }
}
