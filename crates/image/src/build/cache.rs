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

use std::{fs, io::Write as _, path::PathBuf};

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
