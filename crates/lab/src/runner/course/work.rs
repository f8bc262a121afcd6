//! Where a student's own files are: a folder that git ignores, and cargo builds.
//!
//! ```text
//!   labs/08-own-name/src/student.rs    the skeleton, as git has it
//!   work/08-own-name/student.rs        the student's file, made from it by `isolab lab start`
//!   work/08-own-name/Cargo.toml        a package with what the lab's own has: completion works
//!   work/Cargo.toml, Cargo.lock        a workspace of its own, so that nothing tracked changes
//! ```
//!
//! A handout's one workspace has `work/*` as members: there the last two are the root's.
//!
//! One rule says what is judged: the file in `work`, and only where there is none the skeleton's,
//! for whoever has edited that one.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::{Course, Lab, manifest, skeleton};
use crate::runner::{Book, Error, LocalUser, Result};

/// The folder below the checkout's root.
pub(crate) const FOLDER: &str = "work";
/// How a workspace that has the students' files in itself names them.
pub(crate) const MEMBERS: &str = "work/*";

const README: &str = "Your files: `isolab lab start NN` makes them here.\n\n\
                      你的文件：`isolab lab start NN` 会在这里生成。\n";

/// What `start` found, or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was there.
    Kept,
    /// It was made from the skeleton.
    Skeleton,
    /// It is a copy of the tracked file, in which the student had written.
    Tracked,
}

/// Makes the folder of all students' files, with something in it: cargo reads no workspace with
/// members `work/*` if none is there.
pub(crate) fn make_folder(root: &Path, owner: &LocalUser) -> Result<()> {
    let folder = root.join(FOLDER);
    let readme = folder.join("README.md");
    if owner.acting(|| readme.exists()) {
        return Ok(());
    }
    let make = || DirBuilder::new().recursive(true).mode(0o755).create(&folder);
    owner.acting(make).map_err(Error::file("create", &folder))?;
    put(owner, &readme, README.as_bytes())
}

/// Makes the student's file, unless it is there.
pub(crate) fn begin(course: &Course, book: &Book, lab: &Lab) -> Result<Origin> {
    skeleton::keep(book, course, lab)?;
    let origin = match (lab.has_work(), skeleton::is_edited(course, lab)) {
        (true, _) => Origin::Kept,
        (false, Some(true)) => Origin::Tracked,
        (false, _) => Origin::Skeleton,
    };
    if origin != Origin::Kept {
        let tracked = lab.student();
        let text = lab.owner.read(&tracked).map_err(Error::file("read", tracked))?;
        let folder = &lab.work;
        let make = || DirBuilder::new().recursive(true).mode(0o755).create(folder);
        lab.owner.acting(make).map_err(Error::file("create", folder))?;
        put(&lab.owner, &lab.work_file(), &text)?;
    }
    furnish(course, lab)?;
    Ok(origin)
}

/// Writes what cargo needs beside the student's file, where it is not so already; gives the folder
/// of the workspace.
pub(crate) fn furnish(course: &Course, lab: &Lab) -> Result<PathBuf> {
    let folder = course.root.join(FOLDER);
    write_if_new(&lab.owner, &lab.work.join("Cargo.toml"), &manifest::of_work(course, lab))?;
    if course.manifest.has_member(MEMBERS) {
        return Ok(course.root.clone());
    }
    let begun = course.labs.iter().filter(|other| other.has_work());
    let mut members = String::new();
    for lab in begun {
        let _ = writeln!(members, "    {},", manifest::quoted(&lab.full_name()));
    }
    let text = format!(
        "# Made by `isolab lab start`. Open this folder in your editor.\n[workspace]\n\
         resolver = \"3\"\nmembers = [\n{members}]\n{}",
        course.manifest.profiles()
    );
    write_if_new(&lab.owner, &folder.join("Cargo.toml"), &text)?;
    keep_lock(course, &lab.owner, &folder)?;
    Ok(folder)
}

/// The versions that the checkout has: copied again once those have changed.
fn keep_lock(course: &Course, owner: &LocalUser, folder: &Path) -> Result<()> {
    let (theirs, own) = (course.root.join("Cargo.lock"), folder.join("Cargo.lock"));
    let time = |path: &Path| owner.acting(|| fs::metadata(path)?.modified()).ok();
    match (time(&theirs), time(&own)) {
        (None, _) => Ok(()),
        (Some(theirs), Some(own)) if theirs <= own => Ok(()),
        _ => {
            let text = owner.read(&theirs).map_err(Error::file("read", theirs))?;
            put(owner, &own, &text)
        }
    }
}

fn write_if_new(owner: &LocalUser, path: &Path, text: &str) -> Result<()> {
    match owner.read(path) {
        Ok(found) if found == text.as_bytes() => Ok(()),
        _ => put(owner, path, text.as_bytes()),
    }
}

fn put(owner: &LocalUser, path: &Path, text: &[u8]) -> Result<()> {
    owner.write(path, text).map_err(Error::file("write", path))
}
