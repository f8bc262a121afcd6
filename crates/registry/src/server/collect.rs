//! Garbage collection: removes blobs that no repository has any more, and takes from repositories
//! the blobs that none of their manifests need.
//!
//! It marks and sweeps while the registry serves. A push links a blob before the manifest that needs
//! it, so a blob that was linked not long ago is left alone; and links are made under the read lock,
//! blobs are removed under the write lock, so that none goes between "it is there" and "it is
//! linked".

use std::{collections::HashSet, fs, io, path::Path, sync::PoisonError, time::Duration};

use image::digest::Digest;

use super::{manifests::Shape, storage::Storage};

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
    let mut needed: HashSet<Digest> = HashSet::new();
    for name in storage.repositories()? {
        // Nobody pushes a manifest between "none needs it" and "it is gone".
        let _alone = storage.lock.write().unwrap_or_else(PoisonError::into_inner);
        let of_repository = manifests_and_blobs(storage, &name)?;
        for digest in storage.blobs(&name)? {
            if !of_repository.contains(&digest)
                && !is_young(&storage.link_of_blob(&name, &digest), age)
            {
                storage.delete_blob(&name, &digest)?;
            }
        }
        needed.extend(of_repository);
    }
    let _alone = storage.lock.write().unwrap_or_else(PoisonError::into_inner);
    // Linked since, by a push.
    for name in storage.all_repositories()? {
        needed.extend(storage.blobs(&name)?);
        needed.extend(storage.manifests(&name)?);
    }
    let mut collected = Collected::default();
    for (path, digest) in storage.all_blobs()? {
        if !needed.contains(&digest) && !is_young(&path, age) {
            collected.bytes += fs::metadata(&path).map_or(0, |about| about.len());
            collected.blobs += 1;
            fs::remove_file(&path)?;
        }
    }
    Ok(collected)
}

/// All that the manifests of a repository lead to, and they themselves.
fn manifests_and_blobs(storage: &Storage, name: &str) -> io::Result<HashSet<Digest>> {
    let mut all = HashSet::new();
    for digest in storage.manifests(name)? {
        if let Ok(manifest) = storage.manifest(name, &digest)
            && let Ok(shape) = Shape::read(&manifest.bytes)
        {
            let targets = shape.config.into_iter().chain(shape.layers).chain(shape.manifests);
            all.extend(targets.map(|target| target.digest));
        }
        all.insert(digest);
    }
    Ok(all)
}

fn is_young(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|about| about.modified());
    modified.is_ok_and(|time| time.elapsed().map_or(true, |since| since < age))
}
