//! What cargo says of a checkout's packages, and which of them are labs.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{Lab, Mutant, manifest::Dependency, needs::Need, work};
use crate::runner::{Error, LocalUser, Result, build::toolchain::Toolchain};
use crate::visible::visible as clean;

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    pub(super) target_directory: PathBuf,
}

#[derive(Deserialize)]
pub(super) struct Package {
    name: String,
    manifest_path: PathBuf,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    metadata: Option<Value>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

/// `[package.metadata.lab]`.
#[derive(Deserialize)]
struct InManifest {
    track: String,
    minutes: u32,
    #[serde(default)]
    needs: Vec<Need>,
    #[serde(default)]
    timing: bool,
    #[serde(default)]
    nest: bool,
    #[serde(default)]
    counted: bool,
}

impl Metadata {
    pub(super) fn of(toolchain: &Toolchain) -> Result<Self> {
        let mut cargo = toolchain.cargo("metadata");
        cargo.args(["--no-deps", "--format-version", "1", "--offline"]);
        let ended = cargo.output().map_err(|error| toolchain.no_start(&error))?;
        let said = || {
            let text = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
            text.lines().map(clean).collect::<Vec<_>>().join("\n")
        };
        if !ended.status.success() {
            return Err(Error::Cargo { said: said() });
        }
        serde_json::from_slice(&ended.stdout)
            .map_err(|error| Error::Cargo { said: error.to_string() })
    }
}

impl Package {
    pub(super) fn lab(&self, root: &Path, owner: &LocalUser) -> Option<Lab> {
        let folder = self.manifest_path.parent()?;
        folder.starts_with(root.join("labs")).then_some(())?;
        // They go to a terminal, and to cargo again.
        let name = folder.to_str().filter(|folder| clean(folder) == *folder)?;
        (is_plain(&self.name) && !name.contains("/../")).then_some(())?;
        let about: InManifest =
            serde_json::from_value(self.metadata.as_ref()?.get("lab")?.clone()).ok()?;
        let bins = || self.targets.iter().filter(|target| target.kind.iter().any(|it| it == "bin"));
        let checks = |target: &Target| {
            let id = target.name.strip_prefix("lab")?.strip_suffix("-check")?;
            (id.len() == 2 && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
        };
        let id = bins().find_map(checks)?;
        let prefix = format!("lab{id}-");
        let mutant = |target: &Target| {
            let name = target.name.strip_prefix(&prefix)?;
            let text = owner.read_text(&target.src_path).unwrap_or_default();
            (!["check", "solution"].contains(&name) && is_plain(name)).then(|| Mutant {
                bin: target.name.clone(),
                caught_as: said_by(&text, "Caught as: ").unwrap_or(format!("L{id}-{name}")),
                nest: said_by(&text, "Not in the nest: ").is_none(),
            })
        };
        let full_name = format!("{id}-{}", self.name);
        Some(Lab {
            work: root.join(work::FOLDER).join(full_name),
            dependencies: self.dependencies.clone(),
            name: self.name.clone(),
            folder: folder.to_owned(),
            track: about.track,
            minutes: about.minutes,
            needs: about.needs,
            timing: about.timing,
            nest: about.nest,
            counted: about.counted,
            mutants: bins().filter_map(mutant).collect(),
            owner: owner.clone(),
            id,
        })
    }
}

/// Whether a name is one as cargo lets packages and programs have.
fn is_plain(name: &str) -> bool {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    name.chars().all(allowed) && !name.starts_with('-')
}

/// What a mutant's file says of itself: `Caught as: ` the message, if it is not the one of its own
/// name; `Not in the nest: ` why its mistake cannot be made there.
fn said_by(text: &str, what: &str) -> Option<String> {
    let said = text.lines().find_map(|line| line.strip_prefix("//! ")?.strip_prefix(what))?;
    Some(said.trim().trim_end_matches('.').trim_matches('`').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_package_with_a_check_is_a_lab_and_its_other_programs_are_mutants() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("labs/08-own-name");
        fs::create_dir_all(&own).unwrap();
        let early = own.join("early.rs");
        fs::write(&early, "//! Ends at once.\n//! Caught as: ended-early\n").unwrap();
        let bin = |name: &str, path: &Path| {
            serde_json::json!({
                "name": name, "kind": ["bin"], "src_path": path,
            })
        };
        let package: Package = serde_json::from_value(serde_json::json!({
            "name": "own-name",
            "manifest_path": own.join("Cargo.toml"),
            "metadata": { "lab": { "track": "container", "minutes": 45, "needs": ["namespaces"] } },
            "targets": [
                bin("lab08", Path::new("/none")), bin("lab08-solution", Path::new("/none")),
                bin("lab08-check", Path::new("/none")), bin("lab08-no-fork", Path::new("/none")),
                bin("lab08-early", &early),
            ],
        }))
        .unwrap();
        let lab = package.lab(folder.path(), &LocalUser::caller()).unwrap();
        assert_eq!((&*lab.id, lab.needs.as_slice()), ("08", &[Need::Namespaces][..]));
        let caught: Vec<&str> = lab.mutants.iter().map(|mutant| &*mutant.caught_as).collect();
        assert_eq!(caught, ["L08-no-fork", "ended-early"]);
        assert_eq!(lab.is_renamed(), None);
    }
}
