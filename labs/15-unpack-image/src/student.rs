//! Lab 15: unpack an image that you do not trust.
//!
//! Write the four functions. `isolab lab check 15` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;
use unpack_image::{Answer, Descriptor, Digest};

/// From the text of an index, the descriptor of the manifest for this platform.
///
/// An index is JSON: `{"manifests": [DESCRIPTOR, ..]}`. Each descriptor has a `platform` with `os` and
/// `architecture`; yours is the one with `linux` and `amd64`. An entry deserializes into a
/// [`Descriptor`] as it is. Returns an error if there is none.
fn choose_manifest(index: &[u8]) -> io::Result<Descriptor> {
    todo!("lab 15, step 1: serde_json::from_slice, find, serde_json::from_value")
}

/// The bytes of a blob in the image layout `layout`: of the file `blobs/sha256/HEX`.
///
/// Returns an error if they are not as many as `descriptor.size`, or if their digest is not
/// `descriptor.digest`. `Digest::of(&bytes)` computes one; `digest.hex()` is the file's name.
fn read_blob(layout: &Path, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
    todo!("lab 15, step 2: read the file, compare its size and digest")
}

/// From the text of a manifest, the descriptors of its layers, in the order in which they are
/// applied: the base first. That is their order in the manifest's array `layers`.
fn layers(manifest: &[u8]) -> io::Result<Vec<Descriptor>> {
    todo!("lab 15, step 3: the same without a choice")
}

/// Applies a layer's archive to the directory `root`, which holds the layers below it.
///
/// First the whiteouts, because they apply to the layers below and not to this one:
///
/// - a file `DIRECTORY/.wh.NAME` removes `NAME`, a directory with everything in it;
/// - a file `DIRECTORY/.wh..wh..opq` removes everything that is in `DIRECTORY`.
///
/// What is not there need not be removed. Neither is created as a file. Then all other entries:
///
/// - a directory that exists already keeps its content;
/// - anything else that exists under the name is removed first, and never written through;
/// - directories, regular files, symbolic links and hard links (a second name for one file) are
///   created; files and directories have the entry's permissions (twelve bits), whatever the umask
///   is. A symbolic link may lead anywhere. The owner is ignored: you are not root.
///
/// A path may begin with `./`, which changes nothing; `./` itself is `root`, a directory that exists.
///
/// The archive is hostile. Return an error, and touch nothing outside of `root`, if a path is absolute
/// or has a `..` in it, if one of its directories is a symbolic link, if a hard link's target or a
/// whiteout is such a path, or if what follows `.wh.` is not a name.
fn unpack_layer(archive: &[u8], root: &Path) -> io::Result<()> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        todo!("lab 15, step 4: entry.header().entry_type() says what it is; entry is its content");
    }
    Ok(())
}

fn main() -> ExitCode {
    unpack_image::program(&Answer { read_blob, choose_manifest, layers, unpack_layer })
}
