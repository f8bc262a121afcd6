//! A directory that was made anew is taken for one that was there all the time.
//!
//! Not in the nest: a tmpfs of its kernel has no attributes by which a directory could be opaque.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

use layers::{Answer, Change};
use nix::{
    mount::{MsFlags, mount},
    sys::stat::{Mode, SFlag, mknod},
};

fn mount_overlay(lowers: &[PathBuf], upper: &Path, work: &Path, target: &Path) -> nix::Result<()> {
    let lowers: Vec<String> = lowers.iter().map(|lower| lower.display().to_string()).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},userxattr",
        lowers.join(":"),
        upper.display(),
        work.display()
    );
    mount(Some("overlay"), target, Some("overlay"), MsFlags::empty(), Some(&*options))
}

fn delete_file(upper: &Path, path: &Path) -> nix::Result<()> {
    mknod(&upper.join(path), SFlag::S_IFCHR, Mode::empty(), 0)
}

fn changes(upper: &Path) -> io::Result<Vec<Change>> {
    let mut found = Vec::new();
    walk(upper, Path::new(""), &mut found)?;
    Ok(found)
}

fn walk(upper: &Path, below: &Path, found: &mut Vec<Change>) -> io::Result<()> {
    for entry in fs::read_dir(upper.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(upper, &path, found)?;
        } else if kind.is_char_device() && entry.metadata()?.rdev() == 0 {
            found.push(Change::Deleted(path));
        } else {
            found.push(Change::Written(path));
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    layers::program(&Answer { mount_overlay, delete_file, changes })
}
