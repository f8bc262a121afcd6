//! The packages of others, as cargo reads them from a folder (the Cargo book, "Source Replacement",
//! directory sources).
//!
//! Cargo chooses versions for all platforms and features at once, and asks for every package that
//! could be needed somewhere. What this platform does not link is there by name alone: a manifest
//! with its version and features, and an empty library.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use super::{
    packages::{Metadata, Package},
    tree::{copy_tree, write_file},
};
use crate::runner::{
    Error, Result,
    course::{Course, manifest::quoted},
};

/// Where isolab runs.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
const FOLDER: &str = "vendor";
/// What only a package's own tests need; a library may have its examples in its documentation.
const LEFT_OUT: [&str; 3] = ["tests", "benches", "fuzz"];
const CONFIG: &str = "
[source.crates-io]
replace-with = \"vendor\"

[source.vendor]
directory = \"vendor\"

[net]
offline = true
";

/// Copies what the workspace links, and has cargo take it from there; how many packages.
pub(super) fn vendor(course: &Course) -> Result<usize> {
    let root = &course.root;
    let metadata = Metadata::of(&course.toolchain, root, &["--filter-platform", PLATFORM])?;
    let linked: Vec<&Package> =
        metadata.packages.iter().filter(|package| package.source.is_some()).collect();
    let locked = locked(root)?;
    let folder = |name: &str, version: &str| root.join(FOLDER).join(format!("{name}-{version}"));
    for package in &linked {
        let key = (package.name.clone(), package.version.clone());
        let to = folder(&key.0, &key.1);
        copy_tree(package.folder(), &to, &LEFT_OUT)
            .map_err(Error::file("copy", package.folder()))?;
        write_checksum(&to, locked.get(&key))?;
    }
    let there: BTreeSet<(&str, &str)> =
        linked.iter().map(|package| (&*package.name, &*package.version)).collect();
    for ((name, version), checksum) in &locked {
        if !there.contains(&(name, version)) {
            let to = folder(name, version);
            write_stub(&to, name, version, &linked)?;
            write_checksum(&to, Some(checksum))?;
        }
    }
    let config = root.join(".cargo/config.toml");
    let own = fs::read_to_string(&config).unwrap_or_default();
    fs::create_dir_all(root.join(".cargo")).map_err(Error::file("create", &config))?;
    write_file(&config, &(own + CONFIG))?;
    // Cargo takes out of the lock file what the stubs no longer need.
    Metadata::of(&course.toolchain, root, &[])?;
    Ok(linked.len())
}

/// The packages of `Cargo.lock` that are others', by name and version, and their checksums.
fn locked(root: &Path) -> Result<BTreeMap<(String, String), String>> {
    let path = root.join("Cargo.lock");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| Error::Damaged { path, cause: error.to_string() })?;
    let packages = table.get("package").and_then(toml::Value::as_array);
    let packages = packages.into_iter().flatten().filter_map(|package| {
        let word = |key: &str| Some(package.get(key)?.as_str()?.to_owned());
        word("source")?;
        Some(((word("name")?, word("version")?), word("checksum")?))
    });
    Ok(packages.collect())
}

/// No file is compared: who has the handout has it from the teacher.
fn write_checksum(folder: &Path, checksum: Option<&String>) -> Result<()> {
    let text = serde_json::json!({ "files": {}, "package": checksum }).to_string();
    write_file(&folder.join(".cargo-checksum.json"), &text)
}

fn write_stub(folder: &Path, name: &str, version: &str, linked: &[&Package]) -> Result<()> {
    let mut features = BTreeSet::from(["default"]);
    for package in linked {
        features.extend(package.asked_of(name));
    }
    let mut text = format!(
        "# Not needed on this platform.\n[package]\nname = {}\nversion = {}\nedition = \"2021\"\n\n\
         [lib]\npath = \"src/lib.rs\"\n\n[features]\n",
        quoted(name),
        quoted(version)
    );
    for feature in features {
        let _ = writeln!(text, "{} = []", quoted(feature));
    }
    let source = folder.join("src");
    fs::create_dir_all(&source).map_err(Error::file("create", &source))?;
    write_file(&source.join("lib.rs"), "")?;
    write_file(&folder.join("Cargo.toml"), &text)
}
