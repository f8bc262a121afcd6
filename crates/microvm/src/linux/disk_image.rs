//! A root that is too large for an initramfs, as an ext4 image for one run.
//!
//! mke2fs(8) fills the image from a directory without mounting it, so no root is needed. The file
//! has no name from the moment it is there: whatever ends the launcher, it is gone.
//!
//! Busybox has a program of the same name that makes an empty ext2 and takes no directory, so each
//! mke2fs on the path is asked what it is.

mod error;

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    devices::virtio::disk::{Access, Disk},
    error::{Error, Result},
    initramfs::Root,
    linux::merged::Merged,
};

pub use error::RootDiskError;

/// What mke2fs wants beside the content, in proportion and at least: tables, a journal, room.
const SHARE: u64 = 4;
const LEAST_BYTES: u64 = 64 << 20;

/// Where administrators' programs are, which is not in every user's `PATH`.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// A disk with all that is in `trees`, the uppermost first, which have so many bytes. With enough
/// memory there would be no need of it.
///
/// # Errors
///
/// When the host has no mke2fs, no room, or a tree cannot be read or merged with the others.
pub fn of(trees: &[PathBuf], bytes: u64, enough_memory: Option<u64>) -> Result<Disk> {
    let image = file(trees, bytes, enough_memory)?;
    Disk::of(image, Access::Write).map_err(|source| Error::Disk { file: uppermost(trees), source })
}

/// The image of such a disk for the layers in `trees`, the uppermost first, whether a guest with them
/// as its root would need one or not: a file without a name.
///
/// # Errors
///
/// When the host has no mke2fs, no room, or a tree cannot be read or merged with the others.
pub fn root_disk(trees: &[PathBuf]) -> Result<File> {
    let mut root = Root::new();
    trees.iter().try_for_each(|tree| root.add_tree(tree))?;
    file(trees, root.bytes(), None)
}

fn uppermost(trees: &[PathBuf]) -> PathBuf {
    trees.first().cloned().unwrap_or_default()
}

fn file(trees: &[PathBuf], bytes: u64, enough_memory: Option<u64>) -> Result<File> {
    if let [tree] = trees {
        return of_tree(tree, bytes, enough_memory);
    }
    let merged = Merged::of(trees).map_err(|source| Error::RootDisk {
        tree: uppermost(trees),
        enough_memory,
        source: RootDiskError::Layers(source),
    })?;
    of_tree(&merged.path(), bytes, enough_memory)
}

fn of_tree(tree: &Path, bytes: u64, enough_memory: Option<u64>) -> Result<File> {
    let failed = |source| Error::RootDisk { tree: tree.to_owned(), enough_memory, source };
    let io_failed = |source| failed(RootDiskError::Failed(source));
    let program = mke2fs().map_err(failed)?;
    let image = tempfile::tempfile().map_err(io_failed)?;
    let size = (bytes + bytes / SHARE + LEAST_BYTES).next_multiple_of(1 << 20);
    image.set_len(size).map_err(io_failed)?;
    let as_input = image.try_clone().map_err(io_failed)?;
    let made = Command::new(program)
        .args(["-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal,^metadata_csum"])
        .args(["-E", "root_owner=0:0,lazy_itable_init=1", "-d"])
        .arg(tree)
        // The file has no other name than the one that it has for mke2fs.
        .stdin(as_input)
        .arg("/proc/self/fd/0")
        .output()
        .map_err(io_failed)?;
    if !made.status.success() {
        let words = String::from_utf8_lossy(&made.stderr);
        return Err(io_failed(io::Error::other(words.trim().to_owned())));
    }
    Ok(image)
}

/// The mke2fs of e2fsprogs.
///
/// # Errors
///
/// When the host has none, or only another program of that name.
pub fn mke2fs() -> Result<PathBuf, RootDiskError> {
    let path = env::var_os("PATH").unwrap_or_default();
    find_mke2fs(&[OsStr::new(USUAL_PATH), &path])
}

fn find_mke2fs(paths: &[&OsStr]) -> Result<PathBuf, RootDiskError> {
    let mut other = RootDiskError::NoMke2fs;
    for folder in paths.iter().flat_map(env::split_paths).filter(|folder| folder.is_absolute()) {
        let program = folder.join("mke2fs");
        match Command::new(&program).arg("-V").output() {
            // What e2fsprogs' own says, on standard error.
            Ok(said) if memchr::memmem::find(&said.stderr, b"EXT2FS Library").is_some() => {
                return Ok(program);
            }
            Ok(_) => other = RootDiskError::OtherMke2fs { program },
            Err(_) => {}
        }
    }
    Err(other)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    };

    use super::*;

    /// A folder with an mke2fs that says this when it is asked for its version.
    fn folder_with(words: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("mke2fs");
        fs::write(&program, format!("#!/bin/sh\necho '{words}' >&2\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn a_disk_has_blocks_for_what_is_in_it_alone() {
        if let Err(error) = mke2fs() {
            // `ISOLAB_REQUIRE=microvm` makes a failure of it.
            let required = env::var("ISOLAB_REQUIRE").unwrap_or_default();
            assert!(!required.contains("microvm"), "{error}");
            return println!("skipped: {error}");
        }
        let tree = tempfile::tempdir().unwrap();
        let empty = root_disk(&[tree.path().to_owned()]).unwrap().metadata().unwrap();
        fs::write(tree.path().join("file"), vec![1; 1 << 20]).unwrap();
        let full = root_disk(&[tree.path().to_owned()]).unwrap().metadata().unwrap();
        let grown = full.blocks() * 512 - empty.blocks() * 512;
        assert!((1 << 20..2 << 20).contains(&grown), "{grown}");
        assert!(full.blocks() * 512 < full.len() / 4, "{full:?}");
    }

    #[test]
    fn only_the_mke2fs_that_can_fill_a_disk_is_taken() {
        let busybox =
            folder_with("mke2fs: invalid option -- V\nBusyBox v1.35.0 multi-call binary.");
        let e2fsprogs =
            folder_with("mke2fs 1.47.0 (5-Feb-2023)\nUsing EXT2FS Library version 1.47.0");
        let none = tempfile::tempdir().unwrap();
        let [busybox, e2fsprogs, none] = [&busybox, &e2fsprogs, &none].map(tempfile::TempDir::path);
        let find = |folders: &[&Path]| find_mke2fs(&[&env::join_paths(folders).unwrap()]);
        assert_eq!(find(&[none, busybox, e2fsprogs]).unwrap(), e2fsprogs.join("mke2fs"));
        assert!(matches!(find(&[none]), Err(RootDiskError::NoMke2fs)));
        let error = find(&[busybox, none]).unwrap_err();
        assert!(
            matches!(&error, RootDiskError::OtherMke2fs { program } if program.starts_with(busybox)),
            "{error}"
        );
    }
}
