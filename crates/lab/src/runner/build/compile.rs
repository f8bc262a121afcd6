//! Building a lab's programs, and telling the student's errors from everybody else's.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::Deserialize;

use super::lines::{file_for_words, lines_of, words_in};
use crate::runner::{Error, Front, Result, course::Course, output::text::clean};
use crate::visible::visible_with_colours;

/// What came of a build: the programs that there are now, and the targets that did not compile.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// The programs, by their names.
    pub(crate) programs: BTreeMap<String, PathBuf>,
    /// The errors, by their target's name.
    pub(crate) errors: BTreeMap<String, Vec<Diagnostic>>,
}

/// An error of the compiler.
#[derive(Debug, Clone)]
pub(crate) struct Diagnostic {
    /// File, line and message in one line.
    pub(crate) short: String,
    /// The compiler's own paragraph.
    pub(crate) rendered: String,
}

/// What is to be built.
#[derive(Debug)]
pub(crate) struct BuildTargets<'a> {
    /// The packages.
    pub(crate) packages: Vec<&'a str>,
    /// Of them only these programs; all of them if none is named.
    pub(crate) bins: Vec<String>,
    /// Whether errors are rendered in colours.
    pub(crate) colours: bool,
}

/// Builds, and tells `front` what was compiled just now.
pub(crate) fn build(
    course: &Course,
    targets: &BuildTargets<'_>,
    front: &mut dyn Front,
) -> Result<Built> {
    build_in(course, &course.root, targets, front)
}

/// The same in a workspace in the checkout, with what was built for the checkout.
pub(crate) fn build_in(
    course: &Course,
    workspace: &Path,
    targets: &BuildTargets<'_>,
    front: &mut dyn Front,
) -> Result<Built> {
    match attempt(course, workspace, targets, true, front) {
        // What was never fetched cannot be built without the network.
        Err(Error::Cargo { said }) if said.contains("offline") => {
            attempt(course, workspace, targets, false, front)
        }
        built => built,
    }
}

fn attempt(
    course: &Course,
    workspace: &Path,
    targets: &BuildTargets<'_>,
    offline: bool,
    front: &mut dyn Front,
) -> Result<Built> {
    let mut cargo = course.toolchain.cargo_in(workspace, "build");
    cargo.arg("--target-dir").arg(&course.target);
    cargo.args(["--profile", "lab", "--keep-going", "--quiet", "--color", "never"]);
    cargo.args([
        "--message-format",
        match targets.colours {
            true => "json-diagnostic-rendered-ansi",
            false => "json",
        },
    ]);
    if offline {
        cargo.arg("--offline");
    }
    for package in &targets.packages {
        cargo.args(["--package", package]);
    }
    match targets.bins.as_slice() {
        [] => {
            cargo.arg("--bins");
        }
        bins => {
            for bin in bins {
                cargo.args(["--bin", bin]);
            }
        }
    }
    let (words, errors) = file_for_words()?;
    cargo.stdout(Stdio::piped()).stderr(errors);
    let mut child = cargo.spawn().map_err(|error| course.toolchain.no_start(&error))?;
    let mut built = Built::default();
    let status = lines_of(&mut child, front, &mut |line, front| {
        if let Ok(message) = serde_json::from_slice(line) {
            built.take(message, &Folders { root: &course.root, workspace }, &mut |what| {
                front.step(what);
            });
        }
    })?;
    if status.success() || !built.errors.is_empty() {
        return Ok(built);
    }
    /// More of them helps nobody.
    const SHOWN: usize = 64 << 10;
    let said = words_in(words)?;
    let said = String::from_utf8_lossy(&said[..said.len().min(SHOWN)]);
    let said = said.trim().lines().map(clean).collect::<Vec<_>>().join("\n");
    let cannot_write = ["Permission denied", "Read-only file system", "os error 13", "os error 30"];
    match cannot_write.iter().any(|sign| said.contains(sign)) {
        true => Err(Error::ReadOnly { path: course.target.clone() }),
        false => Err(Error::Cargo { said }),
    }
}

