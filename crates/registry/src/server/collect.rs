//! Garbage collection: removes blobs that no repository has any more, and takes from repositories
//! the blobs that none of their manifests need.
//!
//! It marks and sweeps while the registry serves. A push links a blob before the manifest that needs
//! it, so a blob that was linked not long ago is left alone; and links are made under the read lock,
//! blobs are removed under the write lock, so that none goes between "it is there" and "it is
//! linked".

use std::{collections::HashSet, io, time::Duration};

use image::digest::Digest;

use super::{
    directory::FileStat,
    layout::{self, Link},
    shape::Shape,
    storage::Storage,
};

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes what nothing names, and is older than `age`.
pub(super) fn collect(storage: &Storage, age: Duration) -> io::Result<Collected> {
    for name in storage.all_repositories()? {
        // Nobody pushes a manifest between "none needs it" and "it is gone".
        let _alone = storage.alone();
        let Some(needed) = needed_blobs(storage, &name)? else { continue };
        for digest in storage.blobs(&name)? {
            let link = layout::link(&name, Link::Blob, &digest);
            let link = storage.directory.stat(&link).ok().flatten();
            if !needed.contains(&digest) && is_old(link, age) {
                storage.unlink_blob(&name, &digest)?;
            }
        }
    }
    let _alone = storage.alone();
    let mut linked = HashSet::new();
    for name in storage.all_repositories()? {
        linked.extend(storage.blobs(&name)?);
        linked.extend(storage.manifests(&name)?);
    }
    let mut collected = Collected::default();
    for digest in storage.all_blobs()? {
        // What cannot be looked at is not a blob's file, and not the registry's to remove.
        let blob = storage.directory.stat(&layout::blob(&digest)).ok().flatten();
        if !linked.contains(&digest)
            && is_old(blob, age)
            && let Some(length) = storage.remove_blob(&digest)?
        {
            collected.bytes += length;
            collected.blobs += 1;
        }
    }
    Ok(collected)
}

/// The blobs that the manifests of a repository need; `None` if one of them cannot be read: nobody
/// knows then what it needs, and it may be pushed again.
fn needed_blobs(storage: &Storage, name: &str) -> io::Result<Option<HashSet<Digest>>> {
    let mut needed = HashSet::new();
    for digest in storage.manifests(name)? {
        let manifest = storage.manifest(name, &digest);
        let Some(shape) = manifest.ok().and_then(|manifest| Shape::read(&manifest.bytes).ok())
        else {
            return Ok(None);
        };
        needed.extend(shape.targets().map(|target| target.digest.clone()));
    }
    Ok(Some(needed))
}

fn is_old(file: Option<FileStat>, age: Duration) -> bool {
    file.is_some_and(|file| file.modified.elapsed().is_ok_and(|since| since >= age))
}
