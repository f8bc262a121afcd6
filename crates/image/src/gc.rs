//! Garbage collection: deletes what no image needs.
//!
//! ```text
//!   index.json ──> manifest or index ──> manifests ──> config, layers      all kept: marked
//!   blobs/ unpacked/ ingest/ in-use/                                       the others: swept
//! ```
//!
//! It holds the store's exclusive lock, so nobody adds or reads meanwhile. A container holds no lock
//! of the store while it runs, but one of its own, in `in-use`, and its image is kept.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use oci_spec::image::Descriptor;

use crate::{
    digest::Digest,
    layer::remove::remove,
    manifest::{self, Document, OCI_MANIFEST},
    store::{Lock, Store, StoreError, read_config},
    usage::disk_bytes,
};

/// Indexes in indexes, at most.
const MAX_DEPTH: usize = 4;

/// What is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// What no image needs, and images without a name.
    #[default]
    Dangling,
    /// Also images with a name, unless a container of theirs runs.
    All,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The names and the digests of images that were removed.
    pub images: Vec<String>,
    /// How many blobs.
    pub blobs: u64,
    /// Their bytes, and those of blobs that never arrived whole.
    pub bytes: u64,
    /// How many unpacked layers.
    pub layers: u64,
    /// The bytes that those had on the disk.
    pub layer_bytes: u64,
}

/// Why nothing, or not everything, was removed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Another process reads or adds images.
    #[error(
        "the image store {} is in use by another isolab\ntry again when its pull, build or push has ended",
        path.display()
    )]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something cannot be removed.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, CollectError>;

/// Removes what `scope` says. The store is opened again by its path: it was shared, and now nobody
/// else may have it open.
///
/// # Errors
///
/// When another process uses the store, and when something of it cannot be read or removed. If a
/// manifest that is kept cannot be read, nothing is removed: what it needs is not known.
pub fn collect(store: Store, scope: Scope) -> Result<Collected> {
    let path = store.path().to_owned();
    let store = store.into_exclusive()?.ok_or(CollectError::Busy { path })?;
    let mut collected = Collected::default();
    let running = running(&store)?;
    let mut marks = Marks::default();
    let named: HashSet<String> =
        store.references()?.iter().map(|(_, at)| at.digest().to_string()).collect();
    for hex in &running {
        // Also one whose name and entry were removed while it runs.
        if let Ok(digest) = format!("sha256:{hex}").parse::<Digest>()
            && let Some(blob) = store.blob(&digest)?
        {
            marks.mark(&store, &manifest::descriptor(OCI_MANIFEST, &digest, blob.size), 0)?;
        }
    }
    let mut removed = Vec::new();
    for image in store.all()? {
        let is_kept = match scope {
            Scope::All => false,
            Scope::Dangling => named.contains(&image.digest().to_string()),
        };
        if is_kept
            || marks.blobs.contains(&manifest::digest_of(&image).map_err(StoreError::from)?)
            || leads_to(&store, &image, &running)
        {
            marks.mark(&store, &image, 0)?;
        } else {
            removed.push(image);
        }
    }
    collected.images = names_of(&store, &removed)?;
    store.forget(&removed)?;
    sweep_blobs(&store, &marks, &mut collected)?;
    sweep_layers(&store, &marks, &mut collected)?;
    sweep_leftovers(&store, &running, &mut collected)?;
    Ok(collected)
}

/// What is kept.
#[derive(Default)]
struct Marks {
    blobs: HashSet<Digest>,
    chain_ids: HashSet<String>,
}

