//! The libraries that a lab's programs are linked with, for compiling further programs of the lab
//! without cargo: hundreds of them, each in a second.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::{Deserialize, de::DeserializeOwned};

use super::toolchain::Toolchain;
use crate::runner::{
    Error, Result,
    course::{Course, Lab},
    output::text::clean,
};

/// What rustc is told for a program of a lab, but for its source and its output.
#[derive(Debug)]
pub(crate) struct Libraries {
    words: Vec<OsString>,
    toolchain: Toolchain,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    edition: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    /// As `use` names it.
    name: String,
    pkg: String,
}

/// A line of `cargo build --message-format json`.
#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// `.cargo/config.toml`, of which cargo tells nothing itself.
#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    build: ConfigBuild,
    #[serde(default)]
    target: BTreeMap<String, ConfigTarget>,
}

#[derive(Default, Deserialize)]
struct ConfigBuild {
    target: Option<String>,
}

#[derive(Deserialize)]
struct ConfigTarget {
    #[serde(default)]
    rustflags: Vec<String>,
}

impl Libraries {
    /// Those of the lab's solution, which are built if they are not there.
    ///
    /// # Errors
    ///
    /// When cargo fails.
    pub(crate) fn of(course: &Course, lab: &Lab) -> Result<Self> {
        let mut cargo = course.toolchain.cargo("metadata");
        cargo.args(["--format-version", "1", "--offline"]);
        let metadata: Metadata = parsed(&output(cargo, &course.toolchain)?)?;
        let mut cargo = course.toolchain.cargo("build");
        cargo.args(["--profile", "lab", "--offline", "--quiet", "--message-format", "json"]);
        cargo.args(["--package", &lab.name, "--bin", &lab.bin("-solution")]);
        let built = output(cargo, &course.toolchain)?;
        let artifacts = built.split(|byte| *byte == b'\n');
        let artifacts: Vec<Artifact> =
            artifacts.filter_map(|line| serde_json::from_slice(line).ok()).collect();

        let missing =
            || Error::Cargo { said: format!("cargo does not know the package {}", lab.name) };
        let package = metadata.packages.iter().find(|package| package.name == lab.name);
        let package = package.ok_or_else(missing)?;
        let node = metadata.resolve.nodes.iter().find(|node| node.id == package.id);
        let mut words: Vec<OsString> =
            ["--edition", &package.edition, "--crate-type", "bin", "--cap-lints", "allow"]
                .map(OsString::from)
                .to_vec();
        // As the profile `lab` has it.
        words.extend(
            ["-Cdebug-assertions=yes", "-Cdebuginfo=0", "-Cstrip=debuginfo"].map(Into::into),
        );
        words.extend(flags(&course.root, lab));
        let own = own_library(&artifacts, &package.id);
        let direct = node.ok_or_else(missing)?.deps.iter().filter_map(|dependency| {
            Some((dependency.name.as_str(), library(&artifacts, &dependency.pkg)?))
        });
        for (name, file) in own.into_iter().chain(direct) {
            words
                .extend(["--extern".into(), joined(&[name.as_ref(), "=".as_ref(), file.as_ref()])]);
        }
        let folders: std::collections::BTreeSet<PathBuf> = artifacts
            .iter()
            .flat_map(|artifact| &artifact.filenames)
            .filter_map(|file| Some(file.parent()?.to_owned()))
            .flat_map(|folder| [folder.join("deps"), folder])
            .collect();
        for folder in folders {
            words.extend(["-L".into(), joined(&["dependency=".as_ref(), folder.as_ref()])]);
        }
        Ok(Self { words, toolchain: course.toolchain.clone() })
    }

    /// Compiles a program; `false` if the compiler refuses it.
    ///
    /// # Errors
    ///
    /// When there is no compiler.
    pub(crate) fn compile(&self, source: &Path, program: &Path) -> Result<bool> {
        let mut rustc = self.toolchain.command("rustc");
        rustc.args(&self.words).arg("--crate-name=changed").arg("-o").args([program, source]);
        rustc.stdout(Stdio::null()).stderr(Stdio::null());
        let ended = rustc.status().map_err(|error| self.toolchain.no_start(&error))?;
        Ok(ended.success())
    }
}

/// The flags of the checkout's own configuration.
fn flags(root: &Path, lab: &Lab) -> Vec<OsString> {
    let text = lab.owner.read_text(&root.join(".cargo/config.toml")).unwrap_or_default();
    let mut config: Config = toml::from_str(&text).unwrap_or_default();
    let Some(target) = config.build.target else { return Vec::new() };
    let flags = config.target.remove(&target).map_or_else(Vec::new, |it| it.rustflags);
    ["--target".to_owned(), target].into_iter().chain(flags).map(OsString::from).collect()
}

fn own_library<'a>(artifacts: &'a [Artifact], package: &str) -> Option<(&'a str, &'a Path)> {
    let own = artifacts.iter().find(|it| it.package_id == package && it.is_library())?;
    Some((&own.target.name, own.file()?))
}

fn library<'a>(artifacts: &'a [Artifact], package: &str) -> Option<&'a Path> {
    artifacts.iter().find(|it| it.package_id == package && it.is_library())?.file()
}

impl Artifact {
    fn is_library(&self) -> bool {
        self.target.kind.iter().any(|kind| kind == "lib" || kind == "rlib" || kind == "proc-macro")
    }

    fn file(&self) -> Option<&Path> {
        let is_linked = |file: &&PathBuf| {
            file.extension().is_some_and(|extension| extension == "rlib" || extension == "so")
        };
        self.filenames.iter().find(is_linked).map(PathBuf::as_path)
    }
}

fn joined(parts: &[&std::ffi::OsStr]) -> OsString {
    parts.iter().fold(OsString::new(), |mut all, part| {
        all.push(part);
        all
    })
}

fn output(mut command: Command, toolchain: &Toolchain) -> Result<Vec<u8>> {
    let ended = command.output().map_err(|error| toolchain.no_start(&error))?;
    match ended.status.success() {
        true => Ok(ended.stdout),
        false => {
            let said = String::from_utf8_lossy(&ended.stderr);
            Err(Error::Cargo { said: said.lines().map(clean).collect::<Vec<_>>().join("\n") })
        }
    }
}

fn parsed<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| Error::Cargo { said: error.to_string() })
}
