//! What cargo knows of the packages: those of the checkout that the labs need, and their manifests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::runner::{
    Error, Result,
    build::toolchain::Toolchain,
    course::{
        Lab,
        manifest::{Dependency, inline, quoted},
    },
    output::text::clean,
};

/// What `cargo metadata` says.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
}

/// A package.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Where it comes from; nothing for one of the checkout.
    pub(super) source: Option<String>,
    edition: String,
    description: Option<String>,
    license: Option<String>,
    links: Option<String>,
    pub(super) manifest_path: PathBuf,
    pub(super) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
    features: BTreeMap<String, Vec<String>>,
    metadata: Option<toml::Value>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Metadata {
    /// Asks cargo about the workspace in this folder.
    pub(super) fn of(toolchain: &Toolchain, workspace: &Path, words: &[&str]) -> Result<Self> {
        let mut cargo = toolchain.cargo_in(workspace, "metadata");
        cargo.args(["--format-version", "1", "--offline"]).args(words);
        let ended = cargo.output().map_err(|error| toolchain.no_start(&error))?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
            return Err(Error::Cargo {
                said: said.lines().map(clean).collect::<Vec<_>>().join("\n"),
            });
        }
        serde_json::from_slice(&ended.stdout)
            .map_err(|error| Error::Cargo { said: error.to_string() })
    }
}

/// The labs' packages and all that they need of the checkout.
pub(super) fn needed(metadata: &Metadata, labs: &[&Lab]) -> Vec<Package> {
    let mut waiting: Vec<PathBuf> = labs.iter().map(|lab| lab.folder.clone()).collect();
    let mut known: BTreeSet<PathBuf> = waiting.iter().cloned().collect();
    let mut needed = Vec::new();
    while let Some(folder) = waiting.pop() {
        let found = metadata.packages.iter().find(|it| it.folder() == folder);
        let Some(package) = found else { continue };
        for path in package.linked().filter_map(|it| it.path.clone()) {
            if known.insert(path.clone()) {
                waiting.push(path);
            }
        }
        needed.push(package.clone());
    }
    needed.sort_by(|one, other| one.manifest_path.cmp(&other.manifest_path));
    needed
}

impl Package {
    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("/"))
    }

    /// What its programs and its build script link, whatever features it has.
    fn linked(&self) -> impl Iterator<Item = &Dependency> {
        let is_linked = |it: &&Dependency| it.kind.as_deref() != Some("dev") && !it.optional;
        self.dependencies.iter().filter(is_linked)
    }

    /// The features that it could ask of another package: where it depends on that, and in features
    /// of its own (`alloc = ["other/alloc"]`).
    pub(super) fn asked_of(&self, name: &str) -> BTreeSet<&str> {
        let asking: Vec<&Dependency> =
            self.dependencies.iter().filter(|it| it.name == name).collect();
        let own = asking.iter().flat_map(|it| &it.features).map(String::as_str);
        let through = self.features.values().flatten().filter_map(|feature| {
            let (other, feature) = feature.split_once('/')?;
            let other = other.trim_end_matches('?');
            let is_it = |it: &&Dependency| it.rename.as_ref().unwrap_or(&it.name) == other;
            asking.iter().any(is_it).then_some(feature)
        });
        own.chain(through).collect()
    }

    /// Its manifest without what only tests, solutions, wrong answers and features need; the
    /// checkout in `from` becomes the one in `to`.
    pub(super) fn manifest(&self, from: &Path) -> String {
        let folder = self.folder();
        let mut text = format!(
            "[package]\nname = {}\nversion = {}\nedition = {}\npublish = false\nautobins = false\n",
            quoted(&self.name),
            quoted(&self.version),
            quoted(&self.edition),
        );
        let words = [
            ("description", &self.description),
            ("license", &self.license),
            ("links", &self.links),
        ];
        for (key, word) in words {
            if let Some(word) = word {
                let _ = writeln!(text, "{key} = {}", quoted(word));
            }
        }
        let path = |target: &Target| {
            let path = target.src_path.strip_prefix(folder).unwrap_or(&target.src_path);
            quoted(&path.display().to_string())
        };
        let is = |target: &Target, kind: &str| target.kind.iter().any(|it| it == kind);
        if let Some(script) = self.targets.iter().find(|it| is(it, "custom-build")) {
            let _ = writeln!(text, "build = {}", path(script));
        }
        if let Some(metadata) = &self.metadata {
            let _ = writeln!(text, "metadata = {}", inline(metadata));
        }
        for lib in self.targets.iter().filter(|it| is(it, "lib")) {
            let _ = writeln!(
                text,
                "\n[lib]\npath = {}\ntest = false\ndoctest = false\nbench = false",
                path(lib)
            );
        }
        for bin in self.targets.iter().filter(|it| is(it, "bin") && is_handed_out(&it.name)) {
            let (name, path) = (quoted(&bin.name), path(bin));
            let _ = writeln!(text, "\n[[bin]]\nname = {name}\npath = {path}\ntest = false");
        }
        // A feature that nobody asks for is still known to the compiler.
        if !self.features.is_empty() {
            text += "\n[features]\n";
            for name in self.features.keys() {
                let _ = writeln!(text, "{} = []", quoted(name));
            }
        }
        for (kind, head) in [(None, "dependencies"), (Some("build"), "build-dependencies")] {
            let mut of_kind: Vec<&Dependency> =
                self.linked().filter(|it| it.kind.as_deref() == kind).collect();
            of_kind.sort_by_key(|it| &it.target);
            let mut section = None;
            for dependency in of_kind {
                if section != Some(&dependency.target) {
                    let _ = match &dependency.target {
                        None => writeln!(text, "\n[{head}]"),
                        Some(target) => writeln!(text, "\n[target.{}.{head}]", quoted(target)),
                    };
                    section = Some(&dependency.target);
                }
                text += &dependency.line(folder, from);
            }
        }
        text
    }
}

/// Of a lab's programs the student's and the check, which says what the lab is.
fn is_handed_out(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("lab") else { return false };
    let (number, rest) = rest.split_at_checked(2).unwrap_or_default();
    number.bytes().all(|byte| byte.is_ascii_digit()) && ["", "-check"].contains(&rest)
}