impl Marks {
    /// Marks the manifest or index at `descriptor` and all that it needs.
    fn mark(&mut self, store: &Store, descriptor: &Descriptor, depth: usize) -> Result<()> {
        let digest = manifest::digest_of(descriptor).map_err(StoreError::from)?;
        if depth > MAX_DEPTH || !self.blobs.insert(digest) {
            return Ok(());
        }
        let bytes = match store.read_small("manifest", descriptor) {
            // Of another platform, and never pulled.
            Err(StoreError::NoBlob { .. }) => return Ok(()),
            bytes => bytes?,
        };
        match Document::read(&bytes, None).map_err(StoreError::from)? {
            Document::Index(index) => {
                index.manifests().iter().try_for_each(|entry| self.mark(store, entry, depth + 1))
            }
            Document::Manifest(manifest) => {
                for blob in manifest.layers().iter().chain([manifest.config()]) {
                    self.blobs.insert(manifest::digest_of(blob).map_err(StoreError::from)?);
                }
                let config = store.read_small("image config", manifest.config());
                match config.and_then(|bytes| read_config(&bytes, &manifest)) {
                    Ok(config) => {
                        let ids = config.chain_ids();
                        self.chain_ids.extend(ids.iter().map(|id| id.hex().to_owned()));
                    }
                    // Not an image that could run: nothing of it is unpacked.
                    Err(StoreError::NoBlob { .. } | StoreError::Manifest(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                Ok(())
            }
        }
    }
}

/// The manifests of images that run: their files in `in-use` are locked.
fn running(store: &Store) -> Result<HashSet<String>> {
    let folder = store.path().join("in-use");
    let mut running = HashSet::new();
    for name in names_in(&folder)? {
        if Lock::try_exclusive(&folder.join(&name))?.is_none() {
            running.insert(name);
        }
    }
    Ok(running)
}

/// Whether the index at `descriptor` has one of these manifests.
fn leads_to(store: &Store, descriptor: &Descriptor, running: &HashSet<String>) -> bool {
    let Ok(bytes) = store.read_small("manifest", descriptor) else { return false };
    match Document::read(&bytes, None) {
        Ok(Document::Index(index)) => {
            let mut digests =
                index.manifests().iter().filter_map(|it| manifest::digest_of(it).ok());
            digests.any(|digest| running.contains(digest.hex()))
        }
        _ => false,
    }
}

fn names_of(store: &Store, removed: &[Descriptor]) -> Result<Vec<String>> {
    let references = store.references()?;
    let mut names = Vec::new();
    for image in removed {
        let of_it = references.iter().filter(|(_, at)| at.digest() == image.digest());
        names.extend(of_it.map(|(reference, _)| reference.familiar()));
        names.push(image.digest().to_string());
    }
    Ok(names)
}

fn sweep_blobs(store: &Store, marks: &Marks, collected: &mut Collected) -> Result<()> {
    for algorithm in ["sha256", "sha512"] {
        let folder = store.path().join("blobs").join(algorithm);
        for name in names_in(&folder)? {
            let Ok(digest) = format!("{algorithm}:{name}").parse::<Digest>() else { continue };
            if !marks.blobs.contains(&digest) {
                collected.bytes += remove_file(&folder.join(name))?;
                collected.blobs += 1;
            }
        }
    }
    Ok(())
}

fn sweep_layers(store: &Store, marks: &Marks, collected: &mut Collected) -> Result<()> {
    let folder = store.path().join("unpacked");
    let directory = File::open(&folder).map_err(failed("open", &folder))?;
    for name in names_in(&folder)? {
        if marks.chain_ids.contains(&name) {
            continue;
        }
        let path = folder.join(&name);
        // Deeper than a path goes, it is removed without being counted.
        collected.layer_bytes += disk_bytes(&path).unwrap_or(0);
        // Killed in the middle, what is left has no layer's name.
        let mut old = path.clone();
        if !name.starts_with('.') {
            collected.layers += 1;
            old = folder.join(format!(".old-{name}"));
            fs::rename(&path, &old).map_err(failed("rename", &path))?;
        }
        let last = old.file_name().unwrap_or_default();
        remove(directory.as_fd(), last.as_bytes()).map_err(failed("remove", &old))?;
    }
    Ok(())
}

/// What was killed before it had its name, and locks that nobody holds.
fn sweep_leftovers(
    store: &Store,
    running: &HashSet<String>,
    collected: &mut Collected,
) -> Result<()> {
    let ingest = store.path().join("ingest");
    for name in names_in(&ingest)? {
        collected.bytes += remove_file(&ingest.join(name))?;
    }
    let in_use = store.path().join("in-use");
    for name in names_in(&in_use)?.into_iter().filter(|name| !running.contains(name)) {
        remove_file(&in_use.join(name))?;
    }
    Ok(())
}

fn remove_file(path: &Path) -> Result<u64> {
    let bytes = fs::symlink_metadata(path).map_or(0, |about| about.len());
    fs::remove_file(path).map_err(failed("remove", path))?;
    Ok(bytes)
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().into_string().ok());
        fs::read_dir(folder)?.filter_map(|entry| name(entry).transpose()).collect()
    };
    read().map_err(failed("read", folder))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CollectError + use<> {
    let path = path.to_owned();
    move |source| CollectError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
