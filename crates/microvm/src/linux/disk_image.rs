//! A root that is too large for an initramfs, as an ext4 image for one run.
//!
//! mke2fs(8) fills the image from a directory without mounting it, so no root is needed. The file
//! has no name from the moment it is there: whatever ends the launcher, it is gone.

use std::{io, path::Path, process::Command};

use crate::{
    devices::virtio::disk::{Access, Disk},
    error::{Error, Result},
};

/// What mke2fs wants beside the content, in proportion and at least: tables, a journal, room.
const SHARE: u64 = 4;
const LEAST_BYTES: u64 = 64 << 20;

/// A disk with all that is in `tree`, which has so many bytes.
///
/// # Errors
///
/// When the host has no mke2fs, no room, or the tree cannot be read.
pub fn of(tree: &Path, bytes: u64) -> Result<Disk> {
    let failed = |source| Error::RootDisk { tree: tree.to_owned(), source };
    let image = tempfile::tempfile().map_err(failed)?;
    let size = (bytes + bytes / SHARE + LEAST_BYTES).next_multiple_of(1 << 20);
    image.set_len(size).map_err(failed)?;
    let as_input = image.try_clone().map_err(failed)?;
    let made = Command::new("mke2fs")
        .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
        .args(["-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal,^metadata_csum"])
        .args(["-E", "root_owner=0:0,lazy_itable_init=1", "-d"])
        .arg(tree)
        // The file has no other name than the one that it has for mke2fs.
        .stdin(as_input)
        .arg("/proc/self/fd/0")
        .output()
        .map_err(failed)?;
    if !made.status.success() {
        let words = String::from_utf8_lossy(&made.stderr);
        return Err(failed(io::Error::other(words.trim().to_owned())));
    }
    Disk::of(image, Access::Write).map_err(|source| Error::Disk { file: tree.to_owned(), source })
}