#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact { target: Target, executable: Option<PathBuf>, fresh: bool },
    #[serde(rename = "compiler-message")]
    Diagnostic { target: Target, message: Words },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// A message of the compiler's.
#[derive(Deserialize)]
pub(super) struct Words {
    message: String,
    level: String,
    rendered: Option<String>,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    file_name: PathBuf,
    line_start: u32,
    is_primary: bool,
}

/// Where the compiler's paths begin, and where the reader's do.
pub(super) struct Folders<'a> {
    pub(super) root: &'a Path,
    pub(super) workspace: &'a Path,
}

impl Built {
    fn take(&mut self, message: Message, folders: &Folders<'_>, step: &mut dyn FnMut(&str)) {
        match message {
            Message::Artifact { target, executable, fresh } => {
                if !fresh {
                    step(&clean(&target.name));
                }
                if let Some(path) = executable {
                    self.programs.insert(target.name, path);
                }
            }
            Message::Diagnostic { target, message } => {
                self.take_words(&target.name, message, folders);
            }
            Message::Other => {}
        }
    }

    /// Takes what the compiler says of a target.
    pub(super) fn take_words(&mut self, target: &str, words: Words, folders: &Folders<'_>) {
        if words.level != "error" {
            return;
        }
        let errors = self.errors.entry(target.to_owned()).or_default();
        // "aborting due to 2 previous errors" has no place and says nothing more.
        if !words.spans.is_empty() || errors.is_empty() {
            errors.push(words.diagnostic(folders));
        }
    }
}

impl Words {
    fn diagnostic(self, folders: &Folders<'_>) -> Diagnostic {
        let mut rendered = self.rendered.unwrap_or_else(|| self.message.clone());
        let mut location = String::new();
        if let Some(span) = self.spans.iter().find(|span| span.is_primary) {
            // Relative to the workspace; absolute ones stay so.
            let path = folders.workspace.join(&span.file_name);
            let path = path.strip_prefix(folders.root).unwrap_or(&path).display().to_string();
            location = format!("{path}:{}: ", span.line_start);
            let said = format!(" {}:", span.file_name.display());
            rendered = rendered.replace(&said, &format!(" {path}:"));
        }
        let first = self.message.lines().next().unwrap_or_default();
        Diagnostic { short: clean(&(location + first)), rendered: visible_with_colours(&rendered) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lines: &[&str]) -> Built {
        let mut built = Built::default();
        for line in lines {
            let folders = Folders { root: Path::new("/root"), workspace: Path::new("/root/work") };
            built.take(serde_json::from_str(line).unwrap(), &folders, &mut |_| {});
        }
        built
    }

    #[test]
    fn programs_and_errors_are_told_by_their_targets() {
        let built = taken(&[
            r#"{"reason":"build-script-executed","package_id":"x"}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"lab08-check"},"executable":"/t/c","fresh":true}"#,
            r#"{"reason":"compiler-message","target":{"name":"lab08"},"message":{"message":"unused","level":"warning","rendered":"w","spans":[]}}"#,
            r#"{"reason":"compiler-message","target":{"name":"lab08"},"message":{"message":"no `x`\nmore","level":"error","rendered":"long\n --> 08/student.rs:7:1","spans":[{"file_name":"08/student.rs","line_start":7,"is_primary":true}]}}"#,
            r#"{"reason":"compiler-message","target":{"name":"lab08"},"message":{"message":"aborting","level":"error","rendered":"a","spans":[]}}"#,
            r#"{"reason":"build-finished","success":false}"#,
        ]);
        assert_eq!(built.programs["lab08-check"], Path::new("/t/c"));
        let errors = &built.errors["lab08"];
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].short, "work/08/student.rs:7: no `x`");
        assert_eq!(errors[0].rendered, "long\n --> work/08/student.rs:7:1");
    }
}
