//! What a step made, kept for the next build: a small file for each step, named by what the step
//! depends on.
//!
//! ```text
//!   key = digest of the layers and the config below, the instruction, and what it copies
//!   cache/9f86..    {"created": .., "layer": the digest of its archive, or none}
//! ```
//!
//! The key names what is below by its content: a step that was built again with another result makes
//! those above it be built again too. A record whose layer was deleted since is no record, and garbage collection removes
//! it.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, store::Store};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) created: u64,
    pub(crate) layer: Option<LayerRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) diff_id: Digest,
}

/// Where the records are, in the store's directory.
pub(crate) const DIRECTORY: &str = "cache";

fn path(store: &Store, key: &Digest) -> PathBuf {
    store.path().join(DIRECTORY).join(key.hex())
}

/// What the step with that key made, if it is still there.
pub(crate) fn read(store: &Store, key: &Digest) -> Option<Record> {
    let text = fs::read(path(store, key)).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    match &record.layer {
        None => Some(record),
        Some(layer) => {
            let blob = store.blob(&layer.digest).ok()??;
            (blob.size == layer.size).then_some(record)
        }
    }
}

/// A step that the cache knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedStep {
    /// The digest of what it depends on.
    pub key: Digest,
    /// When it was made: seconds since 1970.
    pub created: u64,
    /// The layer that it made, and the size of that in bytes.
    pub layer: Option<(Digest, u64)>,
}

/// The steps that are kept for the next build, and whose layers are still there.
pub fn steps(store: &Store) -> Vec<CachedStep> {
    let entries = fs::read_dir(store.path().join(DIRECTORY)).into_iter().flatten().flatten();
    let step = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let key: Digest = format!("sha256:{name}").parse().ok()?;
        let Record { created, layer } = read(store, &key)?;
        Some(CachedStep { key, created, layer: layer.map(|layer| (layer.digest, layer.size)) })
    };
    let mut steps: Vec<CachedStep> = entries.filter_map(step).collect();
    steps.sort_by(|one, other| one.key.cmp(&other.key));
    steps
}

/// Forgets these steps. Their layers stay until they are collected.
///
/// # Errors
///
/// When a record cannot be removed.
pub fn forget(store: &Store, steps: &[CachedStep]) -> io::Result<()> {
    for step in steps {
        match fs::remove_file(path(store, &step.key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The layers that the cache has.
pub(crate) fn layers(store: &Store) -> impl Iterator<Item = Digest> + use<> {
    steps(store).into_iter().filter_map(|step| Some(step.layer?.0))
}

/// Keeps what a step made. A cache that cannot be written makes the next build slower, no more.
pub(crate) fn write(store: &Store, key: &Digest, record: &Record) {
    let path = path(store, key);
    let Some(folder) = path.parent() else { return };
    let temporary = folder.join(format!(".new-{}-{}", std::process::id(), key.hex()));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::File::create(&temporary)?.write_all(&serde_json::to_vec(record)?))
        .and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
}
