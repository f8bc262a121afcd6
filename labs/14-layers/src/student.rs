//! Lab 14: stack directories on top of each other.
//!
//! Write the three functions. `isolab lab check 14` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

use layers::{Answer, Change, attribute};
use nix::{
    mount::{MsFlags, mount},
    sys::stat::{Mode, SFlag, mknod},
};

/// Deletes the file `path` of a lower layer in the layer `upper`, which is not mounted yet: it puts a
/// *whiteout* there, a character device with the number 0:0 (overlayfs.rst, "whiteouts and opaque
/// directories").
///
/// `path` is relative to the layers; its directory exists in `upper`.
fn delete_file(upper: &Path, path: &Path) -> nix::Result<()> {
    todo!("lab 14, step 1: mknod(2), with a type, no permissions and a number")
}

/// Mounts an overlay on `target`: the layers `lowers`, of which the first is uppermost, below
/// `upper`, which receives all writes. `work` is overlayfs's own directory.
///
/// The options are one string, `name=value` with commas between; the lower layers are separated by
/// colons. You are root in a user namespace only, and may not write the attributes with
/// which overlayfs usually marks directories: `userxattr` makes it use others.
fn mount_overlay(lowers: &[PathBuf], upper: &Path, work: &Path, target: &Path) -> nix::Result<()> {
    todo!("lab 14, step 2: lowerdir, upperdir, workdir, userxattr; then mount(2)")
}

/// What the layer `upper` changes in the layers below it, found in `upper` alone:
///
/// - a whiteout: [`Change::Deleted`];
/// - a directory whose attribute `user.overlay.opaque` is `y`: [`Change::Replaced`], and its
///   contents as usual;
/// - any other directory: not a change itself, only its contents;
/// - anything else: [`Change::Written`].
///
/// [`attribute`] reads an attribute. Links are not followed. Paths are relative to `upper`, each once,
/// in any order.
fn changes(upper: &Path) -> io::Result<Vec<Change>> {
    todo!("lab 14, step 3: walk through upper")
}

fn main() -> ExitCode {
    layers::program(&Answer { mount_overlay, delete_file, changes })
}
