//! What an image takes on the disk: alone, and together with others.
//!
//! ```text
//!   image A: layers 1 2 3        shared: 1 2     unique: 3
//!   image B: layers 1 2 4        shared: 1 2     unique: 4
//! ```

use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::{
    manifest::{self, Platform},
    store::{Image, Store, StoreError},
};

/// Bytes of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of blobs that no other image has.
    pub unique: u64,
    /// Of blobs that other images have too.
    pub shared: u64,
    /// Of unpacked layers that no other image has, as they are on the disk.
    pub unpacked_unique: u64,
    /// Of unpacked layers that other images have too.
    pub unpacked_shared: u64,
}

impl Store {
    /// What each of these images takes. Shared is what another image of the store has, whether it is
    /// among them or not.
    ///
    /// # Errors
    ///
    /// When the index or an unpacked layer cannot be read.
    pub fn usage(&self, images: &[Image]) -> Result<Vec<Usage>, StoreError> {
        // Each image of the store once, also if it has several names.
        let mut all: BTreeMap<String, Parts> = BTreeMap::new();
        for at in self.all()? {
            // A damaged image shares nothing.
            if let Ok(image) = self.image_at(&at, &Platform::host()) {
                all.insert(image.descriptor.digest().to_string(), parts(&image)?);
            }
        }
        let mut sizes = BTreeMap::new();
        let mut usages = Vec::new();
        for image in images {
            let own = image.descriptor.digest().to_string();
            let others: HashSet<&String> = all
                .iter()
                .filter(|(digest, _)| **digest != own)
                .flat_map(|(_, parts)| parts.keys())
                .collect();
            let mut usage = Usage::default();
            for (name, part) in parts(image)? {
                let is_shared = others.contains(&name);
                let (bytes, sum) = match (part, is_shared) {
                    (Part::Blob(bytes), false) => (bytes, &mut usage.unique),
                    (Part::Blob(bytes), true) => (bytes, &mut usage.shared),
                    (Part::Layer(hex), is_shared) => {
                        let bytes = match sizes.get(&hex) {
                            Some(bytes) => *bytes,
                            None => self.layer_bytes(&hex)?,
                        };
                        sizes.insert(hex, bytes);
                        let unique = &mut usage.unpacked_unique;
                        (bytes, if is_shared { &mut usage.unpacked_shared } else { unique })
                    }
                };
                *sum += bytes;
            }
            usages.push(usage);
        }
        Ok(usages)
    }

    fn layer_bytes(&self, hex: &str) -> Result<u64, StoreError> {
        let path = self.path().join("unpacked").join(hex);
        match disk_bytes(&path) {
            // Not unpacked yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            result => result.map_err(|source| StoreError::Io { action: "look at", path, source }),
        }
    }
}

/// What an image consists of, by names that others of the same content have too.
type Parts = BTreeMap<String, Part>;

enum Part {
    /// With its size.
    Blob(u64),
    /// An unpacked layer, with the name of its directory.
    Layer(String),
}

fn parts(image: &Image) -> Result<Parts, StoreError> {
    let manifest = &image.manifest;
    let blobs = manifest.layers().iter().chain([manifest.config(), &image.descriptor]);
    let mut parts = Parts::new();
    for blob in blobs {
        parts.insert(manifest::digest_of(blob)?.to_string(), Part::Blob(blob.size()));
    }
    for layer in image.layers() {
        let hex = layer.chain_id.hex().to_owned();
        parts.insert(format!("unpacked {hex}"), Part::Layer(hex));
    }
    Ok(parts)
}

/// The bytes that the tree at `path` has on the disk, in blocks of 512 bytes as stat(2) counts them;
/// a file with several names once. No link is followed.
///
/// # Errors
///
/// When it is missing, or a directory cannot be read.
pub fn disk_bytes(path: &Path) -> io::Result<u64> {
    let of_blocks = |about: &fs::Metadata| about.blocks() * 512;
    Ok(of_blocks(&fs::symlink_metadata(path)?) + sum(path, &of_blocks)?)
}

/// The lengths of all files in the directory `path` together, a file with several names once: what
/// docker calls the size of a layer. No link is followed.
///
/// # Errors
///
/// When it is missing, or a directory cannot be read.
pub fn file_bytes(path: &Path) -> io::Result<u64> {
    sum(path, &|about| if about.is_file() { about.len() } else { 0 })
}

/// What `of` says of all entries below `path`, together.
fn sum(path: &Path, of: &dyn Fn(&fs::Metadata) -> u64) -> io::Result<u64> {
    let about = fs::symlink_metadata(path)?;
    let mut bytes = 0;
    let mut seen = HashSet::new();
    let mut left = if about.is_dir() { vec![path.to_owned()] } else { Vec::new() };
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() {
                left.push(entry.path());
            } else if about.nlink() > 1 && !seen.insert((about.dev(), about.ino())) {
                continue;
            }
            bytes += of(&about);
        }
    }
    Ok(bytes)
}
