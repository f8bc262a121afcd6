//! Garbage collection: deletes what no image needs.
//!
//! ```text
//!   index.json ──> manifest or index ──> manifests ──> config, layers      all kept: marked
//!   blobs/ unpacked/ ingest/ in-use/ build/                                the others: swept
//!   cache/ origins/                                         of blobs that are gone: swept as well
//! ```
//!
//! It holds the store's exclusive lock, so nobody adds or reads meanwhile. A container holds no lock
//! of the store while it runs, but one of its own, in `in-use`, and its image is kept.

mod notes;

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use oci_spec::image::{Descriptor, ImageManifest};

use crate::{
    build::{cache, scratch},
    digest::Digest,
    layer::remove::remove,
    manifest::{self, Document},
    store::{Lock, Store, StoreError, read_config},
    usage::disk_bytes,
};

/// What is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// What neither an image, with a name or without, nor the build cache needs.
    Unreachable,
    /// What no image needs, and images without a name.
    #[default]
    Dangling,
    /// Also images with a name, unless a container of theirs runs, and the whole build cache.
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
    /// The bytes that those had on the disk, and the changes of builds that were killed.
    pub layer_bytes: u64,
    /// How many steps the build cache has forgotten.
    pub cached_steps: u64,
    /// The bytes of those, and of what was noted about blobs that are gone.
    pub note_bytes: u64,
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
    let store = exclusive(store)?;
    let mut collected = Collected::default();
    let running = running(&store)?;
    let mut marks = Marks::default();
    let named: HashSet<String> =
        store.references()?.iter().map(|(_, at)| at.digest().to_string()).collect();
    for hex in &running {
        // Also one whose name and entry were removed while it runs.
        if let Ok(digest) = format!("sha256:{hex}").parse::<Digest>() {
            marks.mark(&store, &digest)?;
        }
    }
    let mut removed = Vec::new();
    for image in store.all()? {
        let is_kept = match scope {
            Scope::Unreachable => true,
            Scope::All => false,
            Scope::Dangling => named.contains(&image.digest().to_string()),
        };
        let digest = manifest::digest_of(&image).map_err(StoreError::from)?;
        if is_kept || marks.blobs.contains(&digest) || leads_to(&store, &image, &running) {
            marks.mark(&store, &digest)?;
        } else {
            removed.push(image);
        }
    }
    if scope == Scope::Unreachable {
        marks.blobs.extend(cache::layers(&store));
    }
    collected.images = names_of(&store, &removed)?;
    store.forget(&removed)?;
    sweep_blobs(&store, &marks, &mut collected)?;
    sweep_layers(&store, &marks, &mut collected)?;
    sweep_leftovers(&store, &running, &mut collected)?;
    notes::sweep(&store, scope, &mut collected)?;
    Ok(collected)
}

/// The store for this process alone.
///
/// # Errors
///
/// When another process uses it.
pub(crate) fn exclusive(store: Store) -> Result<Store> {
    let path = store.path().to_owned();
    store.into_exclusive()?.ok_or(CollectError::Busy { path })
}

/// What is kept.
#[derive(Default)]
struct Marks {
    blobs: HashSet<Digest>,
    chain_ids: HashSet<String>,
    /// Manifests and indexes whose needs are marked. Not the same as kept: one image may call the
    /// manifest of another its layer.
    documents: HashSet<Digest>,
}

impl Marks {
    /// Marks the manifest or index `top` and all that it needs. Indexes in indexes are followed
    /// without a limit, each once: what is reached here first may be reached again by its own name.
    fn mark(&mut self, store: &Store, top: &Digest) -> Result<()> {
        let mut left = vec![top.clone()];
        while let Some(digest) = left.pop() {
            self.blobs.insert(digest.clone());
            if self.documents.contains(&digest) {
                continue;
            }
            // Of another platform, and never pulled.
            let Some(bytes) = read(store, &digest)? else { continue };
            match Document::read(&bytes, None) {
                Ok(Document::Index(index)) => left.extend(digests(index.manifests())),
                Ok(Document::Manifest(manifest)) => self.mark_parts(store, &manifest)?,
                // What an index says is not known to be a manifest.
                Err(_) if digest != *top => continue,
                Err(error) => return Err(StoreError::from(error).into()),
            }
            self.documents.insert(digest);
        }
        Ok(())
    }

    fn mark_parts(&mut self, store: &Store, manifest: &ImageManifest) -> Result<()> {
        self.blobs.extend(digests(manifest.layers().iter().chain([manifest.config()])));
        let Some(config) = digests([manifest.config()]).next() else { return Ok(()) };
        // Of what is not an image that could run, nothing is unpacked.
        if let Some(bytes) = read(store, &config)?
            && let Ok(config) = read_config(&bytes, manifest)
        {
            self.chain_ids.extend(config.chain_ids().iter().map(|id| id.hex().to_owned()));
        }
        Ok(())
    }
}

/// The digests that can be in the store.
fn digests<'d>(
    descriptors: impl IntoIterator<Item = &'d Descriptor>,
) -> impl Iterator<Item = Digest> {
    descriptors.into_iter().filter_map(|it| manifest::digest_of(it).ok())
}

/// Reads a document, verified, by the size of its blob: what one image says of its size must not
/// matter to another. `None` if it is missing or larger than any document.
fn read(store: &Store, digest: &Digest) -> Result<Option<Vec<u8>>> {
    match store.blob(digest)? {
        Some(blob) if blob.size <= manifest::MAX_BYTES => {
            let size = blob.size;
            Ok(Some(blob.read_verified(digest, size)?))
        }
        _ => Ok(None),
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
    let mut names = names_in(&folder)?;
    // What an interrupted removal has left comes first: its name may be needed again.
    names.sort_unstable_by_key(|name| !name.starts_with('.'));
    for name in names {
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
    collected.layer_bytes += scratch::remove_left(store);
    Ok(())
}

pub(crate) fn remove_file(path: &Path) -> Result<u64> {
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
