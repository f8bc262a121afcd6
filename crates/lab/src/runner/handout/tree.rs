//! The files of a handout that are the checkout's: crates and labs, and the workspace around them.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use super::{furnish, packages::Package};
use crate::runner::{
    Error, Result,
    course::{Course, Lab, manifest::quoted, work::MEMBERS},
};

/// What students neither need nor should have.
const LEFT_OUT: [&str; 8] = [
    "tests",
    "examples",
    "benches",
    "template",
    "mutants",
    "target",
    "Cargo.toml",
    "src/solution.rs",
];
/// Files of the root that are taken along.
const KEPT: [&str; 4] = ["LICENSE-APACHE", "LICENSE-MIT", "labs/README.md", "labs/README.zh.md"];

/// Writes the workspace and its packages, with the students' own.
pub(super) fn write(
    course: &Course,
    packages: &[Package],
    labs: &[&Lab],
    folder: &Path,
) -> Result<()> {
    let chosen: BTreeSet<&Path> = labs.iter().map(|lab| lab.folder.as_path()).collect();
    let mut members = format!("    {},\n", quoted(MEMBERS));
    for package in packages {
        let from = package.folder();
        let path = from.strip_prefix(&course.root).map_err(|_| Error::Cargo {
            said: format!("{} is not in the checkout", from.display()),
        })?;
        let to = folder.join(path);
        copy_tree(from, &to, &LEFT_OUT).map_err(Error::file("copy", from))?;
        let mut manifest = package.manifest(&course.root);
        // A lab that is only linked by another one is not to be done.
        if course.labs.iter().any(|lab| lab.folder == from) && !chosen.contains(from) {
            manifest = manifest
                .lines()
                .filter(|line| !line.starts_with("metadata = "))
                .fold(String::new(), |text, line| text + line + "\n");
        }
        write_file(&to.join("Cargo.toml"), &manifest)?;
        let _ = writeln!(members, "    {},", quoted(&path.display().to_string()));
    }
    let text = format!(
        "# A handout of isolab's labs.\n[workspace]\nresolver = \"3\"\nmembers = [\n{members}]\n{}",
        course.manifest.profiles()
    );
    write_file(&folder.join("Cargo.toml"), &text)?;
    for path in KEPT.into_iter().chain(["Cargo.lock", ".cargo/config.toml"]) {
        let (from, to) = (course.root.join(path), folder.join(path));
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap_or(folder))
                .map_err(Error::file("create", &to))?;
            fs::copy(&from, &to).map_err(Error::file("copy", from))?;
        }
    }
    furnish(&Course::find(folder)?)
}

/// Writes a file.
pub(super) fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::file("write", path))
}

/// Copies regular files and folders, but those at these paths, and hidden ones.
pub(super) fn copy_tree(from: &Path, to: &Path, left_out: &[&str]) -> io::Result<()> {
    copy_below(from, to, &mut PathBuf::new(), left_out)
}

fn copy_below(from: &Path, to: &Path, at: &mut PathBuf, left_out: &[&str]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        at.push(&name);
        if !is_hidden && !left_out.iter().any(|path| *at == Path::new(path)) {
            let (kind, to) = (entry.file_type()?, to.join(&name));
            if kind.is_dir() {
                copy_below(&entry.path(), &to, at, left_out)?;
            } else if kind.is_file() {
                fs::copy(entry.path(), to)?;
            }
        }
        at.pop();
    }
    Ok(())
}
