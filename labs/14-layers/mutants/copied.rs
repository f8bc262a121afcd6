//! All layers copied into one directory: it looks right, and takes their space for each container.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

use layers::{Answer, Change, attribute};
use nix::{
    errno::Errno,
    sys::stat::{Mode, SFlag, mknod},
};

fn mount_overlay(
    lowers: &[PathBuf],
    _upper: &Path,
    _work: &Path,
    target: &Path,
) -> nix::Result<()> {
    for lower in lowers.iter().rev() {
        copy(lower, target).map_err(|_| Errno::EIO)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
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
            if attribute(&entry.path(), "user.overlay.opaque").is_some_and(|value| value == b"y") {
                found.push(Change::Replaced(path.clone()));
            }
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
